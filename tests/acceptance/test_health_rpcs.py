"""gRPC's health service, with gRPC's own client too, and how its watchers end."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import asyncpg
import grpc
import pytest
from conftest import ServiceStarter
from connectrpc.errors import ConnectError
from connectrpc.protocol import ProtocolType
from grpc_health.v1 import health_pb2, health_pb2_grpc
from support import plain
from support.service import Service

from coupon_service.gen.grpc.health.v1.health_connect import HealthClient
from coupon_service.gen.grpc.health.v1.health_pb import HealthCheckRequest, HealthCheckResponse

Status = HealthCheckResponse.ServingStatus
SERVICES = ["", "coupon.v1.CouponService", "grpc.health.v1.Health"]
PROTOCOLS = [ProtocolType.CONNECT, ProtocolType.GRPC_WEB]
SERVERS = ["uvicorn", "pyvoy"]
ANSWERS_WITHIN_SECONDS = 30


@contextmanager
def googles_client(service: Service) -> Iterator[health_pb2_grpc.HealthStub]:
    """Yield gRPC's own client of the health service."""
    with grpc.insecure_channel(service.url.removeprefix("http://")) as channel:
        yield health_pb2_grpc.HealthStub(channel)


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_check_answers_for_each_service(
    shared_service: Service, protocol: ProtocolType
) -> None:
    async with HealthClient(shared_service.url, protocol=protocol) as health:
        answers = [await health.check(HealthCheckRequest(service=each)) for each in SERVICES]
        with pytest.raises(ConnectError) as raised:
            await health.check(HealthCheckRequest(service="coupon.v1.Coupon"))
    assert [each.status for each in answers] == [Status.SERVING] * 3
    assert (raised.value.code.value, raised.value.message) == (
        "not_found",
        "There is no service of this name.",
    )


async def test_check_can_be_asked_with_curl(shared_service: Service) -> None:
    answer = await plain.post(f"{shared_service.url}/grpc.health.v1.Health/Check", {})
    assert (answer.status_code, answer.json()) == (200, {"status": "SERVING"})


async def until(stream: Any, status: Status) -> None:  # noqa: ANN401 # of either client
    """Read a watch until it sends a status."""
    async with asyncio.timeout(ANSWERS_WITHIN_SECONDS):
        async for each in stream:
            if each.status == status:
                return
    raise AssertionError(f"ended without {status}")


@pytest.mark.parametrize("server", SERVERS)
async def test_watchers_follow_readyz_and_end_with_the_service(
    start_service: ServiceStarter,
    database_url: str,
    connection: asyncpg.Connection,
    server: str,
) -> None:
    service = start_service("--workers", "1", "--server", server, database_url=database_url)
    async with HealthClient(service.url) as health:
        watches = [aiter(health.watch(HealthCheckRequest(service=each))) for each in SERVICES]
        unknown = aiter(health.watch(HealthCheckRequest(service="unknown")))
        await asyncio.gather(*(until(watch, Status.SERVING) for watch in watches))
        await until(unknown, Status.SERVICE_UNKNOWN)
        await connection.execute("ALTER TABLE alembic_version RENAME TO away")
        await asyncio.gather(*(until(watch, Status.NOT_SERVING) for watch in watches))
        assert (await plain.get(f"{service.url}/readyz")).status_code == 503
        await connection.execute("ALTER TABLE away RENAME TO alembic_version")
        await asyncio.gather(*(until(watch, Status.SERVING) for watch in watches))
        stopping = asyncio.create_task(asyncio.to_thread(service.stop))
        rest = [[each.status async for each in watch] for watch in (*watches, unknown)]
        assert rest == [[Status.NOT_SERVING]] * 3 + [[]]
        assert await stopping == 0
    assert "a worker did not stop in time; killing it" not in [x["event"] for x in service.log]


def test_googles_client_reads_it_where_there_is_http_2(
    start_service: ServiceStarter, database_url: str
) -> None:
    service = start_service("--workers", "2", "--server", "pyvoy", database_url=database_url)
    with googles_client(service) as health:
        answers = [health.Check(health_pb2.HealthCheckRequest(service=each)) for each in SERVICES]
        with pytest.raises(grpc.RpcError) as raised:
            health.Check(health_pb2.HealthCheckRequest(service="unknown"))
        watch = health.Watch(health_pb2.HealthCheckRequest())
        first = next(watch)
        assert service.stop() == 0
        rest = list(watch)
    assert [each.status for each in answers] == [health_pb2.HealthCheckResponse.SERVING] * 3
    assert raised.value.code() is grpc.StatusCode.NOT_FOUND
    assert [each.status for each in (first, *rest)] == [
        health_pb2.HealthCheckResponse.SERVING,
        health_pb2.HealthCheckResponse.NOT_SERVING,
    ]
