"""Callers that hang up while they wait in line get no coupon, and cost the others none."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import asyncpg
import pytest
from conftest import ServiceStarter
from support.locks import row_locked, until_statements_wait
from support.service import Service
from support.stored import assert_sound, stored
from support.wire import GRPC_WEB, JSON, Wire, envelope, head, post, wire

from coupon_service.domain import Campaign
from coupon_service.gen.coupon.v1 import coupon_pb as pb

Create = Callable[..., Awaitable[Campaign]]

LEAVERS = 8
STAYERS = 4


def claim(campaign: Campaign, user_id: str) -> bytes:
    asked = {"campaignId": str(campaign.campaign_id), "userId": user_id}
    return post("IssueCoupon", json.dumps(asked).encode())


def grpc_web_claim(campaign: Campaign, user_id: str) -> bytes:
    asked = pb.IssueCouponRequest(campaign_id=str(campaign.campaign_id), user_id=user_id)
    return post("IssueCoupon", envelope(asked.to_binary()), GRPC_WEB)


def read(campaign: Campaign) -> bytes:
    return post("GetCampaign", json.dumps({"campaignId": str(campaign.campaign_id)}).encode(), JSON)


async def until_all_is_read(service: Service) -> None:
    """Wait until the one worker has read whatever was sent to it before."""
    async with wire(service.url) as connection:
        for _ in range(3):
            assert (await connection.ask(head(b"GET", b"/healthz"))).status == 200


def hang_up(leaver: Wire, *, politely: bool) -> None:
    """Close a connection with or without the handshake that says so."""
    if politely:
        leaver.writer.close()
    else:
        leaver.writer.transport.abort()


@pytest.mark.parametrize("ask", [claim, grpc_web_claim])
async def test_claims_whose_callers_hang_up_in_line_get_nothing_and_the_others_their_coupons(
    start_service: ServiceStarter,
    database_url: str,
    create: Create,
    connection: asyncpg.Connection,
    ask: Callable[[Campaign, str], bytes],
) -> None:
    campaign = await create()
    service = start_service(
        "--workers", "1", database_url=database_url, queue_limit=LEAVERS + STAYERS
    )
    async with AsyncExitStack() as stack:
        names = ["first"]
        names += [f"{'gone' if i % 3 else 'stays'} {i}" for i in range(LEAVERS + STAYERS)]
        wires = [await stack.enter_async_context(wire(service.url)) for _ in names]
        for each in wires[::2]:  # over connections kept from earlier calls, and over new ones
            for _ in "12":
                assert (await each.ask(read(campaign))).status == 200
        async with row_locked(connection, campaign.campaign_id):
            await wires[0].send(ask(campaign, names[0]))
            await until_statements_wait(database_url)
            # Anonymous ones among those who go, of whom no user id would tell.
            for name, each in zip(names[1:], wires[1:], strict=True):
                await each.send(ask(campaign, "" if name in {"gone 1", "gone 2"} else name))
                await until_all_is_read(service)
            async with wire(service.url) as one_too_many:
                refused = await one_too_many.ask(claim(campaign, "x"))
            assert refused.json()["code"] == "unavailable", "the others are not all in line"
            leavers = [w for n, w in zip(names, wires, strict=True) if n.startswith("gone")]
            for number, leaver in enumerate(leavers):
                hang_up(leaver, politely=number % 4 < 2)
            await until_all_is_read(service)
        answers = [
            await each.answer()
            for name, each in zip(names, wires, strict=True)
            if not name.startswith("gone")
        ]
        # Whoever was in line has had its turn then.
        last = await wires[0].ask(claim(campaign, "last"))
    found = await stored(connection, campaign.campaign_id)

    assert [answer.status for answer in [*answers, last]] == [200] * (STAYERS + 2)
    assert found.user_ids == [*(n for n in names if not n.startswith("gone")), "last"]
    assert found.issued_count == STAYERS + 2
    assert_sound(found)
    assert await asyncio.to_thread(service.stop) == 0
    assert [entry for entry in service.log if entry.get("level") == "error"] == []
