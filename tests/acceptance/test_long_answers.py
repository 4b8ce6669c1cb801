"""Answers of several pages of codes, over every protocol; and no answer is compressed."""

import asyncio
import gzip
from urllib.parse import quote

import asyncpg
import pytest
from acceptance.conftest import CampaignCreator
from support.callers import Answer, claim_until
from support.refusals import PROTOCOLS, client
from support.service import Service
from support.wire import GRPC_WEB, JSON, PROTO, envelope, get, post, wire

from coupon_service import queries
from coupon_service.codes import random_codes
from coupon_service.gen.coupon.v1 import coupon_pb as pb
from coupon_service.store import CODES_OF_A_PAGE

CODES = 2 * CODES_OF_A_PAGE + 7
GETS = ("connect-json by GET", "connect-binary by GET")


async def issue(sql: asyncpg.Connection, campaign_id: str, count: int) -> list[str]:
    """Issue coupons as a process of the service would, and return their codes."""
    codes = random_codes(count)
    await sql.fetchrow(queries.CLAIM, campaign_id, 0, codes, [None] * count)
    return codes


async def shown(url: str, way: str, campaign_id: str) -> tuple[int, list[str]]:
    """Read a campaign's count and codes by a protocol, or by a protocol's GET."""
    request = pb.GetCampaignRequest(campaign_id=campaign_id)
    protocol = way.removesuffix(" by GET")
    async with client(url, protocol) as calls:
        answer = await calls.get_campaign(request, use_get=way in GETS)
    assert answer.campaign is not None
    return answer.campaign.issued_count, list(answer.coupon_codes)


@pytest.mark.parametrize("way", [*PROTOCOLS, *GETS])
async def test_every_code_of_several_pages_is_shown_in_order_of_issue(
    shared_service: Service, create_shared: CampaignCreator, sql: asyncpg.Connection, way: str
) -> None:
    campaign_id = await create_shared(limit=CODES)
    codes = await issue(sql, campaign_id, CODES)
    assert await shown(shared_service.url, way, campaign_id) == (CODES, codes)


async def test_the_count_and_the_codes_belong_together_while_issuing_goes_on(
    shared_service: Service, create_shared: CampaignCreator, sql: asyncpg.Connection
) -> None:
    campaign_id = await create_shared(limit=1_000_000)
    await issue(sql, campaign_id, CODES)
    stop = asyncio.Event()
    claims: list[Answer] = []
    claiming = asyncio.create_task(
        claim_until(shared_service.url, campaign_id, stop, callers=4, into=claims)
    )

    async def read(way: str) -> list[tuple[int, list[str]]]:
        """Read until the campaign was seen at five counts."""
        seen: dict[int, list[str]] = {}
        while len(seen) < 5:
            count, codes = await shown(shared_service.url, way, campaign_id)
            seen[count] = codes
        return list(seen.items())

    try:
        readings = await asyncio.gather(*map(read, [*PROTOCOLS, *GETS]))
    finally:
        stop.set()
        await claiming
    rows = await sql.fetch(
        "SELECT code FROM coupon WHERE campaign_id = $1 ORDER BY sequence", campaign_id
    )
    codes = [row["code"] for row in rows]
    assert len(codes) == CODES + len(claims)
    for count, seen in (each for reading in readings for each in reading):
        assert count >= CODES
        assert seen == codes[:count]


# Compression -------------------------------------------------------------------------

ACCEPTING = [(b"accept-encoding", b"gzip, deflate, br, zstd"), (b"grpc-accept-encoding", b"gzip")]


def requests(rpc: str, campaign_id: str) -> dict[str, bytes]:
    """Return an RPC's calls in every protocol, from callers who accept compressed answers."""
    asked = (pb.IssueCouponRequest if rpc == "IssueCoupon" else pb.GetCampaignRequest)(
        campaign_id=campaign_id
    )
    calls = {
        "JSON": post(rpc, asked.to_json().encode(), [*JSON, *ACCEPTING]),
        "binary": post(rpc, asked.to_binary(), [*PROTO, *ACCEPTING]),
        "gRPC-Web": post(rpc, envelope(asked.to_binary()), [*GRPC_WEB, *ACCEPTING]),
    }
    if rpc == "GetCampaign":
        query = b"encoding=json&message=" + quote(asked.to_json()).encode()
        calls["GET"] = get(rpc, query, ACCEPTING)
    return calls


@pytest.mark.parametrize("rpc", ["IssueCoupon", "GetCampaign"])
async def test_no_answer_is_compressed_although_the_caller_accepts_it(
    shared_service: Service, create_shared: CampaignCreator, sql: asyncpg.Connection, rpc: str
) -> None:
    campaign_id = await create_shared(limit=CODES + 10)
    codes = await issue(sql, campaign_id, CODES)
    for way, request in requests(rpc, campaign_id).items():
        async with wire(shared_service.url) as connection:
            answer = await connection.ask(request)
        encodings = {answer.headers.get(name) for name in ("content-encoding", "grpc-encoding")}
        assert (way, answer.status, encodings - {None, "identity"}) == (way, 200, set())
        assert campaign_id.encode() in answer.body
        if way == "gRPC-Web":
            assert answer.body[0] == 0, "the flag of a compressed message"
        if rpc == "GetCampaign":
            assert all(code.encode() in answer.body for code in codes)


@pytest.mark.parametrize("way", ["JSON", "binary", "gRPC-Web"])
async def test_a_compressed_request_is_understood(
    shared_service: Service, create_shared: CampaignCreator, sql: asyncpg.Connection, way: str
) -> None:
    campaign_id = await create_shared()
    asked = pb.IssueCouponRequest(campaign_id=campaign_id, user_id="a")
    json, binary = (gzip.compress(data) for data in (asked.to_json().encode(), asked.to_binary()))
    request = {
        "JSON": post("IssueCoupon", json, [*JSON, (b"content-encoding", b"gzip"), *ACCEPTING]),
        "binary": post("IssueCoupon", binary, [*PROTO, (b"content-encoding", b"gzip")]),
        "gRPC-Web": post(
            "IssueCoupon", envelope(binary, flags=1), [*GRPC_WEB, (b"grpc-encoding", b"gzip")]
        ),
    }[way]
    async with wire(shared_service.url) as connection:
        assert (await connection.ask(request)).status == 200
    users = await sql.fetch("SELECT user_id FROM coupon WHERE campaign_id = $1", campaign_id)
    assert [row["user_id"] for row in users] == ["a"]
