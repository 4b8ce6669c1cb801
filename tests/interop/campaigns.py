"""Campaigns in every state, put into the database before the calls."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import asyncpg
from support.stored import Stored, stored

from coupon_service.codes import random_codes

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
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


async def insert(
    connection: asyncpg.Connection,
    *,
    limit: int = 1_000_000,
    issued: int = 0,
    start_time: datetime = LONG_AGO,
    end_time: datetime | None = None,
    pause_time: datetime | None = None,
) -> str:
    """Insert a campaign and its issued coupons; return its id."""
    campaign_id = uuid4()
    await connection.execute(
        "INSERT INTO campaign (campaign_id, name, coupon_limit, issued_count, start_time,"
        " end_time, pause_time) VALUES ($1, 'interop', $2, $3, $4, $5, $6)",
        *(campaign_id, limit, issued, start_time, end_time, pause_time),
    )
    await connection.copy_records_to_table(
        "coupon",
        records=_coupons(campaign_id, issued),
        columns=("code", "campaign_id", "sequence", "issue_time"),
    )
    return str(campaign_id)


def _coupons(campaign_id: UUID, count: int) -> list[tuple[str, UUID, int, datetime]]:
    codes = random_codes(count)
    return [(code, campaign_id, number, LONG_AGO) for number, code in enumerate(codes, 1)]


def new_campaign(database_url: str, *, limit: int = 100, issued: int = 0) -> str:
    """Put another open campaign into a database, for a test that changes it."""

    async def new() -> str:
        connection = await asyncpg.connect(database_url)
        try:
            return await insert(connection, limit=limit, issued=issued)
        finally:
            await connection.close()

    return asyncio.run(new())


def read_stored(database_url: str, campaign_id: str) -> Stored:
    """Return a campaign's row and coupons."""

    async def read() -> Stored:
        connection = await asyncpg.connect(database_url)
        try:
            return await stored(connection, campaign_id)
        finally:
            await connection.close()

    return asyncio.run(read())
