"""Campaigns in every state, put into the database before the calls, and what became of them."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import asyncpg
from support.campaigns import LONG_AGO, insert
from support.stored import Stored, stored

BIG = 100_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Campaigns:
    """The ids of campaigns, which no test changes; `codes` are those of the big one."""

    open: str
    paused: str
    ended: str
    sold_out: str
    scheduled: str
    start_time: datetime
    big: str
    codes: list[str]


async def prepare(database_url: str) -> Campaigns:
    """Put a campaign of each state into a database."""
    connection = await asyncpg.connect(database_url)
    start_time = datetime.now(UTC).replace(microsecond=250) + timedelta(days=1)
    try:
        big = await insert(connection, limit=BIG, issued=BIG)
        return Campaigns(
            open=await insert(connection),
            paused=await insert(connection, pause_time=LONG_AGO),
            ended=await insert(connection, end_time=LONG_AGO + timedelta(days=1)),
            sold_out=await insert(connection, limit=1, issued=1),
            scheduled=await insert(connection, start_time=start_time),
            start_time=start_time,
            big=big,
            codes=(await stored(connection, big)).codes,
        )
    finally:
        await connection.close()


class Storage:
    """The services' database, for tests that are not coroutines."""

    def __init__(self, runner: asyncio.Runner, connection: asyncpg.Connection) -> None:
        self._runner = runner
        self._connection = connection

    def new_campaign(self, *, limit: int = 100, issued: int = 0) -> str:
        """Put in another open campaign, for a test that changes it."""
        return self._runner.run(insert(self._connection, limit=limit, issued=issued))

    def read(self, campaign_id: str) -> Stored:
        """Return a campaign's row and coupons."""
        return self._runner.run(stored(self._connection, campaign_id))


@contextmanager
def opened_storage(database_url: str) -> Iterator[Storage]:
    """Keep one connection to a database until this is left."""
    with asyncio.Runner() as runner:
        connection = runner.run(_connect(database_url))
        try:
            yield Storage(runner, connection)
        finally:
            runner.run(connection.close())


async def _connect(database_url: str) -> asyncpg.Connection:
    return await asyncpg.connect(database_url)
