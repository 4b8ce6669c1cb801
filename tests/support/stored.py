"""Looks at what is stored, and holds it against what callers were told."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from support.callers import ISSUED, Answer


@dataclass(frozen=True, kw_only=True, slots=True)
class Stored:
    """A campaign's row and coupons, read from one snapshot."""

    coupon_limit: int
    issued_count: int
    codes: list[str]
    sequences: list[int]
    user_ids: list[str | None]


async def stored(connection: asyncpg.Connection, campaign_id: UUID | str) -> Stored:
    """Read a campaign's row and coupons."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        row = await connection.fetchrow(
            "SELECT coupon_limit, issued_count FROM campaign WHERE campaign_id = $1", campaign_id
        )
        coupons = await connection.fetch(
            "SELECT code, sequence, user_id FROM coupon WHERE campaign_id = $1 ORDER BY sequence",
            campaign_id,
        )
    assert row is not None
    return Stored(
        coupon_limit=row["coupon_limit"],
        issued_count=row["issued_count"],
        codes=[coupon["code"] for coupon in coupons],
        sequences=[coupon["sequence"] for coupon in coupons],
        user_ids=[coupon["user_id"] for coupon in coupons],
    )


def assert_sound(found: Stored) -> None:
    """Never one too many, no gap in the line, no code twice, no user twice."""
    users = [user_id for user_id in found.user_ids if user_id is not None]
    assert found.issued_count <= found.coupon_limit
    assert found.sequences == list(range(1, found.issued_count + 1))
    assert len(set(found.codes)) == len(found.codes)
    assert len(set(users)) == len(users)


def assert_all_acknowledged_are_stored(found: Stored, answers: Iterable[Answer]) -> None:
    """Every coupon that a caller was given is stored under its sequence, for its user."""
    for answer in answers:
        if answer.outcome == ISSUED:
            assert found.codes[answer.sequence - 1] == answer.code
            assert found.user_ids[answer.sequence - 1] == (answer.user_id or None)
