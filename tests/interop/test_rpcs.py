"""Every RPC, over every way in."""

from datetime import UTC, datetime
from typing import Any

import pytest
from interop.calls import COUPONS, HEALTH
from interop.campaigns import Campaigns, Storage
from interop.cells import cell
from interop.conftest import Ask, AskRefused
from interop.lanes import Lane
from support.service import Service, eventually

START_TIME = "2020-01-02T03:04:05.678901Z"
END_TIME = "2099-01-01T00:00:00Z"


def instant(text: str) -> datetime:
    """Read a time of protobuf's JSON, whose digits each library chooses for itself."""
    return datetime.fromisoformat(text)


@cell("create")
def test_a_campaign_is_created_as_asked(ask: Ask, lane: Lane, storage: Storage) -> None:
    fields = {
        "name": f"선착순 {lane.id}",
        "couponLimit": 10_000_000,
        "startTime": START_TIME,
        "endTime": END_TIME,
        "requestId": lane.id,
    }
    before = datetime.now(UTC)
    campaign = ask("CreateCampaign", fields)["campaign"]
    again = ask("CreateCampaign", fields)["campaign"]
    after = datetime.now(UTC)
    row = storage.read(campaign["campaignId"])
    assert again == campaign
    assert (row.coupon_limit, row.issued_count) == (10_000_000, 0)
    assert before <= instant(campaign.pop("createTime")) <= after
    assert instant(campaign.pop("startTime")) == instant(START_TIME)
    assert instant(campaign.pop("endTime")) == instant(END_TIME)
    del campaign["campaignId"]
    assert campaign == {
        "name": f"선착순 {lane.id}",
        "couponLimit": 10_000_000,
        "state": "CAMPAIGN_STATE_ACTIVE",
    }


def shown(campaign_id: str) -> dict[str, Any]:
    """Return what is the same each time of a campaign of 100 coupons of which 3 are issued."""
    return {
        "campaignId": campaign_id,
        "name": "test",
        "couponLimit": 100,
        "issuedCount": 3,
        "startTime": "2020-01-01T00:00:00Z",
        "state": "CAMPAIGN_STATE_ACTIVE",
    }


@cell("full")
def test_the_full_view_has_every_code_in_order(ask: Ask, storage: Storage) -> None:
    campaign_id = storage.new_campaign(issued=3)
    answer = ask("GetCampaign", {"campaignId": campaign_id, "view": "CAMPAIGN_VIEW_FULL"})
    del answer["campaign"]["createTime"]
    codes = storage.read(campaign_id).codes
    assert answer == {"campaign": shown(campaign_id), "couponCodes": codes}


@cell("basic")
def test_the_basic_view_has_no_codes(ask: Ask, storage: Storage) -> None:
    campaign_id = storage.new_campaign(issued=3)
    answer = ask("GetCampaign", {"campaignId": campaign_id, "view": "CAMPAIGN_VIEW_BASIC"})
    del answer["campaign"]["createTime"]
    assert answer == {"campaign": shown(campaign_id)}


@cell("get")
def test_a_campaign_can_be_read_by_get(
    ask: Ask, lane: Lane, storage: Storage, services: dict[str, Service]
) -> None:
    campaign_id = storage.new_campaign(issued=3)
    log = services[lane.server].log
    before = len(log)
    answer = ask("GetCampaign", {"campaignId": campaign_id}, get=True)
    del answer["campaign"]["createTime"]
    codes = storage.read(campaign_id).codes
    assert answer == {"campaign": shown(campaign_id), "couponCodes": codes}
    # What the client was told to do shows only here: a POST has the same answer.
    got = {"event": "request", "method": "GET", "path": f"/{COUPONS}/GetCampaign", "status": 200}
    eventually(lambda: any(got.items() <= entry.items() for entry in log[before:]))


@cell("issue")
def test_a_claim_gets_the_next_coupon(ask: Ask, storage: Storage) -> None:
    campaign_id = storage.new_campaign(issued=3)
    before = datetime.now(UTC)
    answer = ask("IssueCoupon", {"campaignId": campaign_id, "userId": "앨리스"})
    after = datetime.now(UTC)
    row = storage.read(campaign_id)
    assert before <= instant(answer["coupon"].pop("issueTime")) <= after
    coupon = {"code": row.codes[3], "campaignId": campaign_id, "sequence": 4, "userId": "앨리스"}
    assert answer == {"coupon": coupon}
    assert (row.issued_count, row.user_ids[3]) == (4, "앨리스")


@cell("issue", "IssueCoupon again")
def test_the_same_user_gets_the_same_coupon_again(ask: Ask, storage: Storage) -> None:
    fields = {"campaignId": storage.new_campaign(), "userId": "앨리스"}
    first, again = ask("IssueCoupon", fields), ask("IssueCoupon", fields)
    assert again == {**first, "alreadyIssued": True}


@cell("100,000")
def test_a_hundred_thousand_codes_arrive_in_order(ask: Ask, campaigns: Campaigns) -> None:
    answer = ask("GetCampaign", {"campaignId": campaigns.big, "view": "CAMPAIGN_VIEW_FULL"})
    assert answer["campaign"]["issuedCount"] == 100_000
    assert answer["couponCodes"] == campaigns.codes


@cell("health", "overall")
def test_whether_the_whole_is_healthy_is_told_without_a_token(ask: Ask) -> None:
    assert ask("Check", {}, service=HEALTH, authorization="") == {"status": "SERVING"}


@cell("health", "each service")
@pytest.mark.parametrize("service", [COUPONS, HEALTH])
def test_each_service_is_healthy(ask: Ask, service: str) -> None:
    assert ask("Check", {"service": service}, service=HEALTH) == {"status": "SERVING"}


@cell("health", "unknown service")
def test_the_health_of_an_unknown_service_is_not_found(ask_refused: AskRefused) -> None:
    refusal = ask_refused("Check", {"service": "coupon.v1.Other"}, service=HEALTH)
    assert refusal.code == "not_found"
