"""Callers who do not read what they are answered, or read it slowly, on both servers."""

import asyncio
import socket
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import asyncpg
import grpc
import psutil
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, Event, StreamReset
from support.campaigns import insert
from support.service import Service, eventually, running_service
from support.wire import JSON, envelope, post

from coupon_service.gen.coupon.v1 import coupon_pb as pb

SEND_SECONDS_MAX = 1
# An answer with so many codes is more than sockets hold.
CODES = 100_000
ENDS_WITHIN_SECONDS = 30


@pytest.fixture(scope="module")
def campaign_id(own_url: str) -> str:
    """A campaign that has issued so many coupons that an answer with all is long."""

    async def make() -> str:
        sql = await asyncpg.connect(own_url)
        made = await insert(sql, limit=CODES, issued=CODES)
        await sql.close()
        return made

    return asyncio.run(make())


@pytest.fixture(scope="module", params=["uvicorn", "pyvoy"])
def impatient(request: pytest.FixtureRequest, own_url: str) -> Iterator[Service]:
    """A service that does not wait long for its callers to read, and whose log stays clean."""
    with running_service(
        *("--server", request.param),
        database_url=own_url,
        send_seconds_max=SEND_SECONDS_MAX,
        # What pyvoy gives a call to be answered counts as well.
        connect_seconds_max=1,
        statement_seconds_max=1,
        settle_seconds_max=1,
    ) as service:
        yield service
        assert service.stop() == 0
        assert service.noise() == []


@pytest.fixture
def caller(impatient: Service) -> Iterator[socket.socket]:
    """A connection that takes up little of what is sent to it."""
    parts = urlsplit(impatient.url)
    with socket.socket() as made:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        made.settimeout(ENDS_WITHIN_SECONDS)
        made.connect((parts.hostname, parts.port))
        yield made


def read(campaign_id: str) -> bytes:
    """Return a request for every code, after which the connection ends."""
    body = f'{{"campaignId":"{campaign_id}"}}'.encode()
    return post("GetCampaign", body, [*JSON, (b"connection", b"close")])


def is_held(service: Service, caller: socket.socket) -> bool:
    """Tell whether a process of the service has a caller's connection open."""
    _, port = caller.getsockname()
    processes = psutil.Process(service.process.pid).children(recursive=True)
    peers = [each.raddr for process in processes for each in process.net_connections("tcp")]
    return any(peer and peer.port == port for peer in peers)


def test_an_answer_that_is_not_read_is_given_up(
    impatient: Service, caller: socket.socket, campaign_id: str
) -> None:
    caller.sendall(read(campaign_id))
    assert caller.recv(12) == b"HTTP/1.1 200"
    assert is_held(impatient, caller)
    eventually(lambda: not is_held(impatient, caller), within_seconds=ENDS_WITHIN_SECONDS)


def test_an_answer_that_is_read_slowly_is_not_given_up(
    caller: socket.socket, campaign_id: str
) -> None:
    """It takes several times as long as an answer is kept that is not read at all."""
    caller.sendall(read(campaign_id))
    began_at = time.monotonic()
    byte_count = 0
    while piece := caller.recv(16_384):
        byte_count += len(piece)
        if time.monotonic() < began_at + 3 * SEND_SECONDS_MAX:
            time.sleep(0.02)
    # A code is ten characters, most of them of three bytes, between quotes.
    assert byte_count > CODES * 20


# uvicorn speaks no HTTP/2.
@pytest.mark.parametrize("impatient", ["pyvoy"], indirect=True)
def test_a_stream_that_its_caller_gives_no_room_is_given_up(
    caller: socket.socket, campaign_id: str
) -> None:
    spoken = H2Connection(H2Configuration(header_encoding="utf-8"))
    spoken.initiate_connection()
    rpc = "/coupon.v1.CouponService/GetCampaign"
    head = {":method": "POST", ":scheme": "http", ":authority": "x", ":path": rpc}
    grpc = {"content-type": "application/grpc", "te": "trailers"}
    spoken.send_headers(1, [*head.items(), *grpc.items()])
    asked = pb.GetCampaignRequest(campaign_id=campaign_id).to_binary()
    spoken.send_data(1, envelope(asked), end_stream=True)
    caller.sendall(spoken.data_to_send())
    events: list[Event] = []
    while not any(isinstance(each, StreamReset | ConnectionTerminated) for each in events):
        # What comes is taken from the socket, but no more is asked for.
        data = caller.recv(65_536)
        if not data:
            break
        events += spoken.receive_data(data)
    assert spoken.remote_flow_control_window(1) == 0


# As above.
@pytest.mark.parametrize("impatient", ["pyvoy"], indirect=True)
def test_a_watcher_who_is_told_nothing_is_not_given_up(impatient: Service) -> None:
    with grpc.insecure_channel(urlsplit(impatient.url).netloc) as channel:
        request = health_pb2.HealthCheckRequest()
        watching = health_pb2_grpc.HealthStub(channel).Watch(request, timeout=10)
        told = [next(watching).status]
        with pytest.raises(grpc.RpcError) as ended:
            next(watching)
    # Its own time was up, and not the service's patience, which is less than half of it.
    assert ended.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert told == [health_pb2.HealthCheckResponse.SERVING]
