"""Claims that cannot get through in time, over every way in."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import pytest
from interop.access import Credentials
from interop.calls import NotMade
from interop.campaigns import Storage
from interop.cells import cell, lanes_of
from interop.clients import Clients
from interop.conftest import QUEUE_LIMIT, AskRefused
from interop.held import claims_waiting, held
from interop.lanes import SERVERS, Lane
from support.refusals import ERROR_INFO, RETRY_INFO, Refusal, of_grpc_web, of_json
from support.service import Service
from support.wire import GRPC_WEB, JSON, Answer, HeaderList, envelope, post, wire

from coupon_service.gen.coupon.v1.coupon_pb import IssueCouponRequest
from loadtest.attack.http2 import exchange_http2
from loadtest.attack.judging import grpc_trailers
from loadtest.attack.shots import GRPC, SERVICE, Request

ANSWERS_WITHIN_SECONDS = 30
# gRPC's number for a deadline that has passed.
DEADLINE_EXCEEDED = "4"


@dataclass(frozen=True, kw_only=True, slots=True)
class Waiting:
    """Campaigns whose rows are locked: claims wait, and those of `full` find no room."""

    campaign_id: str
    full: str


@pytest.fixture(scope="module")
def waiting(
    interop_database_url: str,
    storage: Storage,
    services: dict[str, Service],
    credentials: Credentials,
    clients: Clients,
) -> Iterator[Waiting]:
    """Keep both up for the tests of this module, and see what they took in the end."""
    made = Waiting(campaign_id=storage.new_campaign(), full=storage.new_campaign(limit=1000))
    # Some take long to make, and the rows cannot be held for ever.
    clients.make_all(lanes_of("late"))
    with held(
        claims_waiting(
            interop_database_url,
            [service.url for service in services.values()],
            credentials.admin,
            campaign_id=made.campaign_id,
            full_campaign_id=made.full,
            queue_limit=QUEUE_LIMIT,
        )
    ):
        yield made
    # Only the claims that filled the lines have coupons, none of those of the tests.
    campaigns = [storage.read(each) for each in (made.campaign_id, made.full)]
    under_way = [None] * len(services)
    assert [each.user_ids for each in campaigns] == [under_way, under_way * (1 + QUEUE_LIMIT)]


def refused_as_late(ask_refused: AskRefused, fields: dict[str, str]) -> Refusal:
    """Claim with a deadline that passes once the call was made.

    buf curl counts its own start, which takes longer on a busy machine.
    """
    for timeout_ms in (150, 1_000):
        with suppress(NotMade):
            return ask_refused("IssueCoupon", fields, timeout_ms=timeout_ms)
    return ask_refused("IssueCoupon", fields, timeout_ms=10_000)


@cell("late")
def test_a_claim_whose_deadline_passes_is_told_so_and_takes_nothing(
    ask_refused: AskRefused, lane: Lane, waiting: Waiting
) -> None:
    refusal = refused_as_late(ask_refused, {"campaignId": waiting.campaign_id, "userId": lane.id})
    assert refusal.code == "deadline_exceeded"


def asked(url: str, body: bytes, headers: HeaderList) -> Answer:
    """Claim as nobody does who keeps a deadline of his own."""

    async def ask() -> Answer:
        async with wire(url) as connection:
            return await connection.ask(post("IssueCoupon", body, headers))

    return asyncio.run(ask())


def a_claim(waiting: Waiting, user_id: str) -> IssueCouponRequest:
    return IssueCouponRequest(campaign_id=waiting.campaign_id, user_id=user_id)


# That none of the claims below takes anything is seen at the end of `waiting`.


@pytest.mark.parametrize("server", SERVERS)
def test_the_service_itself_keeps_a_deadline_of_connect(
    services: dict[str, Service], credentials: Credentials, waiting: Waiting, server: str
) -> None:
    deadline = (b"connect-timeout-ms", b"300")
    headers = [*JSON, deadline, (b"authorization", credentials.admin.encode())]
    body = a_claim(waiting, f"Connect {server}").to_json().encode()
    answer = asked(services[server].url, body, headers)
    assert (answer.status, of_json(answer.body).code) == (504, "deadline_exceeded")


@pytest.mark.parametrize("server", SERVERS)
def test_the_service_itself_keeps_a_deadline_of_grpc_web(
    services: dict[str, Service], credentials: Credentials, waiting: Waiting, server: str
) -> None:
    deadline = (b"grpc-timeout", b"300m")
    headers = [*GRPC_WEB, deadline, (b"authorization", credentials.admin.encode())]
    body = envelope(a_claim(waiting, f"gRPC-Web {server}").to_binary())
    answer = asked(services[server].url, body, headers)
    assert (answer.status, of_grpc_web(answer).code) == (200, DEADLINE_EXCEEDED)


def test_the_service_itself_keeps_a_deadline_of_grpc(
    services: dict[str, Service], credentials: Credentials, waiting: Waiting
) -> None:
    deadline = (b"grpc-timeout", b"300m")
    request = Request(
        target=SERVICE + b"IssueCoupon",
        headers=(*GRPC, deadline, (b"authorization", credentials.admin.encode())),
        body=envelope(a_claim(waiting, "gRPC").to_binary()),
    )
    got = asyncio.run(
        exchange_http2(services["pyvoy"].url, request, seconds_max=ANSWERS_WITHIN_SECONDS)
    )
    assert [grpc_trailers(answer)["grpc-status"] for answer in got.answers] == [DEADLINE_EXCEEDED]


@cell("refusals", "OVERLOADED")
def test_a_claim_beyond_the_queue_may_come_again(
    ask_refused: AskRefused, lane: Lane, waiting: Waiting
) -> None:
    refusal = ask_refused("IssueCoupon", {"campaignId": waiting.full, "userId": lane.id})
    assert refusal.summary == ("unavailable", "OVERLOADED", "coupon.v1", (ERROR_INFO, RETRY_INFO))
    assert refusal.retry_seconds is not None
    assert 0.1 <= refusal.retry_seconds <= 1
