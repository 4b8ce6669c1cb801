"""Fixtures: one running service that the tests share, and campaigns in it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest
from protobuf.wkt.google.protobuf.timestamp_pb import Timestamp
from support.databases import Databases
from support.refusals import client
from support.service import Service, running_service

from coupon_service.gen.coupon.v1 import coupon_pb as pb

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)

CampaignCreator = Callable[..., Awaitable[str]]


@pytest.fixture(scope="session")
def shared_url(databases: Databases) -> Iterator[str]:
    """The database of the shared service."""
    with databases.lent() as url:
        yield url


@pytest.fixture(scope="session")
def shared_service(shared_url: str) -> Iterator[Service]:
    """A service with two workers, for the tests that leave it as it was."""
    with running_service("--workers", "2", database_url=shared_url) as service:
        yield service
        assert_nothing_happened(service)


@pytest.fixture(scope="session")
def shared_pyvoy(shared_url: str) -> Iterator[Service]:
    """The same with pyvoy, on the same database."""
    with running_service("--workers", "2", "--server", "pyvoy", database_url=shared_url) as service:
        yield service
        assert_nothing_happened(service)


def assert_nothing_happened(service: Service) -> None:
    """Hold that a service stops well, and had nothing to warn of."""
    assert service.stop() == 0
    assert service.noise() == []


@pytest.fixture
def shared(request: pytest.FixtureRequest, server: str) -> Service:
    """The shared service on the test's server."""
    service: Service = request.getfixturevalue(
        {"uvicorn": "shared_service", "pyvoy": "shared_pyvoy"}[server]
    )
    return service


@pytest.fixture(scope="module")
def own_url(databases: Databases) -> Iterator[str]:
    """A database for the tests of one module alone."""
    with databases.lent() as url:
        yield url


@pytest.fixture
async def sql(shared_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection of the test's own to the shared service's database."""
    connection = await asyncpg.connect(shared_url)
    yield connection
    await connection.close()


async def create_campaign(
    url: str,
    *,
    limit: int = 100,
    start: datetime = LONG_AGO,
    end_time: Timestamp | None = None,
) -> str:
    """Create a campaign, open unless told otherwise, and return its id."""
    request = pb.CreateCampaignRequest(
        name="test",
        coupon_limit=limit,
        start_time=Timestamp.from_datetime(start),
        end_time=end_time,
    )
    async with client(url, "connect-binary") as calls:
        answer = await calls.create_campaign(request)
    assert answer.campaign is not None
    return answer.campaign.campaign_id


@pytest.fixture
def create_shared(shared_service: Service) -> CampaignCreator:
    """Create a campaign in the shared service."""

    async def create(**fields: Any) -> str:  # noqa: ANN401 # what create_campaign takes
        return await create_campaign(shared_service.url, **fields)

    return create
