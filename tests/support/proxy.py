"""A TCP proxy between the service and PostgreSQL that breaks connections at chosen moments."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from urllib.parse import parse_qs, quote, urlsplit

CHUNK = 65536


class Break(Enum):
    """What happens to the next chunk of a client that matches."""

    REQUEST_LOST = auto()
    """The connection is cut, and the server never sees the chunk."""
    ANSWER_LOST = auto()
    """The server gets the chunk, but the connection is cut before its answer comes back."""
    REQUEST_LATE = auto()
    """The client's side is cut; the server gets the chunk when `release` is set."""


@dataclass
class Proxy:
    """Forwards bytes; when `matches` a chunk from a client, does what `breaking` says, once."""

    upstream: str
    url: str = ""
    breaking: Break | None = None
    matches: Callable[[bytes], bool] = lambda _chunk: False
    broken_count: int = 0
    release: asyncio.Event = field(default_factory=asyncio.Event)
    late_answers: list[bytes] = field(default_factory=list)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        parts = urlsplit(self.upstream)
        if parts.hostname:
            return await asyncio.open_connection(parts.hostname, parts.port or 5432)
        folder = parse_qs(parts.query)["host"][0]
        return await asyncio.open_unix_connection(f"{folder}/.s.PGSQL.5432")

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(_close, writer)
            with contextlib.suppress(OSError):
                up_reader, up_writer = await self._connect()
                self._writers += [writer, up_writer]
                stack.push_async_callback(_close, up_writer)
                down = asyncio.create_task(_forward(up_reader, writer))
                stack.callback(down.cancel)
                await self._forward_requests(reader, writer, up_reader, up_writer, down)

    async def _forward_requests(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        up_reader: asyncio.StreamReader,
        up_writer: asyncio.StreamWriter,
        down: "asyncio.Task[None]",
    ) -> None:
        while chunk := await reader.read(CHUNK):
            if self.breaking is None or not self.matches(chunk):
                up_writer.write(chunk)
                await up_writer.drain()
                continue
            breaking, self.breaking = self.breaking, None
            down.cancel()
            await asyncio.gather(down, return_exceptions=True)
            self.broken_count += 1
            if breaking is Break.ANSWER_LOST:
                up_writer.write(chunk)
                await up_reader.read(CHUNK)
            if breaking is Break.REQUEST_LATE:
                writer.transport.abort()
                await self.release.wait()
                up_writer.write(chunk)
                self.late_answers.append(await up_reader.read(CHUNK))
            writer.transport.abort()
            return

    async def close(self) -> None:
        """Cut every connection, and wait until all of them are gone."""
        self.release.set()
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while chunk := await reader.read(CHUNK):
            writer.write(chunk)
            await writer.drain()
    writer.close()


@contextlib.asynccontextmanager
async def proxied(database_url: str) -> AsyncIterator[Proxy]:
    """Put a proxy in front of a database; its `url` is the one to connect to."""
    proxy = Proxy(upstream=database_url)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    parts = urlsplit(database_url)
    user = quote(parts.username or "postgres")
    password = f":{parts.password}" if parts.password else ""
    proxy.url = f"postgresql://{user}{password}@127.0.0.1:{port}{parts.path}?sslmode=disable"
    try:
        yield proxy
    finally:
        server.close()
        await proxy.close()
