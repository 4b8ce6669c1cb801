"""GetCampaign by GET, as curl, browsers and caches see it."""

import json
from base64 import urlsafe_b64encode
from urllib.parse import urlencode

import pytest
from interop.access import Credentials
from interop.campaigns import Storage
from interop.command_line_clients import run_curl
from interop.lanes import CURL, SERVERS
from support.service import Service

pytestmark = pytest.mark.skipif(not CURL, reason="there is no curl on this machine")


def queries(message: str) -> dict[str, dict[str, str]]:
    """Return the two ways to say a message in a URL; the second without base64's padding."""
    base64 = urlsafe_b64encode(message.encode()).decode().rstrip("=")
    common = {"connect": "v1", "encoding": "json"}
    return {
        "plain": common | {"message": message},
        "base64": common | {"message": base64, "base64": "1"},
    }


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("way", ["plain", "base64"])
@pytest.mark.parametrize("view", ["CAMPAIGN_VIEW_FULL", "CAMPAIGN_VIEW_BASIC"])
def test_no_cache_may_keep_a_campaign(
    *,
    services: dict[str, Service],
    credentials: Credentials,
    storage: Storage,
    server: str,
    way: str,
    view: str,
) -> None:
    campaign_id = storage.new_campaign(issued=2)
    query = urlencode(queries(json.dumps({"campaignId": campaign_id, "view": view}))[way])
    status, printed = run_curl(
        f"{services[server].url}/coupon.v1.CouponService/GetCampaign?{query}",
        f"authorization: {credentials.admin}",
        options=["-i"],
    )
    head, _, body = printed.replace("\r\n", "\n").partition("\n\n")
    headers = dict(line.lower().split(": ", 1) for line in head.splitlines()[1:])
    codes = storage.read(campaign_id).codes
    assert status == 200
    assert (headers["content-type"], headers["cache-control"]) == ("application/json", "no-store")
    assert json.loads(body).get("couponCodes", []) == (codes if view.endswith("FULL") else [])


@pytest.mark.parametrize("server", SERVERS)
def test_a_claim_by_get_is_refused_and_takes_nothing(
    services: dict[str, Service], credentials: Credentials, storage: Storage, server: str
) -> None:
    campaign_id = storage.new_campaign()
    query = urlencode(queries(json.dumps({"campaignId": campaign_id}))["plain"])
    status, _ = run_curl(
        f"{services[server].url}/coupon.v1.CouponService/IssueCoupon?{query}",
        f"authorization: {credentials.admin}",
    )
    assert status == 405
    assert storage.read(campaign_id).codes == []
