"""Fixtures: a service to attack on each server, with limits that attacks reach in seconds."""

from collections.abc import Iterator

import pytest
from support.databases import Databases

from loadtest.attack.target import SERVERS, Target, running_target


@pytest.fixture(scope="session")
def attacked_url(databases: Databases) -> Iterator[str]:
    """The database of the services under attack."""
    with databases.lent() as url:
        yield url


@pytest.fixture(scope="module", params=SERVERS)
def target(request: pytest.FixtureRequest, attacked_url: str) -> Iterator[Target]:
    """A service that asks for tokens; most attackers have one, some do without."""
    with running_target(request.param, attacked_url, has_tokens=True) as running:
        yield running
    assert running.service.process.returncode == 0
    assert list(running.log_violations()) == []
