"""Callers who send too much, too slowly or nothing, or do not read, on both servers."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from typing import cast
from urllib.parse import urlsplit

import pytest
from conftest import ServiceStarter
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, DataReceived, Event, ResponseReceived
from support.refusals import of_json
from support.service import Service, running_service
from support.wire import (
    CHUNKED,
    JSON,
    Answer,
    Wire,
    assert_closed,
    chunk,
    envelope,
    head,
    post,
    wire,
)

from coupon_service.serving.http2_notice import BYTES_MAX, MESSAGE

SERVERS = ("uvicorn", "pyvoy")
HEAD_BYTES_MAX = 4096
# As docs/security.md promises.
HEADERS_MAX = 100
INVALID = ("invalid_argument", "INVALID_REQUEST", "coupon.v1")
GOOD = head(b"GET", b"/healthz")
ENDS_WITHIN_SECONDS = 30


@pytest.fixture(scope="module", params=SERVERS)
def strict(request: pytest.FixtureRequest, own_url: str) -> Iterator[Service]:
    """A service that is not patient, and whose log shall stay clean."""
    with running_service(
        *("--server", request.param),
        database_url=own_url,
        head_bytes_max=HEAD_BYTES_MAX,
        receive_seconds_max=1,
        send_seconds_max=1,
    ) as service:
        yield service
        assert service.stop() == 0
        assert service.noise() == []


@pytest.fixture
async def caller(strict: Service) -> AsyncIterator[Wire]:
    async with wire(strict.url) as made:
        yield made


def assert_invalid(answer: Answer, field: str) -> None:
    got = of_json(answer.body)
    assert (answer.status, answer.headers["content-type"]) == (400, "application/json")
    assert answer.headers["cache-control"] == "no-store"
    assert ((got.code, got.reason, got.domain), got.fields) == (INVALID, (field,))


async def test_a_head_within_the_limit_is_read(caller: Wire) -> None:
    long = (b"x-long", b"a" * (HEAD_BYTES_MAX - 200))
    assert (await caller.ask(head(b"GET", b"/healthz", [long]))).status == 200


@pytest.mark.parametrize("size", [HEAD_BYTES_MAX + 100, 1_000_000])
async def test_a_head_that_is_too_large_is_refused(caller: Wire, size: int) -> None:
    answer = await caller.ask(head(b"GET", b"/healthz", [(b"x-long", b"a" * size)]))
    assert_invalid(answer, "headers")
    await assert_closed(caller)


async def test_a_path_that_is_larger_than_a_head_may_be_is_refused(caller: Wire) -> None:
    answer = await caller.ask(head(b"GET", b"/healthz?" + b"a" * HEAD_BYTES_MAX))
    assert_invalid(answer, "headers")
    await assert_closed(caller)


async def test_a_head_that_is_too_large_is_refused_before_it_ends(caller: Wire) -> None:
    endless = head(b"GET", b"/healthz", [(b"x-long", b"a" * HEAD_BYTES_MAX)])[:-4]
    assert_invalid(await caller.ask(endless), "headers")
    await assert_closed(caller)


async def test_as_many_headers_as_allowed_are_read(caller: Wire) -> None:
    # One is the host.
    several = [(b"x-%d" % number, b"") for number in range(HEADERS_MAX - 1)]
    assert (await caller.ask(head(b"GET", b"/healthz", several))).status == 200


async def test_one_header_too_many_is_refused(caller: Wire) -> None:
    several = [(b"x-%d" % number, b"") for number in range(HEADERS_MAX)]
    assert_invalid(await caller.ask(head(b"GET", b"/healthz", several)), "headers")
    await assert_closed(caller)


@pytest.mark.parametrize(
    "part",
    [
        head(b"GET", b"/healthz")[:-2],
        head(b"POST", b"/coupon.v1.CouponService/IssueCoupon", [*JSON, (b"content-length", b"9")])
        + b"{",
    ],
    ids=["head", "body"],
)
async def test_a_request_that_does_not_arrive_is_refused(caller: Wire, part: bytes) -> None:
    await caller.send(part)
    assert_invalid(await caller.answer(), "request")
    await assert_closed(caller)


async def test_a_request_line_that_does_not_end_is_given_up(strict: Service, caller: Wire) -> None:
    await caller.send(b"GET /hea")
    if "pyvoy" in cast("list[str]", strict.process.args):
        # It waits for the first line to know the protocol, and so cannot answer yet.
        await assert_closed(caller)
    else:
        assert_invalid(await caller.answer(), "request")


@pytest.mark.parametrize("server", SERVERS)
async def test_each_request_of_a_connection_has_the_whole_time_to_arrive(
    start_service: ServiceStarter, database_url: str, server: str
) -> None:
    service = start_service(server=server, database_url=database_url, receive_seconds_max=3)
    async with wire(service.url) as caller:
        for _ in range(5):
            await caller.send(GOOD[:-2])
            await asyncio.sleep(1.1)
            assert (await caller.ask(GOOD[-2:])).status == 200


async def test_a_trickle_is_no_arrival(caller: Wire) -> None:
    async def trickle() -> None:
        await caller.send(head(b"GET", b"/healthz")[:-2])
        while True:
            await caller.send(b"x-more: y\r\n")
            await asyncio.sleep(0.1)

    dripping = asyncio.create_task(trickle())
    assert_invalid(await caller.answer(), "request")
    dripping.cancel()


async def test_a_connection_on_which_nothing_ever_comes_is_closed(caller: Wire) -> None:
    await assert_closed(caller)


async def test_a_call_that_takes_its_time_to_be_answered_is_not_slow(caller: Wire) -> None:
    """A request that has arrived may be answered late; only its arrival is timed."""
    assert (await caller.ask(GOOD)).status == 200
    # Idle, which the limit of idle connections is for.
    await asyncio.sleep(3)
    assert (await caller.ask(GOOD)).status == 200


@pytest.mark.parametrize("nonsense", [b"nonsense\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc"])
async def test_what_is_no_http_is_refused(caller: Wire, nonsense: bytes) -> None:
    answer = await caller.ask(nonsense)
    assert_invalid(answer, "request")
    await assert_closed(caller)


async def test_another_request_is_answered_before_a_bad_one_ends_the_connection(
    shared_service: Service,
) -> None:
    async with wire(shared_service.url) as caller:
        await caller.send(head(b"GET", b"/readyz") + b"nonsense\r\n\r\n")
        assert (await caller.answer()).json() == {"status": "ready"}
        await assert_closed(caller)


async def _spoken_http2(
    service: Service, request: list[tuple[str, str]], body: bytes
) -> dict[str, object]:
    """Make a request in HTTP/2 and return what came back."""
    parts = urlsplit(service.url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    spoken = H2Connection(H2Configuration(header_encoding="utf-8"))
    spoken.initiate_connection()
    spoken.send_headers(1, request)
    spoken.send_data(1, body, end_stream=True)
    writer.write(spoken.data_to_send())
    heard: dict[str, object] = {"body": b""}
    async with asyncio.timeout(ENDS_WITHIN_SECONDS):
        while data := await reader.read(65_536):
            for event in spoken.receive_data(data):
                match event:
                    case ResponseReceived():
                        heard |= {str(name): value for name, value in event.headers}
                    case DataReceived():
                        heard["body"] = event.data
                    case ConnectionTerminated():
                        heard["goaway"] = event.error_code
    writer.close()
    return heard


async def test_http2_without_grpc_is_told_so_by_uvicorn(shared_service: Service) -> None:
    path = [(":method", "GET"), (":scheme", "http"), (":authority", "x"), (":path", "/healthz")]
    heard = await _spoken_http2(shared_service, path, b"")
    assert (heard[":status"], heard["body"], heard["goaway"]) == ("505", MESSAGE.encode(), 0)


async def _events(caller: Wire, spoken: H2Connection) -> list[Event]:
    """Read until something is said, or the connection ends."""
    events: list[Event] = []
    async with asyncio.timeout(ENDS_WITHIN_SECONDS):
        while not any(isinstance(each, ResponseReceived | ConnectionTerminated) for each in events):
            data = await caller.reader.read(65_536)
            if not data:
                break
            events += spoken.receive_data(data)
    return events


@pytest.mark.parametrize("ends", [True, False], ids=["ends late", "never ends"])
async def test_http2_is_not_ended_by_uvicorn_while_a_request_still_comes(
    shared_service: Service, *, ends: bool
) -> None:
    spoken = H2Connection(H2Configuration(header_encoding="utf-8"))
    spoken.initiate_connection()
    path = [(":method", "POST"), (":scheme", "http"), (":authority", "x"), (":path", "/x")]
    spoken.send_headers(1, path)
    async with wire(shared_service.url) as caller:
        await caller.send(spoken.data_to_send())
        answered = await _events(caller, spoken)
        assert any(isinstance(each, ResponseReceived) for each in answered)
        # A client forgets the answer if the connection ends while it still sends.
        assert not any(isinstance(each, ConnectionTerminated) for each in answered)
        if ends:
            spoken.end_stream(1)
            await caller.send(spoken.data_to_send())
        ended = await _events(caller, spoken)
        assert any(isinstance(each, ConnectionTerminated) for each in ended)
        await assert_closed(caller)


async def test_http2_that_goes_on_and_on_is_cut_by_uvicorn(
    start_service: ServiceStarter, database_url: str
) -> None:
    service = start_service(server="uvicorn", database_url=database_url)
    async with wire(service.url) as caller:
        await caller.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9) + b"x" * BYTES_MAX * 2)
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(ENDS_WITHIN_SECONDS):
                while await caller.reader.read(65_536):
                    pass
    assert service.stop() == 0
    assert service.noise() == []


async def test_http2_that_asks_for_nothing_on_and_on_is_cut_by_uvicorn(
    shared_service: Service,
) -> None:
    spoken = H2Connection(H2Configuration())
    spoken.initiate_connection()
    begun = spoken.data_to_send()
    spoken.ping(b"12345678")
    ping = spoken.data_to_send()
    byte_count = 0
    async with wire(shared_service.url) as caller:
        await caller.send(begun + ping * (3 * BYTES_MAX // len(ping)))
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(ENDS_WITHIN_SECONDS):
                while data := await caller.reader.read(65_536):
                    byte_count += len(data)
    # Each ping is answered with as many bytes, until there were too many of them.
    assert byte_count < 2 * BYTES_MAX


@pytest.mark.parametrize("server", SERVERS)
async def test_blank_lines_do_not_keep_an_idle_connection(
    start_service: ServiceStarter, database_url: str, server: str
) -> None:
    service = start_service(
        server=server, database_url=database_url, keep_alive_seconds=1, receive_seconds_max=1
    )
    async with wire(service.url) as caller:
        assert (await caller.ask(GOOD)).status == 200
        await caller.send(b"\r\n")
        # pyvoy takes them for a request that does not arrive, and says so.
        async with asyncio.timeout(ENDS_WITHIN_SECONDS):
            with contextlib.suppress(ConnectionError):
                await caller.reader.read()


async def test_a_stream_whose_answer_has_begun_and_that_does_not_go_on_is_given_up(
    start_service: ServiceStarter, database_url: str
) -> None:
    service = start_service(server="uvicorn", database_url=database_url, receive_seconds_max=1)
    info = b"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
    kind = (b"content-type", b"application/connect+json")
    asked = envelope(b'{"listServices":""}')
    async with wire(service.url) as caller:
        await caller.send(head(b"POST", info, [kind, *CHUNKED]) + chunk(asked))
        assert (await caller.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        async with asyncio.timeout(ENDS_WITHIN_SECONDS):
            with contextlib.suppress(ConnectionError):
                await caller.reader.read()
    assert service.stop() == 0
    assert service.noise() == []


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize(
    "request_bytes",
    [post("IssueCoupon", b"{}"), head(b"GET", b"/healthz"), head(b"GET", b"/nothing")],
    ids=["rpc", "probe", "nothing"],
)
async def test_a_caller_of_http_1_0_gets_an_answer_that_it_can_read(
    shared: Service, request_bytes: bytes
) -> None:
    async with wire(shared.url) as caller:
        await caller.send(request_bytes.replace(b" HTTP/1.1\r\n", b" HTTP/1.0\r\n", 1))
        async with asyncio.timeout(ENDS_WITHIN_SECONDS):
            answered = await caller.reader.read()
    headers, _, body = answered.partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in headers.lower()
    assert isinstance(json.loads(body), dict)
