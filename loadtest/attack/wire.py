"""Connections of HTTP/1.1 that carry whatever bytes they are given."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from loadtest.attack.answers import Answer, Exchange, read_answers
from loadtest.attack.shots import Shot, Wanted

CONNECT_SECONDS_MAX = 10
# After a refusal, so long is waited for what is not to follow.
LISTEN_SECONDS = 0.2
READ_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Wire:
    """A connection to the service."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        """Send bytes; a peer that has closed already is not an error."""
        with contextlib.suppress(ConnectionError):
            self.writer.write(data)
            await self.writer.drain()

    async def read(self, byte_count: int = READ_BYTES) -> bytes:
        """Return what came, or nothing once the peer has closed or reset."""
        try:
            return await self.reader.read(byte_count)
        except ConnectionError:
            return b""

    async def closed_within(self, seconds: float) -> float | None:
        """Read on until the peer closes; return how many seconds that took, None if longer."""
        begun = time.monotonic()
        try:
            async with asyncio.timeout(seconds):
                while await self.read():
                    pass
        except TimeoutError:
            return None
        return time.monotonic() - begun


@contextlib.asynccontextmanager
async def wire(url: str) -> AsyncIterator[Wire]:
    """Connect to a URL's host and port.

    Raises:
        OSError, TimeoutError: it cannot be reached.
    """
    parts = urlsplit(url)
    async with asyncio.timeout(CONNECT_SECONDS_MAX):
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        yield Wire(reader, writer)
    finally:
        writer.transport.abort()


async def exchange(url: str, shot: Shot, *, seconds_max: float) -> Exchange:
    """Send a shot over a connection of its own, and read what comes back.

    Raises:
        NotHttp: that is not HTTP/1.1.
        OSError, TimeoutError: the service cannot be reached.
    """
    begun = time.monotonic()
    async with wire(url) as connection:
        # Who is refused half-way is told so while still sending.
        sending = asyncio.create_task(connection.send(shot.data))
        try:
            return await _read(connection, shot, begun, begun + seconds_max)
        finally:
            sending.cancel()
            await asyncio.wait([sending])


async def _read(connection: Wire, shot: Shot, begun: float, give_up_at: float) -> Exchange:
    data = b""
    method = shot.data.partition(b" ")[0]
    answers: list[Answer] = []
    rest, is_closed = b"", False
    while not is_closed:
        try:
            async with asyncio.timeout(max(0, give_up_at - time.monotonic())):
                more = await connection.read()
        except TimeoutError:
            break
        data, is_closed = data + more, not more
        answers, rest = _answers(data, is_closed=is_closed, method=method, shot=shot)
        if len(answers) >= shot.answer_count:
            if shot.wanted is not Wanted.REFUSED:
                break
            give_up_at = min(give_up_at, time.monotonic() + LISTEN_SECONDS)
    return Exchange(
        answers=answers,
        rest=rest,
        is_closed=is_closed,
        is_over=is_closed or len(answers) >= shot.answer_count,
        seconds=time.monotonic() - begun,
    )


def _answers(
    data: bytes, *, is_closed: bool, method: bytes, shot: Shot
) -> tuple[list[Answer], bytes]:
    # The method is reserved for this: whoever names it speaks HTTP/2.
    if shot.data.startswith(b"PRI ") and not data.startswith(b"HTTP/"):
        return [], b""
    return read_answers(data, is_closed=is_closed, method=method)
