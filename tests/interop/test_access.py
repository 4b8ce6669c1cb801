"""What admins may do is refused to everybody else, over every way in."""

from typing import Any

from interop.access import FEW_WRONG, USER_ID, Credentials
from interop.campaigns import Campaigns, Storage
from interop.cells import cell
from interop.conftest import Ask, AskRefused
from interop.lanes import Lane
from support.refusals import ERROR_INFO

NEW = {"name": "n", "couponLimit": 1, "startTime": "2020-01-01T00:00:00Z"}
UNAUTHENTICATED = ("unauthenticated", "UNAUTHENTICATED", "coupon.v1", (ERROR_INFO,))
PERMISSION_DENIED = ("permission_denied", "PERMISSION_DENIED", "coupon.v1", (ERROR_INFO,))


def assert_all_refused(
    ask_refused: AskRefused,
    lane: Lane,
    credentials: Credentials,
    rpc: str,
    fields: dict[str, Any],
) -> None:
    """Hold that a call is refused with each of the wrong and of the lesser credentials."""
    # A program is started anew for each call, which takes long.
    tried = FEW_WRONG if lane.kind.is_program else credentials.wrong
    wrong = {what: credentials.wrong[what] for what in tried}
    got = {
        what: ask_refused(rpc, fields, authorization=authorization).summary
        for what, authorization in (wrong | credentials.lesser).items()
    }
    expected = dict.fromkeys(wrong, UNAUTHENTICATED)
    assert got == expected | dict.fromkeys(credentials.lesser, PERMISSION_DENIED)


@cell("tokens", "CreateCampaign")
def test_nobody_else_creates_a_campaign(
    ask_refused: AskRefused, lane: Lane, credentials: Credentials
) -> None:
    assert_all_refused(ask_refused, lane, credentials, "CreateCampaign", NEW)


@cell("tokens", "GetCampaign FULL")
def test_nobody_else_sees_the_codes(
    ask_refused: AskRefused, lane: Lane, credentials: Credentials, campaigns: Campaigns
) -> None:
    fields = {"campaignId": campaigns.sold_out}
    assert_all_refused(ask_refused, lane, credentials, "GetCampaign", fields)


@cell("refusals", "UNAUTHENTICATED")
def test_a_claim_without_a_token_is_unauthenticated(
    ask_refused: AskRefused, campaigns: Campaigns
) -> None:
    refusal = ask_refused("IssueCoupon", {"campaignId": campaigns.open}, authorization="")
    assert refusal.summary == UNAUTHENTICATED
    assert refusal.message == "The call needs a bearer token and carries none."


@cell("refusals", "PERMISSION_DENIED")
def test_a_user_claims_for_nobody_else(
    ask: Ask, ask_refused: AskRefused, credentials: Credentials, storage: Storage
) -> None:
    campaign_id = storage.new_campaign()
    for_another = {"campaignId": campaign_id, "userId": "bob"}
    refusal = ask_refused("IssueCoupon", for_another, authorization=credentials.user)
    own = ask("IssueCoupon", {"campaignId": campaign_id}, authorization=credentials.user)
    assert refusal.summary == PERMISSION_DENIED
    assert (own["coupon"]["userId"], own["coupon"]["sequence"]) == (USER_ID, 1)
