"""Connections are lent again at once, and never one that could harm its next user."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
from support.databases import Databases

from coupon_service.lending import AT_HAND_SECONDS_MAX, Lending

SECONDS_MAX = 5.0
POOL_SIZE = 2


class Clock:
    """A monotonic clock that goes where the test sets it."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[asyncpg.Pool]:
    async with asyncpg.create_pool(database_url, min_size=0, max_size=POOL_SIZE) as made:
        yield made


@pytest.fixture
async def lending(pool: asyncpg.Pool, clock: Clock) -> AsyncIterator[Lending]:
    made = Lending(pool, monotonic=clock)
    yield made
    await made.close()


async def _pid(lending: Lending) -> int:
    connection = await lending.acquire(SECONDS_MAX)
    pid = connection.get_server_pid()
    await lending.release(connection)
    return pid


async def _until_none_is_open(pool: asyncpg.Pool) -> None:
    async with asyncio.timeout(SECONDS_MAX):
        while pool.get_size():
            await asyncio.sleep(0.01)


async def test_the_connection_that_was_returned_last_is_lent_again(lending: Lending) -> None:
    pid = await _pid(lending)
    connection = await lending.acquire(SECONDS_MAX)
    other = await lending.acquire(SECONDS_MAX)
    assert connection.get_server_pid() == pid != other.get_server_pid()
    await lending.release(connection)
    await lending.release(other)
    assert await _pid(lending) == pid


async def test_one_that_died_at_hand_is_not_lent(
    lending: Lending, pool: asyncpg.Pool, databases: Databases, database_url: str
) -> None:
    for _ in range(POOL_SIZE + 1):
        connection = await lending.acquire(SECONDS_MAX)
        pid = connection.get_server_pid()
        await lending.release(connection)
        await databases.cut_connections(database_url)
        await _until_none_is_open(pool)
        assert await _pid(lending) != pid


async def test_one_that_was_at_hand_for_long_is_not_lent(lending: Lending, clock: Clock) -> None:
    pid = await _pid(lending)
    clock.seconds += AT_HAND_SECONDS_MAX
    assert await _pid(lending) == pid
    clock.seconds += AT_HAND_SECONDS_MAX + 0.1
    for _ in range(POOL_SIZE + 1):
        assert await _pid(lending) != pid


async def test_one_that_died_while_it_was_lent_is_not_lent_again(lending: Lending) -> None:
    for _ in range(POOL_SIZE + 1):
        connection = await lending.acquire(SECONDS_MAX)
        pid = connection.get_server_pid()
        connection.terminate()
        await lending.release(connection)
        assert await _pid(lending) != pid


async def test_a_transaction_that_was_left_open_is_not_inherited(
    lending: Lending, connection: asyncpg.Connection
) -> None:
    lent = await lending.acquire(SECONDS_MAX)
    await lent.execute("BEGIN; CREATE TABLE left_open ()")
    await lending.release(lent)
    lent = await lending.acquire(SECONDS_MAX)
    assert not lent.is_in_transaction()
    await lending.release(lent)
    assert await connection.fetchval("SELECT to_regclass('left_open')") is None


async def test_after_a_cancelled_statement_the_next_one_gets_its_own_answer(
    lending: Lending,
) -> None:
    for number in range(20):
        connection = await lending.acquire(SECONDS_MAX)
        sleeping = asyncio.create_task(connection.fetchval("SELECT pg_sleep(30)"))
        await asyncio.sleep(0.01)
        sleeping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sleeping
        await lending.release(connection)
        connection = await lending.acquire(SECONDS_MAX)
        assert await connection.fetchval("SELECT $1::int", number) == number
        await lending.release(connection)


async def test_expired_connections_are_not_lent_whether_lent_or_at_hand(lending: Lending) -> None:
    held = await lending.acquire(SECONDS_MAX)
    older = {held.get_server_pid(), await _pid(lending)}
    await lending.expire()
    newer = {await _pid(lending)}
    await lending.release(held)
    connections = [await lending.acquire(SECONDS_MAX) for _ in range(POOL_SIZE)]
    newer |= {connection.get_server_pid() for connection in connections}
    for connection in connections:
        await lending.release(connection)
    assert (len(older), len(newer), older & newer) == (2, 2, set())


async def test_who_waits_for_a_connection_gets_the_next_that_is_returned(lending: Lending) -> None:
    lent = [await lending.acquire(SECONDS_MAX) for _ in range(POOL_SIZE)]
    waiting = [asyncio.create_task(lending.acquire(SECONDS_MAX)) for _ in range(5)]
    await asyncio.sleep(0)
    assert lending.is_short
    for connection in lent:
        await lending.release(connection)
    for task in waiting:
        await lending.release(await task)
    assert not lending.is_short


async def test_who_waits_in_vain_is_told_in_time_and_counts_no_longer(lending: Lending) -> None:
    lent = [await lending.acquire(SECONDS_MAX) for _ in range(POOL_SIZE)]
    with pytest.raises(TimeoutError):
        await lending.acquire(0.05)
    for connection in lent:
        await lending.release(connection)
    assert not lending.is_short
    assert await _pid(lending)


async def test_a_connection_counts_as_lent_while_it_is_still_being_made(lending: Lending) -> None:
    tasks = [asyncio.create_task(lending.acquire(SECONDS_MAX)) for _ in range(POOL_SIZE)]
    await asyncio.sleep(0)
    assert not any(task.done() for task in tasks)
    assert lending.is_short
    for task in tasks:
        await lending.release(await task)
