"""What gRPC's own tools ask a server to tell them: how its health changes."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from interop.calls import COUPONS
from interop.held import held
from support.databases import Databases
from support.service import Service

Status = health_pb2.HealthCheckResponse


@pytest.fixture
def channel(services: dict[str, Service]) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(urlsplit(services["pyvoy"].url).netloc) as channel:
        yield channel


def test_watching_tells_of_the_database_going_and_coming(
    channel: grpc.Channel, databases: Databases, interop_database_url: str
) -> None:
    request = health_pb2.HealthCheckRequest(service=COUPONS)
    watching = health_pb2_grpc.HealthStub(channel).Watch(request, timeout=60)
    told = [next(watching).status]
    with held(databases.away(interop_database_url)):
        told.append(next(watching).status)
    told.append(next(watching).status)
    watching.cancel()
    assert told == [Status.SERVING, Status.NOT_SERVING, Status.SERVING]
