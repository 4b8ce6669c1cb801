"""Tries an issuer: runs it under load and looks which rules the checker names."""

import asyncio
import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass

import asyncpg

from coupon_service.serving.server import APPLICATION as SERVICE
from loadtest.broken.app import APPLICATION as BROKEN
from loadtest.broken.loads import Load, put_through
from loadtest.broken.statements import LOOSEN
from loadtest.checker import Verdict, check
from loadtest.history import Line
from loadtest.services import Service, running_service

SERVER_COUNT = 2
POOL_SIZE = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """What the checker said of one run."""

    seed: int
    verdict: Verdict
    lines: list[Line]
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Stand:
    """Two servers that share a database."""

    services: list[Service]
    database_url: str

    def run(self, load: Load, *, name: str = "load test", seed: int) -> Trial:
        """Put the servers through a load; `name` is what the campaigns are called."""
        begun = time.monotonic()
        lines = asyncio.run(
            put_through(load, self.services, name=name, database_url=self.database_url, seed=seed)
        )
        verdict = check(lines)
        return Trial(seed=seed, verdict=verdict, lines=lines, seconds=time.monotonic() - begun)


@contextlib.contextmanager
def broken_stand(database_url: str) -> Iterator[Stand]:
    """Serve the broken issuers on a migrated database, whose constraints are taken away."""
    asyncio.run(_loosen(database_url))
    with _stand(BROKEN, database_url) as made:
        yield made


@contextlib.contextmanager
def service_stand(database_url: str) -> Iterator[Stand]:
    """Serve the service itself on a migrated database."""
    with _stand(SERVICE, database_url) as made:
        yield made


@contextlib.contextmanager
def _stand(application: str, database_url: str) -> Iterator[Stand]:
    with contextlib.ExitStack() as stack:
        services = [
            stack.enter_context(
                running_service(
                    module=("bench.serve", application),
                    database_url=database_url,
                    pool_size=POOL_SIZE,
                )
            )
            for _ in range(SERVER_COUNT)
        ]
        yield Stand(services=services, database_url=database_url)


async def _loosen(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        for statement in LOOSEN:
            await connection.execute(statement)
    finally:
        await connection.close()
