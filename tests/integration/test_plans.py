"""The hot statements use the indexes that were made for them, whatever the tables hold.

The service's sessions plan a statement once and keep the plan, so the one that is made
while the tables are empty has to serve when they are full.
"""

import json
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from asyncpg.pool import PoolConnectionProxy

from coupon_service import queries
from coupon_service.codes import random_codes
from coupon_service.store import Store

CAMPAIGN_ID = UUID(int=1)

# With which values each statement is run; their types are what the statement says.
HOT = {
    "CAMPAIGN": (queries.CAMPAIGN, f"'{CAMPAIGN_ID}'"),
    "CLAIM": (queries.CLAIM, f"'{CAMPAIGN_ID}', 0, '{{가2,나3}}', '{{NULL,a}}'"),
    "COUPONS_OF_USERS": (queries.COUPONS_OF_USERS, f"'{CAMPAIGN_ID}', '{{a,b}}'"),
    "COUPONS_OF_CODES": (queries.COUPONS_OF_CODES, "'{가2,나3}'"),
    "CODES": (queries.CODES, f"'{CAMPAIGN_ID}', 1, 2000"),
}
# The one index that each of them goes by, and the columns by which it looks up there.
INTENDED = {
    "CAMPAIGN": [("campaign_pkey", {"campaign_id"})],
    "CLAIM": [("campaign_pkey", {"campaign_id"})],
    "COUPONS_OF_USERS": [("coupon_campaign_id_user_id_key", {"campaign_id", "user_id"})],
    "COUPONS_OF_CODES": [("coupon_pkey", {"code"})],
    "CODES": [("coupon_campaign_id_sequence_key", {"campaign_id", "sequence"})],
}
NOTHING: dict[str, list[str]] = {name: [] for name in HOT}

COLUMN = re.compile(r"\b(?:campaign_id|user_id|sequence|code)\b")

LookUps = dict[str, list[tuple[str, set[str]]]]


@pytest.fixture
async def session(store: Store, connection: asyncpg.Connection) -> AsyncIterator[Any]:
    """A connection of the service's own; nothing analyzes the tables behind the test's back."""
    for table in ("campaign", "coupon"):
        await connection.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = false)")
    async with store.session() as lent:
        yield lent._connection


async def _prepare(session: PoolConnectionProxy) -> None:
    for name, (statement, _) in HOT.items():
        await session.execute(f"PREPARE {name} AS {statement}")


async def _plan(session: PoolConnectionProxy, name: str) -> dict[str, Any]:
    """Return the plan that the session runs a prepared statement by."""
    explained = await session.fetchval(f"EXPLAIN (FORMAT JSON) EXECUTE {name} ({HOT[name][1]})")
    plan: dict[str, Any] = json.loads(explained)[0]["Plan"]
    return plan


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from _nodes(part)


async def _index_look_ups(session: PoolConnectionProxy) -> LookUps:
    """Return which indexes each prepared statement looks into, and by which columns."""
    return {
        name: [
            (node["Index Name"], set(COLUMN.findall(node.get("Index Cond", ""))))
            for node in _nodes(await _plan(session, name))
            if "Index Name" in node
        ]
        for name in HOT
    }


async def _rows_looked_through(session: PoolConnectionProxy) -> dict[str, list[str]]:
    """Return what reads a table whole, or reads coupons only to drop them again."""
    return {
        name: [
            f"{node['Node Type']} {node.get('Relation Name')}"
            for node in _nodes(await _plan(session, name))
            if node["Node Type"] == "Seq Scan"
            or (node.get("Relation Name") == "coupon" and "Filter" in node)
        ]
        for name in HOT
    }


async def _assert_as_intended(session: PoolConnectionProxy) -> None:
    assert await _index_look_ups(session) == INTENDED
    assert await _rows_looked_through(session) == NOTHING


async def _analyze(connection: asyncpg.Connection) -> None:
    await connection.execute("ANALYZE campaign, coupon")


async def _fill(connection: asyncpg.Connection, *, campaigns: int, largest: int, all_: int) -> None:
    """Store so many campaigns, and so many coupons of which the first campaign has most.

    Every second coupon is a user's.
    """
    await connection.execute(
        "INSERT INTO campaign (campaign_id, name, coupon_limit, start_time)"
        " SELECT lpad(to_hex(i), 32, '0')::uuid, 'x', 10000000, now()"
        " FROM generate_series(1, $1) AS i",
        campaigns,
    )
    await connection.execute(
        """
        INSERT INTO coupon (code, campaign_id, sequence, user_id, issue_time)
        SELECT code,
               lpad(to_hex(CASE WHEN i <= $2 THEN 1 ELSE 2 + i % ($3 - 1) END), 32, '0')::uuid,
               CASE WHEN i <= $2 THEN i ELSE i / ($3 - 1) + 1 END,
               CASE WHEN i % 2 = 0 THEN 'user ' || i END,
               now()
        FROM unnest($1::text[]) WITH ORDINALITY AS drawn (code, i)
        """,
        random_codes(all_),
        largest,
        campaigns,
    )


async def _fill_a_little(connection: asyncpg.Connection) -> None:
    await _fill(connection, campaigns=4, largest=200, all_=300)


async def _fill_up(connection: asyncpg.Connection) -> None:
    await _fill(connection, campaigns=3000, largest=80_000, all_=200_000)


async def test_the_service_s_sessions_keep_one_plan_that_reads_no_table_whole(store: Store) -> None:
    async with store.session() as session:
        settings = {
            name: await session._connection.fetchval(f"SHOW {name}")
            for name in ("plan_cache_mode", "enable_seqscan", "jit")
        }
    assert settings == {
        "plan_cache_mode": "force_generic_plan",
        "enable_seqscan": "off",
        "jit": "off",
    }


async def test_empty_tables_are_read_by_the_intended_indexes(
    session: PoolConnectionProxy, connection: asyncpg.Connection
) -> None:
    await _prepare(session)
    await _assert_as_intended(session)
    await _analyze(connection)
    await _assert_as_intended(session)


async def test_small_tables_are_read_by_the_intended_indexes(
    session: PoolConnectionProxy, connection: asyncpg.Connection
) -> None:
    await _fill_a_little(connection)
    await _prepare(session)
    await _assert_as_intended(session)
    await _analyze(connection)
    await _assert_as_intended(session)


async def test_large_tables_are_read_by_the_intended_indexes(
    session: PoolConnectionProxy, connection: asyncpg.Connection
) -> None:
    await _fill_up(connection)
    await _prepare(session)
    await _assert_as_intended(session)
    await _analyze(connection)
    await _assert_as_intended(session)


@pytest.mark.parametrize("analyzed", [True, False])
async def test_a_plan_made_while_the_tables_were_empty_is_still_right_when_they_have_grown(
    session: PoolConnectionProxy, connection: asyncpg.Connection, *, analyzed: bool
) -> None:
    if analyzed:
        await _analyze(connection)
    await _prepare(session)
    made = [await _plan(session, name) for name in HOT]
    await _fill_up(connection)
    # The very plan, with what it was thought to cost then: nothing was planned anew.
    assert [await _plan(session, name) for name in HOT] == made
    await _assert_as_intended(session)
    await _analyze(connection)  # makes every session plan anew
    assert [await _plan(session, name) for name in HOT] != made
    await _assert_as_intended(session)
