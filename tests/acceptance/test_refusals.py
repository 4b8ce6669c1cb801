"""Every refusal of the contract, end to end, the same in every protocol."""

import asyncio
import json
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import httpx
import pytest
import uvicorn
from acceptance.conftest import CampaignCreator, create_campaign
from conftest import ServiceStarter
from connectrpc.request import RequestContext
from support import plain
from support.databases import Databases
from support.refusals import (
    BAD_REQUEST,
    ERROR_INFO,
    PROTOCOLS,
    RETRY_INFO,
    Refusal,
    call,
    refusal,
    refusals,
)
from support.service import Service, eventually, running_service

from coupon_service import errors
from coupon_service.error_border import ErrorBorder
from coupon_service.gen.coupon.v1 import coupon_pb as pb
from coupon_service.gen.coupon.v1.coupon_connect import (
    CouponService,
    CouponServiceASGIApplication,
)

HOUR = timedelta(hours=1)
DOMAIN = "coupon.v1"
INTERNAL = Refusal(code="internal", message="internal error")


def claim_of(campaign_id: str, user_id: str = "") -> pb.IssueCouponRequest:
    return pb.IssueCouponRequest(campaign_id=campaign_id, user_id=user_id)


async def assert_refused(
    url: str, request: pb.IssueCouponRequest | pb.GetCampaignRequest, status: int, want: Refusal
) -> None:
    """Hold that every protocol carries the refusal, to the word."""
    got_status, got = await refusals(url, request)
    assert (got_status, got) == (status, [want] * 4)


@pytest.fixture(scope="module")
def own_service(own_url: str) -> Iterator[Service]:
    """A service whose database the tests of this module may disturb."""
    with running_service(database_url=own_url, pool_size=4) as service:
        yield service


