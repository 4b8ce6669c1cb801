"""What protocols allow beyond a plain call, over every way in."""

from interop.calls import COUPONS
from interop.campaigns import new_campaign, read_stored
from interop.cells import cell
from interop.conftest import Ask, AskRefused
from interop.tomorrow import UNKNOWN_FIELD, UNKNOWN_RPC, UNKNOWN_SERVICE


@cell("gzip")
def test_a_compressed_request_is_understood(ask: Ask, interop_database_url: str) -> None:
    campaign_id = new_campaign(interop_database_url)
    fields = {"campaignId": campaign_id, "userId": "a" * 128}
    assert ask("IssueCoupon", fields, gzip=True)["coupon"]["userId"] == "a" * 128
    assert read_stored(interop_database_url, campaign_id).user_ids == ["a" * 128]


@cell("field")
def test_a_field_that_the_service_does_not_know_is_ignored(
    ask: Ask, interop_database_url: str
) -> None:
    campaign_id = new_campaign(interop_database_url)
    fields = {"campaignId": campaign_id, "userId": "alice", UNKNOWN_FIELD: "something"}
    coupon = ask("IssueCoupon", fields)["coupon"]
    assert (coupon["userId"], coupon["sequence"]) == ("alice", 1)


@cell("no rpc", "unknown method")
def test_a_method_that_does_not_exist_is_unimplemented(ask_refused: AskRefused) -> None:
    assert ask_refused(UNKNOWN_RPC, {}, service=COUPONS).code == "unimplemented"


@cell("no rpc", "unknown service")
def test_a_service_that_does_not_exist_is_unimplemented(
    ask_refused: AskRefused,
) -> None:
    refusal = ask_refused("IssueCoupon", {}, service=UNKNOWN_SERVICE)
    assert refusal.code == "unimplemented"
