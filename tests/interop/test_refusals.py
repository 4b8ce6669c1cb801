"""Every refusal of the contract, with its code, reason and details, over every way in."""

from datetime import UTC, datetime
from uuid import uuid4

from interop.campaigns import Campaigns
from interop.cells import cell
from interop.conftest import AskRefused
from support.refusals import BAD_REQUEST, ERROR_INFO, RETRY_INFO, Refusal

DOMAIN = "coupon.v1"


@cell("refusals", "INVALID_REQUEST")
def test_a_bad_request_names_every_bad_field(ask_refused: AskRefused) -> None:
    refusal = ask_refused("CreateCampaign", {"name": "", "couponLimit": -1})
    assert refusal.summary == (
        "invalid_argument",
        "INVALID_REQUEST",
        DOMAIN,
        (ERROR_INFO, BAD_REQUEST),
    )
    assert refusal.fields == ("name", "coupon_limit", "start_time")


@cell("refusals", "CAMPAIGN_NOT_FOUND")
def test_a_campaign_that_does_not_exist_is_not_found(ask_refused: AskRefused) -> None:
    for rpc in ("GetCampaign", "IssueCoupon"):
        assert ask_refused(rpc, {"campaignId": str(uuid4())}) == Refusal(
            code="not_found",
            message="There is no campaign with this id.",
            reason="CAMPAIGN_NOT_FOUND",
            domain=DOMAIN,
            details=(ERROR_INFO,),
        )


@cell("refusals", "CAMPAIGN_NOT_STARTED")
def test_before_the_start_the_refusal_says_when_to_come_back(
    ask_refused: AskRefused, campaigns: Campaigns
) -> None:
    latest = (campaigns.start_time - datetime.now(UTC)).total_seconds()
    refusal = ask_refused("IssueCoupon", {"campaignId": campaigns.scheduled})
    earliest = (campaigns.start_time - datetime.now(UTC)).total_seconds()
    assert refusal.summary == (
        "failed_precondition",
        "CAMPAIGN_NOT_STARTED",
        DOMAIN,
        (ERROR_INFO, RETRY_INFO),
    )
    assert datetime.fromisoformat(refusal.metadata["start_time"]) == campaigns.start_time
    assert refusal.retry_seconds is not None
    # The database and this process look at the same clock, not at the same time.
    assert earliest - 0.25 <= refusal.retry_seconds <= latest + 0.25


@cell("refusals", "CAMPAIGN_PAUSED")
def test_a_paused_campaign_issues_nothing(ask_refused: AskRefused, campaigns: Campaigns) -> None:
    assert ask_refused("IssueCoupon", {"campaignId": campaigns.paused}) == Refusal(
        code="failed_precondition",
        message="The campaign is paused.",
        reason="CAMPAIGN_PAUSED",
        domain=DOMAIN,
        details=(ERROR_INFO,),
    )


@cell("refusals", "CAMPAIGN_ENDED")
def test_an_ended_campaign_issues_nothing(ask_refused: AskRefused, campaigns: Campaigns) -> None:
    assert ask_refused("IssueCoupon", {"campaignId": campaigns.ended}) == Refusal(
        code="failed_precondition",
        message="The campaign has ended.",
        reason="CAMPAIGN_ENDED",
        domain=DOMAIN,
        details=(ERROR_INFO,),
    )


@cell("refusals", "SOLD_OUT")
def test_a_sold_out_campaign_issues_nothing(ask_refused: AskRefused, campaigns: Campaigns) -> None:
    assert ask_refused("IssueCoupon", {"campaignId": campaigns.sold_out}) == Refusal(
        code="resource_exhausted",
        message="Every coupon of this campaign has been issued.",
        reason="SOLD_OUT",
        domain=DOMAIN,
        details=(ERROR_INFO,),
    )
