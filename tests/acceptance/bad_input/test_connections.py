"""Connections that are used oddly."""

import httpx
from acceptance.bad_input.asking import GOOD_JSON, Ask
from support.service import Service
from support.wire import head, post, wire


async def test_callers_that_hang_up_half_way_disturb_nobody(
    shared_service: Service, ask: Ask
) -> None:
    whole = post("CreateCampaign", GOOD_JSON)
    for length in range(0, len(whole), 7):
        async with wire(shared_service.url) as connection:
            await connection.send(whole[:length])
    assert (await ask(whole)).status == 200


async def test_pipelined_requests_are_answered_in_order(shared_service: Service) -> None:
    requests = [
        post("CreateCampaign", GOOD_JSON),
        post("CreateCampaign", b"{"),
        head(b"GET", b"/healthz"),
        head(b"GET", b"/nonsense"),
    ]
    async with wire(shared_service.url) as connection:
        await connection.send(b"".join(requests))
        answers = [await connection.answer() for _ in requests]
    assert [answer.status for answer in answers] == [200, 400, 200, 404]


async def test_a_client_library_is_served_after_all_this(
    shared_service: Service, campaign_id: str
) -> None:
    async with httpx.AsyncClient(base_url=shared_service.url) as plain:
        response = await plain.post(
            "/coupon.v1.CouponService/IssueCoupon", json={"campaignId": campaign_id}
        )
    assert response.status_code == 200
