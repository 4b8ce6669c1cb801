"""Fixtures: a real PostgreSQL for the run, a fresh database for each test, the service's parts."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest
from support.databases import Databases, server_url
from support.service import Service, running_service
from xdist.scheduler import LoadFileScheduling

from coupon_service.codes import random_codes
from coupon_service.domain import Campaign, NewCampaign
from coupon_service.gate import Gate
from coupon_service.issuing import Issuer
from coupon_service.store import Store

# Here and not in the tests' own folder, so that it is there also in a process that
# distributes the tests to others.
pytest_plugins = ["interop.matrix"]

# gRPC's own threads would otherwise meddle with the processes that tests start; it reads
# this when it is first imported, which no module above does.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "false"

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
TESTS = Path(__file__).parent
INTEROP = "tests/interop/"


# What takes longest begins first, so that none of it is left over when all else is done.
LONGEST_FIRST = ("proof", "interop", "attack", "acceptance", "faults")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the folders of tests in order."""
    places = {folder: place for place, folder in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: places.get(item.path.relative_to(TESTS).parts[0], len(places)))


class FileByFile(LoadFileScheduling):  # type: ignore[misc] # it has no types
    """Gives each file of tests to one process, and all of the interop tests to one.

    Their clients and services take long to make, and would be made in each.
    """

    def _split_scope(self, nodeid: str) -> str:
        return INTEROP if nodeid.startswith(INTEROP) else super()._split_scope(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> FileByFile:
    """Distribute the tests so."""
    return FileByFile(config, log)


@pytest.fixture(scope="session")
def databases() -> Iterator[Databases]:
    with server_url() as url:
        made = Databases(server=url, prefix=f"coupon_test_{os.getpid()}")
        asyncio.run(made.make_template())
        yield made
        asyncio.run(made.run(f"DROP DATABASE {made.template} WITH (FORCE)"))


@pytest.fixture
async def database_url(databases: Databases) -> AsyncIterator[str]:
    url = await databases.make()
    yield url
    await databases.drop(url)


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection of the test's own, to look at what is stored and to interfere."""
    made = await asyncpg.connect(database_url)
    yield made
    await made.close()


@pytest.fixture
async def stores() -> AsyncIterator[AsyncExitStack]:
    """Closes the stores that a test opens with `open_store`."""
    async with AsyncExitStack() as stack:
        yield stack


async def open_store(stack: AsyncExitStack, database_url: str, *, pool_size: int = 4) -> Store:
    return await stack.enter_async_context(
        Store.open(
            database_url, pool_size=pool_size, connect_seconds_max=5, statement_seconds_max=10
        )
    )


@pytest.fixture
async def store(stores: AsyncExitStack, database_url: str) -> Store:
    return await open_store(stores, database_url)


def make_issuer(
    store: Store,
    *,
    queue_limit: int = 5000,
    group_limit: int = 512,
    settle_seconds_max: float = 10,
    gate_seconds_max: float = 1,
    draw_codes: Callable[[int], list[str]] = random_codes,
) -> Issuer:
    return Issuer(
        store,
        Gate(seconds_max=gate_seconds_max),
        queue_limit=queue_limit,
        group_limit=group_limit,
        settle_seconds_max=settle_seconds_max,
        draw_codes=draw_codes,
    )


@pytest.fixture
def issuer(store: Store) -> Issuer:
    return make_issuer(store)


@pytest.fixture
def create(store: Store) -> Callable[..., object]:
    """Create a campaign that is open, unless told otherwise."""

    async def create(
        limit: int = 100, *, start_time: datetime = LONG_AGO, end_time: datetime | None = None
    ) -> Campaign:
        new = NewCampaign(name="test", coupon_limit=limit, start_time=start_time, end_time=end_time)
        return (await store.create_campaign(new)).campaign

    return create


ServiceStarter = Callable[..., Service]


@pytest.fixture
def start_service() -> Iterator[ServiceStarter]:
    """Start the service as a user does; it is stopped when the test ends."""
    with ExitStack() as stack:
        yield lambda *arguments, **settings: stack.enter_context(
            running_service(*arguments, **settings)
        )


@pytest.fixture
def service(start_service: ServiceStarter, database_url: str) -> Service:
    """A service with two workers on the test's database."""
    return start_service("--workers", "2", database_url=database_url)
