"""A TCP proxy between the service and PostgreSQL that cuts, delays and throttles connections."""

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
    """Forwards bytes, and does to them what it is told.

    When `matches` a chunk from a client, it does what `breaking` says, once. `decide` is
    asked about each other chunk. `delay_seconds` is how long each chunk is held back, each
    way; `bytes_per_second_max` how much of it may pass, if not None.
    """

    upstream: str
    url: str = ""
    breaking: Break | None = None
    matches: Callable[[bytes], bool] = lambda _chunk: False
    decide: Callable[[bytes], Break | None] = lambda _chunk: None
    delay_seconds: float = 0
    bytes_per_second_max: int | None = None
    late_seconds_max: float = 30
    broken_count: int = 0
    release: asyncio.Event = field(default_factory=asyncio.Event)
    late_answers: list[bytes] = field(default_factory=list)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        parts = urlsplit(self.upstream)
        if parts.hostname:
            return await asyncio.open_connection(parts.hostname, parts.port or 5432)
        folder = parse_qs(parts.query)["host"][0]
        return await asyncio.open_unix_connection(f"{folder}/.s.PGSQL.5432")

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward one connection until either side ends it."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 # for the type checker
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(self._close, writer)
            with contextlib.suppress(OSError):
                up_reader, up_writer = await self._connect()
                self._writers |= {writer, up_writer}
                stack.push_async_callback(self._close, up_writer)
                down = asyncio.create_task(self._forward(up_reader, writer))
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
            breaking = self._breaking(chunk)
            if breaking is None:
                await self._pass_on(chunk, up_writer)
                continue
            down.cancel()
            await asyncio.gather(down, return_exceptions=True)
            self.broken_count += 1
            if breaking is Break.ANSWER_LOST:
                up_writer.write(chunk)
                await up_reader.read(CHUNK)
            if breaking is Break.REQUEST_LATE:
                writer.transport.abort()
                await self._wait_for_release()
                up_writer.write(chunk)
                self.late_answers.append(await up_reader.read(CHUNK))
            writer.transport.abort()
            return

    def _breaking(self, chunk: bytes) -> Break | None:
        if self.breaking is not None and self.matches(chunk):
            breaking, self.breaking = self.breaking, None
            return breaking
        return self.decide(chunk)

    async def _wait_for_release(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.late_seconds_max):
                await self.release.wait()

    async def _pass_on(self, chunk: bytes, writer: asyncio.StreamWriter) -> None:
        pause = self.delay_seconds
        if self.bytes_per_second_max is not None:
            pause += len(chunk) / self.bytes_per_second_max
        if pause:
            await asyncio.sleep(pause)
        writer.write(chunk)
        await writer.drain()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(CHUNK):
                await self._pass_on(chunk, writer)
        writer.close()

    async def _close(self, writer: asyncio.StreamWriter) -> None:
        self._writers.discard(writer)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    def cut(self) -> int:
        """Cut all connections, and return how many sides of them there were."""
        writers = list(self._writers)
        for writer in writers:
            writer.transport.abort()
        return len(writers)

    async def close(self) -> None:
        """Cut every connection, and wait until all of them are gone."""
        self.release.set()
        self.cut()
        await asyncio.gather(*self._tasks, return_exceptions=True)


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
