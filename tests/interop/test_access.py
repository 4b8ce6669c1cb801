"""What admins may do is refused to everybody else, over every way in."""

from typing import Any

from interop.access import USER_ID, Credentials
from interop.campaigns import Campaigns, new_campaign
from interop.cells import cell
from interop.conftest import Ask, AskRefused
from support.refusals import ERROR_INFO

NEW = {"name": "n", "couponLimit": 1, "startTime": "2020-01-01T00:00:00Z"}
UNAUTHENTICATED = ("unauthenticated", "UNAUTHENTICATED", "coupon.v1", (ERROR_INFO,))
PERMISSION_DENIED = ("permission_denied", "PERMISSION_DENIED", "coupon.v1", (ERROR_INFO,))


def refusals_of(
    ask_refused: AskRefused, credentials: Credentials, rpc: str, fields: dict[str, Any]
) -> dict[str, Any]:
    """Make a call with each of the wrong credentials; return what was refused how."""
    return {
        what: ask_refused(rpc, fields, authorization=authorization).summary
        for what, authorization in (credentials.wrong | credentials.lesser).items()
    }


def expected(credentials: Credentials) -> dict[str, Any]:
    return dict.fromkeys(credentials.wrong, UNAUTHENTICATED) | dict.fromkeys(
        credentials.lesser, PERMISSION_DENIED
    )


@cell("tokens", "CreateCampaign")
def test_nobody_else_creates_a_campaign(ask_refused: AskRefused, credentials: Credentials) -> None:
    got = refusals_of(ask_refused, credentials, "CreateCampaign", NEW)
    assert got == expected(credentials)


@cell("tokens", "GetCampaign FULL")
def test_nobody_else_sees_the_codes(
    ask_refused: AskRefused, credentials: Credentials, campaigns: Campaigns
) -> None:
    fields = {"campaignId": campaigns.sold_out}
    got = refusals_of(ask_refused, credentials, "GetCampaign", fields)
    assert got == expected(credentials)


@cell("refusals", "UNAUTHENTICATED")
def test_a_claim_without_a_token_is_unauthenticated(
    ask_refused: AskRefused, campaigns: Campaigns
) -> None:
    refusal = ask_refused("IssueCoupon", {"campaignId": campaigns.open}, authorization="")
    assert refusal.summary == UNAUTHENTICATED
    assert refusal.message == "The call needs a bearer token and carries none."


@cell("refusals", "PERMISSION_DENIED")
def test_a_user_claims_for_nobody_else(
    ask: Ask, ask_refused: AskRefused, credentials: Credentials, interop_database_url: str
) -> None:
    campaign_id = new_campaign(interop_database_url)
    for_another = {"campaignId": campaign_id, "userId": "bob"}
    refusal = ask_refused("IssueCoupon", for_another, authorization=credentials.user)
    own = ask("IssueCoupon", {"campaignId": campaign_id}, authorization=credentials.user)
    assert refusal.summary == PERMISSION_DENIED
    assert (own["coupon"]["userId"], own["coupon"]["sequence"]) == (USER_ID, 1)
