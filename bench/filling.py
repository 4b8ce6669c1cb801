"""Campaigns with many coupons, stored by COPY and not issued one group after another."""

import asyncio
from collections.abc import Iterator
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg

from bench.stand import Stand
from coupon_service.codes import random_codes
from coupon_service.domain import COUPON_LIMIT_MAX

CODES_AT_ONCE = 50_000
# The pace at which the coupons look as if they had been issued: 10,000 a second.
ISSUE_INTERVAL = timedelta(microseconds=100)

Row = tuple[str, UUID, int, str | None, datetime]


def fill_campaign(
    stand: Stand,
    coupons: int,
    *,
    share_with_users: float = 0,
    coupon_limit: int = COUPON_LIMIT_MAX,
) -> str:
    """Create an open campaign of which so many coupons are issued, and return its id.

    Of the coupons, evenly spread, `share_with_users` (0 to 1) have a user; `user_id` says
    which. The tables are then as they are after a night's rest: vacuumed, analysed and
    written to disk.
    """
    age_seconds = (coupons * ISSUE_INTERVAL).total_seconds() + 1
    campaign_id = stand.campaign(coupon_limit=coupon_limit, starts_in_seconds=-age_seconds)
    asyncio.run(_fill(stand.database_url, UUID(campaign_id), coupons, share_with_users))
    return campaign_id


def user_id(sequence: int) -> str:
    """Return the user of a coupon that has one: scattered, since users come in no order."""
    return f"user-{sequence * 2_654_435_761 % 2**32}"  # the factor is odd: no two are equal


def has_user(sequence: int, share_with_users: float) -> bool:
    """Tell whether a coupon is one of the share that have a user."""
    return int(sequence * share_with_users) > int((sequence - 1) * share_with_users)


async def _fill(database_url: str, campaign_id: UUID, coupons: int, share: float) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        async with connection.transaction():
            # Under the row's lock, like the claims that this stands for.
            start_time = await connection.fetchval(
                "UPDATE campaign SET issued_count = $2, issued_before = $2 - 1,"
                " last_issue_time = start_time + $2 * $3::interval"
                " WHERE campaign_id = $1 RETURNING start_time",
                campaign_id,
                coupons,
                ISSUE_INTERVAL,
            )
            await connection.copy_records_to_table(
                "coupon", records=_rows(campaign_id, start_time, coupons, share)
            )
        await connection.execute("VACUUM ANALYZE campaign, coupon")
        await connection.execute("CHECKPOINT")
    finally:
        await connection.close()


def _rows(campaign_id: UUID, start_time: datetime, coupons: int, share: float) -> Iterator[Row]:
    for sequence, code in enumerate(_codes(coupons), 1):
        user = user_id(sequence) if has_user(sequence, share) else None
        yield code, campaign_id, sequence, user, start_time + sequence * ISSUE_INTERVAL


def _codes(count: int) -> Iterator[str]:
    for drawn in range(0, count, CODES_AT_ONCE):
        yield from random_codes(min(CODES_AT_ONCE, count - drawn))
