"""What gRPC's own tools ask a server for: its schema, and its health."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from interop.calls import COUPONS, HEALTH
from interop.held import held
from support.databases import Databases
from support.service import Service

Status = health_pb2.HealthCheckResponse


@pytest.fixture
def channel(services: dict[str, Service]) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(urlsplit(services["pyvoy"].url).netloc) as channel:
        yield channel


def test_reflection_names_the_services_and_no_more(channel: grpc.Channel) -> None:
    names = ProtoReflectionDescriptorDatabase(channel).get_services()
    assert sorted(names) == [
        COUPONS,
        HEALTH,
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    ]


def test_reflection_shows_every_rpc_with_its_messages(channel: grpc.Channel) -> None:
    pool = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
    service = pool.FindServiceByName(COUPONS)
    assert [(rpc.name, rpc.input_type.name) for rpc in service.methods] == [
        ("CreateCampaign", "CreateCampaignRequest"),
        ("GetCampaign", "GetCampaignRequest"),
        ("IssueCoupon", "IssueCouponRequest"),
    ]
    start_time = service.methods[0].input_type.fields_by_name["start_time"]
    assert start_time.message_type.full_name == "google.protobuf.Timestamp"


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
