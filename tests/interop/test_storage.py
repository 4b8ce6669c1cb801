"""While the database is away, over every way in."""

from collections.abc import Iterator

import httpx
import pytest
from interop.calls import HEALTH
from interop.campaigns import Campaigns
from interop.cells import cell
from interop.conftest import Ask, AskRefused
from interop.held import held
from support.databases import Databases
from support.refusals import ERROR_INFO, RETRY_INFO
from support.service import Service, eventually


def readiness(services: dict[str, Service]) -> set[int]:
    return {httpx.get(f"{service.url}/readyz").status_code for service in services.values()}


@pytest.fixture(scope="module")
def away(
    databases: Databases, interop_database_url: str, services: dict[str, Service]
) -> Iterator[None]:
    """Keep the database away for the tests of this module."""
    with held(databases.away(interop_database_url)):
        # The first calls after the break may find that their connections are gone.
        eventually(lambda: readiness(services) == {503})
        yield
    eventually(lambda: readiness(services) == {200})


@pytest.mark.usefixtures("away")
@cell("refusals", "STORAGE_UNAVAILABLE")
@pytest.mark.parametrize("rpc", ["IssueCoupon", "GetCampaign"])
def test_calls_may_come_again(ask_refused: AskRefused, campaigns: Campaigns, rpc: str) -> None:
    refusal = ask_refused(rpc, {"campaignId": campaigns.open})
    want = ("unavailable", "STORAGE_UNAVAILABLE", "coupon.v1", (ERROR_INFO, RETRY_INFO))
    assert refusal.summary == want
    assert refusal.retry_seconds is not None
    assert 0.1 <= refusal.retry_seconds <= 1


@pytest.mark.usefixtures("away")
@cell("health", "without the database")
def test_the_health_service_says_that_nothing_is_served(ask: Ask) -> None:
    assert ask("Check", {}, service=HEALTH) == {"status": "NOT_SERVING"}
