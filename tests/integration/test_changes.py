"""Operators' changes reach the gate of every process."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from support.databases import Databases

from coupon_service.changes import follow_changes
from coupon_service.domain import Campaign, Claim, Issued
from coupon_service.errors import CampaignNotStarted, CampaignSoldOut, IssueRefused
from coupon_service.gate import Gate
from coupon_service.issuing import Issuer
from coupon_service.store import Store

Create = Callable[..., Awaitable[Campaign]]
LONG = 3600


@pytest.fixture
async def issuer(store: Store, database_url: str) -> AsyncIterator[Issuer]:
    """An issuer whose gate would remember for an hour, but for the notifications."""
    gate = Gate(seconds_max=LONG)
    following = asyncio.create_task(follow_changes(database_url, gate, connect_seconds_max=5))
    yield Issuer(store, gate, queue_limit=100, group_limit=10, settle_seconds_max=5)
    following.cancel()
    await asyncio.wait([following])


async def _until_listening(connection: asyncpg.Connection) -> None:
    while not await connection.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'coupon-service changes'"
        " AND datname = current_database() AND query LIKE 'LISTEN%' AND state = 'idle'"
    ):
        await asyncio.sleep(0.01)


async def _until_issued(issuer: Issuer, campaign: Campaign) -> Issued:
    async with asyncio.timeout(30):
        while True:
            with suppress(IssueRefused):
                return await issuer.issue(Claim(campaign_id=campaign.campaign_id))
            await asyncio.sleep(0.01)


async def test_a_raised_limit_is_known_at_once(
    create: Create, issuer: Issuer, connection: asyncpg.Connection
) -> None:
    await _until_listening(connection)
    campaign = await create(limit=1)
    claim = Claim(campaign_id=campaign.campaign_id)
    await issuer.issue(claim)
    with pytest.raises(CampaignSoldOut):
        await issuer.issue(claim)
    await connection.execute("UPDATE campaign SET coupon_limit = 2")
    assert (await _until_issued(issuer, campaign)).coupon.sequence == 2


async def test_a_start_that_is_moved_forward_is_known_at_once(
    create: Create, issuer: Issuer, connection: asyncpg.Connection
) -> None:
    await _until_listening(connection)
    campaign = await create(start_time=datetime.now(UTC) + timedelta(hours=1))
    for _ in range(2):
        with pytest.raises(CampaignNotStarted):
            await issuer.issue(Claim(campaign_id=campaign.campaign_id))
    await connection.execute("UPDATE campaign SET start_time = now()")
    assert (await _until_issued(issuer, campaign)).coupon.sequence == 1


async def test_changes_that_were_missed_while_the_connection_was_away_are_not_believed_over(
    create: Create,
    issuer: Issuer,
    connection: asyncpg.Connection,
    databases: Databases,
    database_url: str,
) -> None:
    await _until_listening(connection)
    campaign = await create(limit=1)
    claim = Claim(campaign_id=campaign.campaign_id)
    await issuer.issue(claim)
    with pytest.raises(CampaignSoldOut):
        await issuer.issue(claim)
    async with databases.away(database_url):
        pass
    again = await asyncpg.connect(database_url)
    await again.execute("UPDATE campaign SET coupon_limit = 2")
    assert (await _until_issued(issuer, campaign)).coupon.sequence == 2
    await again.close()
