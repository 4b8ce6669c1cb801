"""The SQL that the issuers are put together from: one step each, and none knows of the others."""

import dataclasses
from datetime import datetime
from uuid import UUID

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from coupon_service.codes import random_codes
from coupon_service.domain import Campaign, Claim, Coupon, Issued, Sighting
from coupon_service.errors import CampaignNotFound
from coupon_service.gate import refusal_seen

# What the schema would refuse, it is to let pass; what makes it fast stays.
LOOSEN = (
    "ALTER TABLE campaign DROP CONSTRAINT campaign_issued_count_check",
    "ALTER TABLE coupon DROP CONSTRAINT coupon_pkey",
    "DROP INDEX coupon_campaign_id_sequence_key, coupon_campaign_id_user_id_key",
    "CREATE INDEX ON coupon (campaign_id, sequence)",
    "CREATE INDEX ON coupon (campaign_id, user_id)",
)

_CAMPAIGN = "SELECT *, now() AS read_time FROM campaign WHERE campaign_id = $1"
_CODES = "SELECT code FROM coupon WHERE campaign_id = $1 ORDER BY sequence"
_COUPON = "SELECT * FROM coupon WHERE campaign_id = $1 AND user_id = $2"
_RAISE = """
    UPDATE campaign SET issued_count = issued_count + $2 WHERE campaign_id = $1
    RETURNING issued_count
"""
_INSERT = """
    INSERT INTO coupon (code, campaign_id, sequence, user_id, issue_time)
    VALUES ($1, $2, $3, $4, COALESCE($5, now()))
    RETURNING *
"""
_CAMPAIGN_FIELDS = [field.name for field in dataclasses.fields(Campaign)]


async def look(
    connection: PoolConnectionProxy, campaign_id: UUID, *, lock: bool = False
) -> Sighting:
    """Return a campaign; with its row's lock it stays so until the transaction ends.

    Raises:
        CampaignNotFound: there is none.
    """
    row = await connection.fetchrow(f"{_CAMPAIGN} FOR UPDATE" if lock else _CAMPAIGN, campaign_id)
    if row is None:
        raise CampaignNotFound
    campaign = Campaign(**{name: row[name] for name in _CAMPAIGN_FIELDS})
    return Sighting(campaign=campaign, read_time=row["read_time"], asked_at=0, answered_at=0)


def refuse_unless_open(seen: Sighting) -> None:
    """Refuse a claim if the campaign was not open when it was seen.

    Raises:
        IssueRefused: it was not.
    """
    if refusal := refusal_seen(seen):
        raise refusal


async def codes_of(connection: PoolConnectionProxy, campaign_id: UUID) -> list[str]:
    """Return a campaign's codes in order of issue."""
    return [row["code"] for row in await connection.fetch(_CODES, campaign_id)]


async def coupon_of(connection: PoolConnectionProxy, claim: Claim) -> Issued | None:
    """Return the coupon that the claim's user has already, if it has one."""
    if not claim.user_id:
        return None
    row = await connection.fetchrow(_COUPON, claim.campaign_id, claim.user_id)
    return None if row is None else Issued(coupon=_coupon(row), already_issued=True)


async def raise_count(connection: PoolConnectionProxy, campaign_id: UUID, by: int = 1) -> int:
    """Count coupons as issued, and return how many that makes."""
    return int(await connection.fetchval(_RAISE, campaign_id, by))


async def insert(
    connection: PoolConnectionProxy,
    claim: Claim,
    *,
    sequence: int,
    code: str | None = None,
    issue_time: datetime | None = None,
) -> Issued:
    """Store a coupon; its code is a random one and its issue time now, unless said otherwise."""
    row = await connection.fetchrow(
        _INSERT,
        code or random_codes(1)[0],
        claim.campaign_id,
        sequence,
        claim.user_id or None,
        issue_time,
    )
    if row is None:
        raise RuntimeError("an INSERT returned nothing")
    return Issued(coupon=_coupon(row), already_issued=False)


def _coupon(row: asyncpg.Record) -> Coupon:
    return Coupon(
        code=row["code"],
        campaign_id=UUID(int=row["campaign_id"].int),
        sequence=row["sequence"],
        user_id=row["user_id"] or "",
        issue_time=row["issue_time"],
    )
