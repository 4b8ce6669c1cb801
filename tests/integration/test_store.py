"""What a Store promises, on a real database."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import asyncpg
import pytest
from conftest import open_store
from support.databases import Databases
from support.locks import until_statements_wait

from coupon_service.codes import random_codes
from coupon_service.domain import Campaign, NewCampaign
from coupon_service.errors import StorageUnavailable
from coupon_service.schema import SchemaState
from coupon_service.session import ClaimUncertain, CodeTaken, Granted, UserTaken
from coupon_service.store import CODES_OF_A_PAGE, Store
from loadtest.faults.proxy import Break, proxied

Create = Callable[..., Awaitable[Campaign]]
NOW = datetime.now(UTC)


async def _claim(
    store: Store, campaign: Campaign, *user_ids: str, codes: list[str] | None = None
) -> Granted | None:
    async with store.session() as session:
        return await session.claim(
            campaign.campaign_id,
            campaign.claim_epoch,
            codes or random_codes(len(user_ids)),
            user_ids,
        )


async def _server_pids(store: Store, count: int) -> set[int]:
    """Lend so many connections at once, and return which sessions of the server they are."""
    async with AsyncExitStack() as lent:
        sessions = [await lent.enter_async_context(store.session()) for _ in range(count)]
        return {session._connection.get_server_pid() for session in sessions}


async def test_a_campaign_is_read_as_it_was_created(store: Store) -> None:
    new = NewCampaign(
        name="한글 ✨",
        coupon_limit=7,
        start_time=NOW,
        end_time=NOW + timedelta(days=1),
        request_id="r",
    )
    created = await store.create_campaign(new)
    read = await store.campaign(created.campaign.campaign_id)
    assert read is not None
    assert read.campaign == created.campaign
    assert (read.campaign.name, read.campaign.coupon_limit) == (new.name, new.coupon_limit)
    assert (read.campaign.start_time, read.campaign.end_time) == (new.start_time, new.end_time)
    assert (read.campaign.issued_count, read.campaign.pause_time) == (0, None)


async def test_the_same_request_id_creates_one_campaign_however_many_race(
    store: Store, connection: asyncpg.Connection
) -> None:
    new = NewCampaign(name="x", coupon_limit=1, start_time=NOW, request_id="once")
    created = await asyncio.gather(*(store.create_campaign(new) for _ in range(20)))
    assert len({each.campaign.campaign_id for each in created}) == 1
    assert await connection.fetchval("SELECT count(*) FROM campaign") == 1


async def test_without_a_request_id_every_call_creates_a_campaign(store: Store) -> None:
    new = NewCampaign(name="x", coupon_limit=1, start_time=NOW)
    created = [await store.create_campaign(new) for _ in range(2)]
    assert len({each.campaign.campaign_id for each in created}) == 2


async def test_an_unknown_campaign_is_none(store: Store) -> None:
    assert await store.campaign(uuid4()) is None


async def test_a_claim_grants_as_many_as_are_left(create: Create, store: Store) -> None:
    campaign = await create(limit=5)
    grants = [await _claim(store, campaign, *[""] * 3) for _ in range(3)]
    assert [(g.first_sequence, g.count) for g in grants if g] == [(1, 3), (4, 2)]
    assert grants[2] is None


async def test_the_codes_of_a_campaign_come_in_order_of_issue(create: Create, store: Store) -> None:
    campaign, other = await create(), await create()
    codes = random_codes(50)
    for code in codes:
        await _claim(store, campaign, "", codes=[code])
        await _claim(store, other, "")
    pages = [page async for page in store.pages_of_codes(campaign.campaign_id, len(codes))]
    assert pages == [codes]


async def test_pages_of_codes_meet_without_gap_or_overlap(create: Create, store: Store) -> None:
    campaign = await create(limit=2 * CODES_OF_A_PAGE + 1)
    codes = random_codes(2 * CODES_OF_A_PAGE + 1)
    await _claim(store, campaign, *[""] * len(codes), codes=codes)
    for count in (1, CODES_OF_A_PAGE, CODES_OF_A_PAGE + 1, len(codes)):
        pages = [page async for page in store.pages_of_codes(campaign.campaign_id, count)]
        assert [code for page in pages for code in page] == codes[:count]
        assert max(map(len, pages)) <= CODES_OF_A_PAGE


async def test_codes_that_are_missing_are_an_error_and_not_a_short_answer(
    create: Create, store: Store, connection: asyncpg.Connection
) -> None:
    campaign = await create()
    await _claim(store, campaign, *[""] * 5)
    await connection.execute("DELETE FROM coupon WHERE sequence = 3")
    with pytest.raises(RuntimeError, match="missing"):
        _ = [page async for page in store.pages_of_codes(campaign.campaign_id, 5)]


async def test_the_count_and_the_codes_are_always_of_one_moment(
    create: Create, store: Store
) -> None:
    campaign = await create(limit=2000)
    done = asyncio.Event()

    async def issue() -> None:
        for _ in range(100):
            await _claim(store, campaign, *[""] * 20)
        done.set()

    async def read() -> int:
        lengths = []
        while not done.is_set():
            sighting = await store.campaign(campaign.campaign_id)
            assert sighting is not None
            count = sighting.campaign.issued_count
            pages = store.pages_of_codes(campaign.campaign_id, count)
            assert sum([len(page) async for page in pages]) == count
            lengths.append(count)
        assert lengths == sorted(lengths)
        return len(set(lengths))

    _, *different = await asyncio.gather(issue(), read(), read())
    assert min(different) > 3


async def test_a_taken_code_or_user_leaves_no_trace(
    create: Create, store: Store, connection: asyncpg.Connection
) -> None:
    campaign = await create()
    codes = random_codes(3)
    await _claim(store, campaign, "a", codes=codes[:1])
    with pytest.raises(CodeTaken):
        await _claim(store, campaign, "b", "c", codes=[codes[1], codes[0]])
    with pytest.raises(UserTaken):
        await _claim(store, campaign, "b", "a", codes=codes[1:])
    assert await connection.fetchval("SELECT issued_count FROM campaign") == 1
    assert await connection.fetchval("SELECT count(*) FROM coupon") == 1


async def test_settling_tells_what_is_stored_and_shuts_the_older_epoch_out(
    create: Create, store: Store
) -> None:
    campaign = await create()
    codes = random_codes(4)
    await _claim(store, campaign, "", "a", codes=codes[:2])
    settled = await store.settle(campaign.campaign_id, codes)
    assert [(coupon.code, coupon.sequence, coupon.user_id) for coupon in settled] == [
        (codes[0], 1, ""),
        (codes[1], 2, "a"),
    ]
    assert await _claim(store, campaign, "") is None


async def test_a_session_s_commits_wait_for_the_disk_whatever_the_server_s_default(
    databases: Databases, database_url: str, create: Create, store: Store
) -> None:
    await databases.run(f"ALTER DATABASE {databases.name(database_url)} SET synchronous_commit=off")
    async with store.session() as session:
        setting = await session._connection.fetchval("SHOW synchronous_commit")
    assert setting == "on"
    assert (await create()).issued_count == 0


async def test_long_reads_leave_connections_for_claims(
    create: Create, store: Store, connection: asyncpg.Connection, database_url: str
) -> None:
    campaign = await create()
    async with connection.transaction():
        await connection.execute("LOCK TABLE campaign IN ACCESS EXCLUSIVE MODE")
        reads = [asyncio.create_task(store.campaign(campaign.campaign_id)) for _ in range(20)]
        await until_statements_wait(database_url, 2)
        async with store.session() as session:
            assert await session._connection.fetchval("SELECT 1") == 1
    assert all(await asyncio.gather(*reads))


async def test_a_read_over_a_connection_that_died_idle_is_made_again(
    create: Create, store: Store, databases: Databases, database_url: str
) -> None:
    campaign = await create()
    for _ in range(10):
        await databases.cut_connections(database_url)
        seen = await store.campaign(campaign.campaign_id)
        assert seen is not None
        assert seen.campaign == campaign


async def test_when_one_connection_turns_out_to_be_broken_no_older_one_is_used_again(
    create: Create, stores: AsyncExitStack, database_url: str
) -> None:
    campaign = await create()
    proxy = await stores.enter_async_context(proxied(database_url))
    far_store = await open_store(stores, proxy.url, pool_size=4)
    older = await _server_pids(far_store, 4)
    assert await _server_pids(far_store, 4) == older

    proxy.breaking, proxy.matches = Break.REQUEST_LOST, lambda _chunk: True
    assert await far_store.campaign(campaign.campaign_id) is not None
    newer = await _server_pids(far_store, 4)
    assert proxy.broken_count == 1
    assert (len(older), len(newer), older & newer) == (4, 4, set())


@pytest.mark.parametrize("breaking", [Break.REQUEST_LOST, Break.ANSWER_LOST])
@pytest.mark.parametrize("user_id", ["", "a"])
async def test_when_a_claim_s_connection_breaks_no_older_one_is_used_again(
    create: Create, stores: AsyncExitStack, database_url: str, breaking: Break, user_id: str
) -> None:
    campaign = await create()
    proxy = await stores.enter_async_context(proxied(database_url))
    far_store = await open_store(stores, proxy.url, pool_size=4)
    older = await _server_pids(far_store, 4)

    (code,) = codes = random_codes(1)
    proxy.breaking, proxy.matches = breaking, lambda chunk: code.encode() in chunk
    with pytest.raises(ClaimUncertain):
        await _claim(far_store, campaign, user_id, codes=codes)
    settled = await far_store.settle(campaign.campaign_id, codes)
    newer = await _server_pids(far_store, 4)
    assert proxy.broken_count == 1
    assert [coupon.code for coupon in settled] == (codes if breaking is Break.ANSWER_LOST else [])
    assert (len(older), len(newer), older & newer) == (4, 4, set())


async def test_a_database_that_is_away_is_told_as_unavailable(
    create: Create, store: Store, databases: Databases, database_url: str
) -> None:
    campaign = await create()
    async with databases.away(database_url):
        with pytest.raises(StorageUnavailable):
            await store.campaign(campaign.campaign_id)
        with pytest.raises(StorageUnavailable):
            await store.create_campaign(NewCampaign(name="x", coupon_limit=1, start_time=NOW))
        with pytest.raises(StorageUnavailable):
            await store.schema_state()
    assert await store.schema_state() is SchemaState.CURRENT
