"""Callers who take their time, at every stage of a call."""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from loadtest.attack.families.family import Family
from loadtest.attack.families.strangers import TLS_HELLO
from loadtest.attack.http2 import DATA, END_HEADERS, HEADERS, PREFACE, frame, headers_of, settings
from loadtest.attack.round import Round
from loadtest.attack.shots import JSON, SERVICE, Request, head
from loadtest.attack.target import KEEP_ALIVE_SECONDS, RECEIVE_SECONDS_MAX, SEND_SECONDS_MAX
from loadtest.attack.wire import wire

CALLERS_OF_EACH = 8
READERS = 4
# What the service and this machine may take beyond the time that is set.
GRACE_SECONDS = 4
BYTE_PAUSE_SECONDS = 0.2
# Larger than all buffers between two processes.
LARGE_COUPONS = 300_000

HEAD = head(b"POST", SERVICE + b"GetCampaign", [*JSON, (b"content-length", b"1000")])
CALL = Request(target=SERVICE + b"GetCampaign", headers=tuple(JSON), body=b"{}" * 500)


async def strike(at_work: Round) -> None:
    """Be slow in every way at once, and once more while there is time."""
    while True:
        async with asyncio.TaskGroup() as group:
            for stage in (*STAGES, *(HTTP2_STAGES if at_work.speaks_http2 else ())):
                for _ in range(CALLERS_OF_EACH):
                    group.create_task(stage(at_work))
            group.create_task(_slow_readers(at_work))
        if at_work.is_over:
            return


def _slow(
    name: str, at_once: bytes, slowly: bytes, *, seconds: float
) -> Callable[[Round], Awaitable[None]]:
    """Return a caller who sends some bytes and then others one by one; he is to be cut off."""

    async def call(at_work: Round) -> None:
        async with wire(at_work.target.url) as connection:
            await connection.send(at_once)

            async def trickle() -> None:
                for place in range(len(slowly)):
                    await asyncio.sleep(BYTE_PAUSE_SECONDS)
                    await connection.send(slowly[place : place + 1])

            trickling = asyncio.create_task(trickle())
            took = await connection.closed_within(seconds + GRACE_SECONDS)
            trickling.cancel()
            await asyncio.wait([trickling])
        at_work.count("not cut" if took is None else "cut")
        if took is None:
            limit = seconds + GRACE_SECONDS
            at_work.violated(f"After {limit:.0f} s it still held on to: {name}.", at_once)

    return call


_IDLE = KEEP_ALIVE_SECONDS + RECEIVE_SECONDS_MAX
STAGES = (
    _slow("a connection without a request", b"", b"", seconds=_IDLE),
    _slow("half a request line", HEAD[:9], b"", seconds=RECEIVE_SECONDS_MAX),
    _slow("a head byte by byte", b"", HEAD[:-4] * 9, seconds=RECEIVE_SECONDS_MAX),
    _slow("a head without an end", HEAD[:-2], b"", seconds=RECEIVE_SECONDS_MAX),
    _slow("a body byte by byte", HEAD, b" " * 900, seconds=RECEIVE_SECONDS_MAX),
    _slow("half a body", HEAD + b"{", b"", seconds=RECEIVE_SECONDS_MAX),
    _slow("half a TLS hello", TLS_HELLO[:30], b"", seconds=_IDLE),
    _slow("an idle connection", head(b"GET", b"/healthz"), b"", seconds=_IDLE),
)
_OPEN = PREFACE + settings()
_BEGUN = _OPEN + frame(HEADERS, headers_of(CALL), flags=END_HEADERS, stream=1)
HTTP2_STAGES = (
    _slow("half a preface of HTTP/2", PREFACE[:10], b"", seconds=_IDLE),
    _slow("a connection of HTTP/2 without a request", _OPEN, b"", seconds=_IDLE),
    _slow(
        "headers of HTTP/2 without an end",
        _OPEN + frame(HEADERS, headers_of(CALL), stream=1),
        b"",
        seconds=_IDLE,
    ),
    _slow("a stream of HTTP/2 without its body", _BEGUN, b"", seconds=_IDLE),
    _slow("a body of HTTP/2 byte by byte", _BEGUN, frame(DATA, b"{", stream=1) * 90, seconds=_IDLE),
)


async def _slow_readers(at_work: Round) -> None:
    """Ask for a large answer and do not read it."""
    campaign_id = await at_work.target.large_campaign(LARGE_COUPONS)
    async with asyncio.TaskGroup() as group:
        for _ in range(READERS):
            group.create_task(_slow_reader(at_work, campaign_id))


async def _slow_reader(at_work: Round, campaign_id: str) -> None:
    parts = urlsplit(at_work.target.url)
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(0)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(connection, (parts.hostname, parts.port))
        body = b'{"campaignId":"%b"}' % campaign_id.encode()
        request = at_work.authorized(
            Request(target=SERVICE + b"GetCampaign", headers=tuple(JSON), body=body)
        )
        await loop.sock_sendall(connection, request.as_http1())
        first = await asyncio.wait_for(loop.sock_recv(connection, 1024), 30)
        await asyncio.sleep(SEND_SECONDS_MAX + GRACE_SECONDS)
        byte_count = len(first) + await _rest(connection)
    is_whole = byte_count > LARGE_COUPONS * 30
    at_work.count("not cut" if is_whole else "cut")
    if is_whole:
        limit = SEND_SECONDS_MAX + GRACE_SECONDS
        at_work.violated(f"After {limit:.0f} s it still held on to an answer that nobody read.")


async def _rest(connection: socket.socket) -> int:
    """Return how many bytes still come until the end."""
    loop = asyncio.get_running_loop()
    count, give_up_at = 0, time.monotonic() + 30
    try:
        while time.monotonic() < give_up_at:
            data = await asyncio.wait_for(loop.sock_recv(connection, 1 << 20), 10)
            count += len(data)
            if not data:
                break
    except (ConnectionError, TimeoutError):
        pass
    return count


FAMILY = Family(
    name="slowness",
    title="callers who are slow at every stage: to begin, to send, to read, to go",
    strike=strike,
    memory_megabytes_max=400,
)
