"""Fixtures: sends odd bytes to the shared service, and holds that it goes on."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from acceptance.bad_input.asking import INNER, Ask
from acceptance.conftest import create_campaign
from support.service import Service
from support.wire import NO_ANSWER, Answer, post, wire


@pytest.fixture(scope="module")
def campaign_id(shared_service: Service) -> str:
    return asyncio.run(create_campaign(shared_service.url, limit=1_000_000))


@pytest.fixture(scope="module", autouse=True)
def workers_live_on(shared_service: Service) -> Iterator[None]:
    """Hold that nothing in this module kills a worker."""
    workers = sorted(shared_service.worker_pids())
    yield
    assert sorted(shared_service.worker_pids()) == workers
    assert len(workers) == 2


@pytest.fixture
async def ask(shared_service: Service, campaign_id: str) -> AsyncIterator[Ask]:
    """Send odd bytes; both their connection and new ones must serve good calls afterwards."""
    good = post("GetCampaign", f'{{"campaignId":"{campaign_id}"}}'.encode())
    workers = sorted(shared_service.worker_pids())

    async def ask(request: bytes) -> Answer:
        async with wire(shared_service.url) as connection:
            answer = await connection.ask(request)
            if answer.headers.get("connection") != "close" and answer != NO_ANSWER:
                assert (await connection.ask(good)).status == 200, "the connection is spoilt"
        async with wire(shared_service.url) as connection:
            assert (await connection.ask(good)).status == 200, "the service is spoilt"
        assert [inner for inner in INNER if inner in answer.body] == []
        return answer

    yield ask
    assert sorted(shared_service.worker_pids()) == workers
