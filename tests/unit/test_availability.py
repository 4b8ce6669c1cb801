"""Who asks whether calls can be served, and how often the database is asked for that."""

import asyncio
from typing import cast

import pytest

from coupon_service.availability import LOOK_SECONDS, Availability, State
from coupon_service.errors import StorageUnavailable
from coupon_service.schema import SchemaState
from coupon_service.store import Store


class Database:
    """A store whose answer the test decides, and when it comes."""

    def __init__(self) -> None:
        self.state: SchemaState | None = SchemaState.CURRENT
        self.looks = 0
        self.answers = asyncio.Event()
        self.answers.set()

    async def schema_state(self) -> SchemaState:
        self.looks += 1
        await self.answers.wait()
        if self.state is None:
            raise StorageUnavailable
        return self.state


class Clock:
    """A monotonic clock in the test's hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def database() -> Database:
    return Database()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def availability(database: Database, clock: Clock) -> Availability:
    made = Availability(monotonic=clock)
    made.start(cast("Store", database))
    return made


@pytest.mark.parametrize(
    ("schema", "state"),
    [
        (SchemaState.CURRENT, State.READY),
        (SchemaState.NEWER, State.READY),
        (SchemaState.OLD, State.OLD_SCHEMA),
        (None, State.NO_DATABASE),
    ],
)
async def test_it_is_what_the_database_says(
    availability: Availability, database: Database, schema: SchemaState | None, state: State
) -> None:
    database.state = schema
    assert (await availability.look(), await availability.recent()) == (state, state)


async def test_before_there_is_a_store_the_service_is_starting() -> None:
    availability = Availability()
    assert (await availability.look(), await availability.recent()) == (State.STARTING,) * 2


async def test_a_thousand_who_ask_look_at_the_database_once_a_second(
    availability: Availability, database: Database, clock: Clock
) -> None:
    for second in range(1, 4):
        states = await asyncio.gather(*(availability.recent() for _ in range(1000)))
        assert (set(states), database.looks) == ({State.READY}, second)
        clock.now += LOOK_SECONDS


async def test_all_wait_for_the_look_that_is_under_way(
    availability: Availability, database: Database
) -> None:
    database.answers.clear()
    asking = [asyncio.create_task(availability.recent()) for _ in range(10)]
    await asyncio.sleep(0)
    database.answers.set()
    assert await asyncio.gather(*asking) == [State.READY] * 10
    assert database.looks == 1


async def test_who_hangs_up_while_looking_leaves_it_to_the_next(
    availability: Availability, database: Database
) -> None:
    database.answers.clear()
    first, second = (asyncio.create_task(availability.recent()) for _ in "12")
    await asyncio.sleep(0)
    first.cancel()
    database.answers.set()
    assert await second is State.READY
    assert (first.cancelled(), database.looks) == (True, 2)


async def test_when_the_service_stops_nobody_looks_or_waits_any_more(
    availability: Availability, database: Database
) -> None:
    await availability.recent()
    pausing = asyncio.create_task(availability.stopped())
    await asyncio.sleep(0)
    availability.stop()
    async with asyncio.timeout(LOOK_SECONDS / 2):
        await pausing
        await availability.pause()
    assert (await availability.look(), await availability.recent()) == (State.STOPPING,) * 2
    assert (availability.is_stopping, database.looks) == (True, 1)
