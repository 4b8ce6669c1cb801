"""Campaigns put into the database past the service."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

import asyncpg

from coupon_service.codes import random_codes

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


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
        " end_time, pause_time) VALUES ($1, 'test', $2, $3, $4, $5, $6)",
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
