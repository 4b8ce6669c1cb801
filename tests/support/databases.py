"""Real PostgreSQL databases for tests: one server for the run, a fresh database for each test."""

import asyncio
import itertools
import os
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from coupon_service import migrating
from coupon_service.embedded import EmbeddedPostgres


@contextmanager
def data_dir() -> Iterator[Path]:
    """Make a short-named folder that PostgreSQL's account can reach, also for root."""
    path = Path(tempfile.mkdtemp(prefix="coupon-"))
    path.chmod(0o711)
    try:
        yield path
    finally:
        shutil.rmtree(path)


@contextmanager
def server_url() -> Iterator[str]:
    """Lend the URL of a server: TEST_DATABASE_URL, or an embedded one started for the run."""
    if url := os.environ.get("TEST_DATABASE_URL"):
        yield url
        return
    with data_dir() as folder, EmbeddedPostgres(folder / "data") as postgres:
        yield postgres.url


@contextmanager
def blackhole() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def with_database(url: str, name: str) -> str:
    """Return a server's URL with another database's name."""
    parts = urlsplit(url)
    # urlunsplit drops the empty host of postgresql://user@/name otherwise.
    return urlunsplit(parts._replace(path=f"/{name}"))


@dataclass
class Databases:
    """Makes databases by cloning a migrated template, which takes a fraction of migrating."""

    server: str
    prefix: str
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def template(self) -> str:
        return f"{self.prefix}_template"

    async def make_template(self) -> None:
        await self.run(f"CREATE DATABASE {self.template} ENCODING 'UTF8' TEMPLATE template0")
        await migrating.migrate(with_database(self.server, self.template))

    async def make(self) -> str:
        """Return the URL of a new database with the newest schema."""
        name = f"{self.prefix}_{next(self._numbers)}"
        await self.run(f"CREATE DATABASE {name} TEMPLATE {self.template}")
        return with_database(self.server, name)

    @contextmanager
    def lent(self) -> Iterator[str]:
        """Lend the URL of a new database with the newest schema, and drop it afterwards."""
        url = asyncio.run(self.make())
        yield url
        asyncio.run(self.drop(url))

    async def make_empty(self) -> str:
        """Return the URL of a new database without any schema."""
        name = f"{self.prefix}_{next(self._numbers)}"
        await self.run(f"CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE template0")
        return with_database(self.server, name)

    async def drop(self, url: str) -> None:
        await self.run(f"DROP DATABASE {self.name(url)} WITH (FORCE)")

    def url(self, name: str) -> str:
        """Return the URL of the server's database of this name."""
        return with_database(self.server, name)

    def name(self, url: str) -> str:
        """Return the name of the database that a URL leads to."""
        return urlsplit(url).path[1:]

    async def cut_connections(self, url: str) -> None:
        """End every connection to a database."""
        await self.run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            f" WHERE datname = '{self.name(url)}'"
        )

    @asynccontextmanager
    async def away(self, url: str) -> AsyncIterator[None]:
        """Cut every connection to a database and accept none, for as long as this lasts."""
        name = self.name(url)
        await self.run(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        await self.cut_connections(url)
        try:
            yield
        finally:
            await self.run(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")

    async def run(self, statement: str) -> None:
        connection = await asyncpg.connect(self.server)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()
