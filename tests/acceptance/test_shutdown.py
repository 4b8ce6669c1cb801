"""Stopping the service while calls are under way loses nothing that was acknowledged."""

import asyncio
import os
import signal
from urllib.parse import urlsplit
from uuid import UUID

import asyncpg
import pytest
from acceptance.conftest import create_campaign
from conftest import ServiceStarter
from connectrpc.errors import ConnectError
from support.locks import row_locked, until_statements_wait
from support.refusals import call
from support.service import Service

from coupon_service.gen.coupon.v1 import coupon_pb as pb

CLAIMS = 20


async def is_refused(service: Service) -> bool:
    """Tell whether a new connection is refused."""
    parts = urlsplit(service.url)
    try:
        _, writer = await asyncio.open_connection(parts.hostname, parts.port)
    except OSError:
        return True
    writer.close()
    return False


async def until_new_connections_are_refused(service: Service) -> None:
    async with asyncio.timeout(30):
        while not await is_refused(service):
            await asyncio.sleep(0.01)


async def claim(service: Service, campaign_id: str, user_id: str) -> pb.Coupon:
    request = pb.IssueCouponRequest(campaign_id=campaign_id, user_id=user_id)
    answer = await call(service.url, "connect-binary", request)
    assert isinstance(answer, pb.IssueCouponResponse)
    assert answer.coupon is not None
    return answer.coupon


@pytest.mark.parametrize("server", ["uvicorn", "pyvoy"])
@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
async def test_calls_under_way_are_answered_and_stored_before_the_service_ends(
    start_service: ServiceStarter,
    database_url: str,
    connection: asyncpg.Connection,
    signal_number: signal.Signals,
    server: str,
) -> None:
    service = start_service(
        "--workers", "1", database_url=database_url, queue_limit=CLAIMS - 1, server=server
    )
    campaign_id = await create_campaign(service.url)
    async with row_locked(connection, UUID(campaign_id)):
        claims = {asyncio.create_task(claim(service, campaign_id, "the first"))}
        await until_statements_wait(database_url)
        # One more than there is room for in the line: when it is refused, the line is full.
        racing = [
            asyncio.create_task(claim(service, campaign_id, f"user {number}"))
            for number in range(CLAIMS)
        ]
        [refused], waiting = await asyncio.wait(racing, return_when=asyncio.FIRST_COMPLETED)
        assert isinstance(refused.exception(), ConnectError)
        claims |= waiting
        service.process.send_signal(signal_number)
        await until_new_connections_are_refused(service)
        assert [each.done() for each in claims] == [False] * CLAIMS
    coupons = await asyncio.gather(*claims)
    assert await asyncio.to_thread(service.process.wait, 30) == 0
    rows = await connection.fetch("SELECT code, sequence, user_id FROM coupon ORDER BY sequence")
    assert [tuple(row) for row in rows] == sorted(
        ((coupon.code, coupon.sequence, coupon.user_id) for coupon in coupons),
        key=lambda row: row[1],
    )
    assert [row["sequence"] for row in rows] == list(range(1, CLAIMS + 1))
    assert service.log[-1]["event"] == "stopped"
    assert [entry for entry in service.log if entry.get("level") == "error"] == []


@pytest.mark.parametrize("server", ["uvicorn", "pyvoy"])
async def test_an_idle_service_stops_at_once_with_status_0(
    start_service: ServiceStarter, database_url: str, server: str
) -> None:
    service = start_service("--workers", "2", database_url=database_url, server=server)
    workers = service.worker_pids()
    assert await asyncio.to_thread(service.stop) == 0
    assert len(workers) == 2
    assert await is_refused(service)


@pytest.mark.parametrize("server", ["uvicorn", "pyvoy"])
async def test_idle_connections_do_not_hold_up_the_end(
    start_service: ServiceStarter, database_url: str, server: str
) -> None:
    service = start_service("--workers", "1", database_url=database_url, server=server)
    parts = urlsplit(service.url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
    assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
    assert await asyncio.to_thread(service.stop) == 0
    writer.close()


async def test_a_worker_that_hears_of_the_stop_twice_still_answers_its_calls(
    start_service: ServiceStarter, database_url: str, connection: asyncpg.Connection
) -> None:
    # A terminal's Ctrl+C reaches every process, and the supervisor tells its workers as well.
    # (Workers of pyvoy leave the terminal's group.)
    service = start_service("--workers", "1", database_url=database_url)
    campaign_id = await create_campaign(service.url)
    async with row_locked(connection, UUID(campaign_id)):
        claims = [asyncio.create_task(claim(service, campaign_id, f"user {n}")) for n in range(3)]
        await until_statements_wait(database_url)
        (worker,) = service.worker_pids()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGINT):
            os.kill(worker, number)
            await asyncio.sleep(0.1)
        service.process.send_signal(signal.SIGTERM)
        await until_new_connections_are_refused(service)
    coupons = await asyncio.gather(*claims)
    assert sorted(coupon.sequence for coupon in coupons) == [1, 2, 3]
    assert await asyncio.to_thread(service.process.wait, 30) == 0
    assert service.noise() == []
