"""Holds a campaign's row, and waits until others wait for it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import asyncpg


@asynccontextmanager
async def row_locked(connection: asyncpg.Connection, campaign_id: UUID) -> AsyncIterator[None]:
    """Hold the campaign's row, so that a claim's transaction begins but cannot go on."""
    async with connection.transaction():
        await connection.execute(
            "SELECT FROM campaign WHERE campaign_id = $1 FOR UPDATE", campaign_id
        )
        yield


async def until_statements_wait(database_url: str, count: int = 1) -> None:
    """Wait until so many statements wait for a lock."""
    # A connection of its own: inside of a transaction the view would not change.
    looking = await asyncpg.connect(database_url)
    try:
        while count > await looking.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND wait_event_type = 'Lock'"
        ):
            await asyncio.sleep(0.01)
    finally:
        await looking.close()
