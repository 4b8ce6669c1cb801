"""Server reflection: the schema without a schema, for those who may have it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import grpc
import pytest
from conftest import ServiceStarter
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from grpc_reflection.v1alpha.reflection_pb2 import (
    ServerReflectionRequest,
    ServerReflectionResponse,
)
from support.service import Service
from support.wire import envelope, head, wire

BUF = str(Path(sys.executable).with_name("buf"))
SERVICES = [
    "coupon.v1.CouponService",
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
]
VERSIONS = ["v1", "v1alpha"]
H2C = ["--http2-prior-knowledge"]
LIST = ServerReflectionRequest(list_services="").SerializeToString()
STREAM = (b"content-type", b"application/connect+proto")
NOBODY = "00000000-0000-0000-0000-000000000000"


def info_of(version: str) -> bytes:
    return f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo".encode()


@pytest.mark.parametrize("version", VERSIONS)
async def test_over_http_1_it_answers_who_asks_first_and_reads_then(
    shared_service: Service, version: str
) -> None:
    body = envelope(LIST)
    length = (b"content-length", str(len(body)).encode())
    async with wire(shared_service.url) as connection:
        answer = await connection.ask(head(b"POST", info_of(version), [STREAM, length]) + body)
    size = int.from_bytes(answer.body[1:5])
    got = ServerReflectionResponse.FromString(answer.body[5 : 5 + size])
    assert [each.name for each in got.list_services_response.service] == SERVICES
    assert json.loads(answer.body[10 + size :]) == {}


def test_googles_client_learns_the_schema(shared_pyvoy: Service) -> None:
    with grpc.insecure_channel(shared_pyvoy.url.removeprefix("http://")) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        names = database.get_services()
        pool = DescriptorPool(database)
        services = [pool.FindServiceByName(name) for name in SERVICES]
        rpcs = [(rpc.name, rpc.input_type.name) for each in services for rpc in each.methods]
        request = services[0].methods_by_name["CreateCampaign"].input_type
    assert names == SERVICES
    assert rpcs == [
        *((name, f"{name}Request") for name in ("CreateCampaign", "GetCampaign", "IssueCoupon")),
        *((name, "HealthCheckRequest") for name in ("Check", "Watch")),
        *[("ServerReflectionInfo", "ServerReflectionRequest")] * 2,
    ]
    start_time = request.fields_by_name["start_time"]
    assert start_time.message_type.full_name == "google.protobuf.Timestamp"


def buf_curl(directory: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run `buf curl` where it finds no schema."""
    return subprocess.run(
        [BUF, "curl", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=directory,
        timeout=60,
    )


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("protocol", "also"),
    [
        ("connect", []),
        ("connect", H2C),
        ("grpc", H2C),  # it has no other way without TLS
        ("grpcweb", []),
        ("grpcweb", H2C),
    ],
    ids=["connect", "connect-h2c", "grpc-h2c", "grpcweb", "grpcweb-h2c"],
)
def test_buf_curl_needs_no_schema(
    shared_pyvoy: Service, tmp_path: Path, version: str, protocol: str, also: list[str]
) -> None:
    ended = buf_curl(
        tmp_path,
        *("--reflect", "--reflect-protocol", f"grpc-{version}", "--protocol", protocol, *also),
        *("--data", json.dumps({"campaignId": NOBODY})),
        f"{shared_pyvoy.url}/coupon.v1.CouponService/GetCampaign",
    )
    assert json.loads(ended.stderr)["code"] == "not_found"


def test_buf_curl_lists_the_services(shared_pyvoy: Service, tmp_path: Path) -> None:
    ended = buf_curl(tmp_path, *H2C, "--list-services", shared_pyvoy.url)
    assert (ended.returncode, ended.stdout.split()) == (0, SERVICES)


async def test_it_can_be_turned_off(start_service: ServiceStarter, shared_url: str) -> None:
    service = start_service("--workers", "1", database_url=shared_url, reflection="false")
    body = envelope(LIST)
    length = (b"content-length", str(len(body)).encode())
    answers: list[Any] = []
    for version in VERSIONS:
        async with wire(service.url) as connection:
            request = head(b"POST", info_of(version), [STREAM, length]) + body
            answers.append(await connection.ask(request))
    assert [(each.status, each.json()["code"]) for each in answers] == [(404, "unimplemented")] * 2