@pytest.fixture
async def own_sql(own_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(own_url)
    yield connection
    await connection.close()


# Refusals of one campaign ------------------------------------------------------------


async def test_invalid_request_names_every_bad_field(shared_service: Service) -> None:
    status, got = await refusals(
        shared_service.url, pb.CreateCampaignRequest(name="a\0b", coupon_limit=0)
    )
    want = ("invalid_argument", "INVALID_REQUEST", DOMAIN, (ERROR_INFO, BAD_REQUEST))
    assert status == 400
    assert [each.summary for each in got] == [want] * 4
    assert [each.fields for each in got] == [("name", "coupon_limit", "start_time")] * 4


async def test_a_bad_campaign_id_and_user_id_are_both_named(shared_service: Service) -> None:
    _, got = await refusals(shared_service.url, claim_of("nonsense", "u" * 129))
    assert [each.fields for each in got] == [("campaign_id", "user_id")] * 4


@pytest.mark.parametrize("rpc", [pb.IssueCouponRequest, pb.GetCampaignRequest])
async def test_a_campaign_that_does_not_exist_is_not_found(
    shared_service: Service, rpc: type[pb.IssueCouponRequest | pb.GetCampaignRequest]
) -> None:
    want = Refusal(
        code="not_found",
        message="There is no campaign with this id.",
        reason="CAMPAIGN_NOT_FOUND",
        domain=DOMAIN,
        details=(ERROR_INFO,),
    )
    await assert_refused(shared_service.url, rpc(campaign_id=str(uuid4())), 404, want)


async def test_before_the_start_the_refusal_says_when_to_come_back(
    shared_service: Service, create_shared: CampaignCreator, sql: asyncpg.Connection
) -> None:
    start = datetime.now(UTC).replace(microsecond=250) + HOUR
    campaign_id = await create_shared(start=start)
    before = await sql.fetchval("SELECT clock_timestamp()")
    status, got = await refusals(shared_service.url, claim_of(campaign_id, "alice"))
    after = await sql.fetchval("SELECT clock_timestamp()")
    want = ("failed_precondition", "CAMPAIGN_NOT_STARTED", DOMAIN, (ERROR_INFO, RETRY_INFO))
    assert status == 400
    assert [each.summary for each in got] == [want] * 4
    assert {each.message for each in got} == {"The campaign has not started yet."}
    assert {datetime.fromisoformat(each.metadata["start_time"]) for each in got} == {start}
    assert all(each.metadata["start_time"].endswith("Z") for each in got)
    least, most = (start - after).total_seconds(), (start - before).total_seconds()
    # Waiting that long must not be too short; the margin above is for the round trip.
    assert all(least - 0.25 <= (each.retry_seconds or 0) <= most + 0.25 for each in got)


async def test_a_paused_campaign_is_refused_without_a_delay(
    shared_service: Service, create_shared: CampaignCreator, sql: asyncpg.Connection
) -> None:
    campaign_id = await create_shared()
    await sql.execute("UPDATE campaign SET pause_time = now() WHERE campaign_id = $1", campaign_id)
    want = Refusal(
        code="failed_precondition",
        message="The campaign is paused.",
        reason="CAMPAIGN_PAUSED",
        domain=DOMAIN,
        details=(ERROR_INFO,),
    )
    await assert_refused(shared_service.url, claim_of(campaign_id), 400, want)


async def test_an_ended_campaign_is_refused_without_a_delay(
    shared_service: Service, create_shared: CampaignCreator, sql: asyncpg.Connection
) -> None:
    campaign_id = await create_shared()
    await sql.execute("UPDATE campaign SET end_time = now() WHERE campaign_id = $1", campaign_id)
    want = Refusal(
        code="failed_precondition",
        message="The campaign has ended.",
        reason="CAMPAIGN_ENDED",
        domain=DOMAIN,
        details=(ERROR_INFO,),
    )
    await assert_refused(shared_service.url, claim_of(campaign_id), 400, want)


async def test_a_sold_out_campaign_is_refused_for_good(
    shared_service: Service, create_shared: CampaignCreator
) -> None:
    campaign_id = await create_shared(limit=1)
    await call(shared_service.url, "connect-binary", claim_of(campaign_id))
    want = Refusal(
        code="resource_exhausted",
        message="Every coupon of this campaign has been issued.",
        reason="SOLD_OUT",
        domain=DOMAIN,
        details=(ERROR_INFO,),
    )
    await assert_refused(shared_service.url, claim_of(campaign_id), 429, want)
    await assert_refused(shared_service.url, claim_of(campaign_id, "somebody"), 429, want)


# Refusals of the whole service -------------------------------------------------------


async def test_claims_beyond_the_queue_are_refused_and_take_nothing(
    start_service: ServiceStarter, database_url: str, connection: asyncpg.Connection
) -> None:
    service = start_service("--workers", "1", database_url=database_url, queue_limit=1)
    campaign_id = await create_campaign(service.url)
    claim = claim_of(campaign_id)
    async with connection.transaction():
        await connection.execute(
            "SELECT FROM campaign WHERE campaign_id = $1 FOR UPDATE", campaign_id
        )
        under_way = asyncio.create_task(call(service.url, "connect-binary", claim))
        await _until_a_claim_waits_for_the_row(connection)
        # One of two finds room in the queue, the other does not.
        racing = [asyncio.create_task(call(service.url, "connect-binary", claim)) for _ in "12"]
        done, [queued] = await asyncio.wait(racing, return_when=asyncio.FIRST_COMPLETED)
        status, got = await refusals(service.url, claim)
    want = ("unavailable", "OVERLOADED", DOMAIN, (ERROR_INFO, RETRY_INFO))
    assert status == 503
    assert [each.summary for each in got] == [want] * 4
    assert all(0.1 <= (each.retry_seconds or 0) <= 1 for each in got)
    assert len({each.retry_seconds for each in got}) > 1, "no jitter"
    assert [type(each.exception()).__name__ for each in done] == ["ConnectError"]
    answers = [await under_way, await queued]
    assert all(isinstance(each, pb.IssueCouponResponse) for each in answers)
    assert await connection.fetchval("SELECT count(*) FROM coupon") == 2


async def _until_a_claim_waits_for_the_row(connection: asyncpg.Connection) -> None:
    async with asyncio.timeout(30):
        while not await connection.fetchval(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        ):
            await asyncio.sleep(0.01)


def ready(service: Service) -> int:
    return httpx.get(f"{service.url}/readyz").status_code


async def test_while_the_database_is_away_calls_are_refused_and_after_it_answered(
    own_service: Service, own_url: str, databases: Databases
) -> None:
    campaign_id = await create_campaign(own_service.url)
    name = urlsplit(own_url).path[1:]
    workers = own_service.worker_pids()
    await databases.run(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    try:
        await databases.run(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
        )
        # The first calls after the break may find that their connections are gone.
        eventually(lambda: ready(own_service) == 503)
        answers = [
            await refusals(own_service.url, request)
            for request in (
                claim_of(campaign_id),
                claim_of(campaign_id, "alice"),
                pb.GetCampaignRequest(campaign_id=campaign_id),
            )
        ]
        alive = await plain.get(f"{own_service.url}/healthz")
        status_away = ready(own_service), alive.status_code
    finally:
        await databases.run(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    want = ("unavailable", "STORAGE_UNAVAILABLE", DOMAIN, (ERROR_INFO, RETRY_INFO))
    assert [status for status, _ in answers] == [503] * 3
    assert [each.summary for _, got in answers for each in got] == [want] * 12
    assert all(0.1 <= (each.retry_seconds or 0) <= 1 for _, got in answers for each in got)
    assert status_away == (503, 200)
    eventually(lambda: ready(own_service) == 200)
    answer = await call(own_service.url, "connect-binary", claim_of(campaign_id, "alice"))
    assert isinstance(answer, pb.IssueCouponResponse)
    assert answer.coupon is not None
    # Nothing that was refused has taken a place in line.
    assert (answer.coupon.sequence, answer.already_issued) == (1, False)
    assert own_service.worker_pids() == workers


async def test_what_goes_wrong_inside_is_an_internal_error_and_nothing_more(
    own_service: Service, own_sql: asyncpg.Connection
) -> None:
    campaign_id = await create_campaign(own_service.url)
    await call(own_service.url, "connect-binary", claim_of(campaign_id, "alice"))
    requests = claim_of(campaign_id, "bob"), pb.GetCampaignRequest(campaign_id=campaign_id)
    await own_sql.execute("ALTER TABLE coupon RENAME TO coupon_away")
    try:
        answers = [await refusals(own_service.url, request) for request in requests]
    finally:
        await own_sql.execute("ALTER TABLE coupon_away RENAME TO coupon")
    assert answers == [(500, [INTERNAL] * 4)] * 2
    answer = await call(own_service.url, "connect-binary", requests[0])
    assert isinstance(answer, pb.IssueCouponResponse)
    assert answer.coupon is not None
    assert answer.coupon.sequence == 2


async def test_the_log_of_an_internal_error_holds_no_secret_of_the_caller_or_the_database(
    own_service: Service, own_sql: asyncpg.Connection
) -> None:
    campaign_id = await create_campaign(own_service.url)
    logged_before = len(own_service.log)
    await own_sql.execute("ALTER TABLE coupon RENAME TO coupon_away")
    try:
        response = await plain.post(
            f"{own_service.url}/coupon.v1.CouponService/IssueCoupon",
            {"campaignId": campaign_id},
            {"authorization": "Bearer token-of-the-caller"},
        )
    finally:
        await own_sql.execute("ALTER TABLE coupon_away RENAME TO coupon")
    assert response.status_code == 500
    entries = eventually(
        lambda: [
            entry for entry in own_service.log[logged_before:] if entry["event"] == "a call failed"
        ]
    )
    assert "UndefinedTableError" in json.dumps(entries), "the cause is logged"
    assert "token-of-the-caller" not in json.dumps(entries)


# Refusals that nothing raises yet, behind the real border ---------------------------


class Raising(CouponService):
    """Raises the error whose class is the request's user_id."""

    async def issue_coupon(
        self,
        request: pb.IssueCouponRequest,
        _ctx: RequestContext[pb.IssueCouponRequest, pb.IssueCouponResponse],
        /,
    ) -> pb.IssueCouponResponse:
        kinds: dict[str, Callable[[], Exception]] = {
            "OutcomeUnknown": errors.OutcomeUnknown,
            "PermissionDenied": errors.PermissionDenied,
            "Unauthenticated": errors.Unauthenticated,
            "RuntimeError": lambda: RuntimeError('File "x.py", SELECT 1'),
            "TimeoutError": lambda: TimeoutError("inner text"),
        }
        error = kinds[request.user_id]()
        raise error


@pytest.fixture(scope="module")
def raising_url() -> Iterator[str]:
    app: Any = CouponServiceASGIApplication(Raising(), interceptors=[ErrorBorder()])
    config = uvicorn.Config(app, lifespan="off", log_config=None, ws="none", http="httptools")
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        eventually(lambda: server.started)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join()


@pytest.mark.parametrize(
    ("error", "status", "code", "reason"),
    [
        (errors.OutcomeUnknown, 500, "unknown", "OUTCOME_UNKNOWN"),
        (errors.Unauthenticated, 401, "unauthenticated", "UNAUTHENTICATED"),
        (errors.PermissionDenied, 403, "permission_denied", "PERMISSION_DENIED"),
    ],
)
async def test_a_refusal_is_the_same_in_every_protocol(
    raising_url: str, error: type[errors.Refused], status: int, code: str, reason: str
) -> None:
    want = Refusal(
        code=code,
        message=(error.__doc__ or "").strip(),
        reason=reason,
        domain=DOMAIN,
        details=(ERROR_INFO,),
    )
    await assert_refused(raising_url, claim_of("", error.__name__), status, want)


async def test_an_error_of_any_other_class_is_internal(raising_url: str) -> None:
    await assert_refused(raising_url, claim_of("", "RuntimeError"), 500, INTERNAL)


async def test_a_timeout_inside_is_a_passed_deadline(raising_url: str) -> None:
    want = Refusal(code="deadline_exceeded", message="The deadline passed.")
    await assert_refused(raising_url, claim_of("", "TimeoutError"), 504, want)


async def test_an_rpc_without_implementation_is_unimplemented(raising_url: str) -> None:
    got = [
        (await refusal(raising_url, protocol, pb.GetCampaignRequest())).code
        for protocol in PROTOCOLS
    ]
    assert got == ["unimplemented"] * 3
