"""HTTP as bytes on a socket, for requests that no client library would send."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

ANSWERS_WITHIN_SECONDS = 30
ENDS_WITHIN_SECONDS = 30
RPC_PREFIX = b"/coupon.v1.CouponService/"

HeaderList = Sequence[tuple[bytes, bytes]]

JSON = ((b"content-type", b"application/json"),)
PROTO = ((b"content-type", b"application/proto"),)
GRPC_WEB = ((b"content-type", b"application/grpc-web+proto"),)
CHUNKED = ((b"transfer-encoding", b"chunked"),)


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What came back; `status` 0 means that the connection was closed without an answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:  # noqa: ANN401 # whatever JSON it is
        return json.loads(self.body)


NO_ANSWER = Answer(status=0, headers={}, body=b"")


@dataclass
class Wire:
    """A connection to the service."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def ask(self, request: bytes) -> Answer:
        """Send bytes and read one answer."""
        await self.send(request)
        return await self.answer()

    async def send(self, data: bytes) -> None:
        """Send bytes; a peer that has closed already is not an error."""
        try:
            self.writer.write(data)
            await self.writer.drain()
        except ConnectionError:
            return

    async def answer(self) -> Answer:
        """Read one answer, or NO_ANSWER if the connection is closed instead."""
        async with asyncio.timeout(ANSWERS_WITHIN_SECONDS):
            try:
                return await self._answer()
            except (asyncio.IncompleteReadError, ConnectionError):
                return NO_ANSWER

    async def _answer(self) -> Answer:
        head = await self.reader.readuntil(b"\r\n\r\n")
        status_line, *lines = head.decode("latin-1").split("\r\n")[:-2]
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines)
        }
        if headers.get("transfer-encoding") == "chunked":
            body = await self._chunks()
        else:
            body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        return Answer(status=int(status_line.split()[1]), headers=headers, body=body)

    async def _chunks(self) -> bytes:
        body = b""
        while size := int(await self.reader.readline(), 16):
            body += await self.reader.readexactly(size)
            await self.reader.readline()
        await self.reader.readline()
        return body


@contextlib.asynccontextmanager
async def wire(url: str) -> AsyncIterator[Wire]:
    """Connect to a URL's host and port."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        yield Wire(reader, writer)
    finally:
        writer.transport.abort()


async def assert_closed(caller: Wire) -> None:
    """Hold that the server closes the connection, and says nothing more."""
    async with asyncio.timeout(ENDS_WITHIN_SECONDS):
        with contextlib.suppress(ConnectionError):
            assert await caller.reader.read() == b""


def head(method: bytes, target: bytes, headers: HeaderList = ()) -> bytes:
    """Return a request's head, up to and with the empty line."""
    lines = [name + b": " + value for name, value in headers]
    return b"\r\n".join([method + b" " + target + b" HTTP/1.1", b"host: coupons", *lines, b"", b""])


def post(rpc: str, body: bytes, headers: HeaderList = JSON) -> bytes:
    """Return a POST to an RPC."""
    length = (b"content-length", str(len(body)).encode())
    return head(b"POST", RPC_PREFIX + rpc.encode(), [*headers, length]) + body


def get(rpc: str, query: bytes, headers: HeaderList = ()) -> bytes:
    """Return a GET of an RPC."""
    return head(b"GET", RPC_PREFIX + rpc.encode() + b"?" + query, headers)


def chunk(data: bytes) -> bytes:
    """Return one chunk of a chunked body; an empty one ends it."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def envelope(message: bytes, *, flags: int = 0, length: int | None = None) -> bytes:
    """Return a gRPC-Web frame, whose length may be a lie."""
    return bytes([flags]) + (len(message) if length is None else length).to_bytes(4) + message
