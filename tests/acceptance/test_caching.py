"""No answer is kept on its way to its caller: it may hold codes, which are worth money."""

import json

import httpx
import pytest
from acceptance.conftest import CampaignCreator
from support.refusals import call
from support.service import Service

from coupon_service.gen.coupon.v1 import coupon_pb as pb

NOBODY = "00000000-0000-0000-0000-000000000000"
VIEWS = ["CAMPAIGN_VIEW_FULL", "CAMPAIGN_VIEW_BASIC"]


async def asked_both_ways(url: str, fields: dict[str, str]) -> list[httpx.Response]:
    """Ask for a campaign by GET and by POST."""
    message = json.dumps(fields)
    async with httpx.AsyncClient(base_url=f"{url}/coupon.v1.CouponService") as client:
        by_get = await client.get("/GetCampaign", params={"encoding": "json", "message": message})
        return [by_get, await client.post("/GetCampaign", json=fields)]


@pytest.mark.parametrize("view", VIEWS)
async def test_a_campaign_is_not_stored(
    shared_service: Service, create_shared: CampaignCreator, view: str
) -> None:
    campaign_id = await create_shared()
    await call(shared_service.url, "connect-binary", pb.IssueCouponRequest(campaign_id=campaign_id))
    answers = await asked_both_ways(shared_service.url, {"campaignId": campaign_id, "view": view})
    codes = [len(answer.json().get("couponCodes", [])) for answer in answers]
    assert codes == [1 if view == "CAMPAIGN_VIEW_FULL" else 0] * 2
    assert [answer.headers.get_list("cache-control") for answer in answers] == [["no-store"]] * 2


@pytest.mark.parametrize(
    ("campaign_id", "status"), [(NOBODY, 404), ("nonsense", 400)], ids=["unknown", "invalid"]
)
async def test_a_refusal_is_not_stored(
    shared_service: Service, campaign_id: str, status: int
) -> None:
    answers = await asked_both_ways(shared_service.url, {"campaignId": campaign_id})
    assert [answer.status_code for answer in answers] == [status] * 2
    assert [answer.headers.get_list("cache-control") for answer in answers] == [["no-store"]] * 2


async def test_an_issued_coupon_is_not_stored(
    shared_service: Service, create_shared: CampaignCreator
) -> None:
    campaign_id = await create_shared()
    async with httpx.AsyncClient(
        base_url=f"{shared_service.url}/coupon.v1.CouponService"
    ) as client:
        answer = await client.post("/IssueCoupon", json={"campaignId": campaign_id})
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
