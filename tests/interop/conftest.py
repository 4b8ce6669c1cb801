"""Fixtures: the service on both servers, and every client to it."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from interop import cells
from interop.access import Credentials, issue_credentials
from interop.browser import Page
from interop.calls import Call, Refused
from interop.campaigns import Campaigns, Storage, opened_storage, prepare
from interop.clients import Clients
from interop.held import HELD_SECONDS_MAX
from interop.lanes import SERVERS, Lane
from interop.tomorrow import Tomorrow, write_tomorrow
from support.databases import Databases
from support.refusals import Refusal
from support.service import Service, running_service

# Room for the claims that come too late in each lane, and few enough to make an overload.
QUEUE_LIMIT = 50

Ask = Callable[..., dict[str, Any]]
AskRefused = Callable[..., Refusal]


def pytest_generate_tests(metafunc: Any) -> None:  # noqa: ANN401 # pytest does not export its class
    """Run each test for each lane that has its cell."""
    cells.parametrize(metafunc)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the reports say which cells their tests stand for."""
    for item in items:
        marker = item.get_closest_marker("cell")
        if marker is not None and hasattr(item, "callspec"):
            column, part = marker.args
            lane: Lane = item.callspec.params["lane"]
            said = {"lane": lane.id, "column": column, "part": part}
            item.user_properties.append((cells.PROPERTY, list(said.items())))


@pytest.fixture(scope="session")
def page() -> Iterator[Page]:
    """Where the browser's page is served from, which is an origin that the services know."""
    with Page().served() as page:
        yield page


@pytest.fixture(scope="session")
def credentials(tmp_path_factory: pytest.TempPathFactory) -> Credentials:
    return issue_credentials(tmp_path_factory.mktemp("credentials"))


@pytest.fixture(scope="session")
def interop_database_url(databases: Databases) -> Iterator[str]:
    """The database that both services share."""
    with databases.lent() as url:
        yield url


@pytest.fixture(scope="session")
def services(
    interop_database_url: str, page: Page, credentials: Credentials
) -> Iterator[dict[str, Service]]:
    """The service on each server."""
    with ExitStack() as stack:
        yield {
            server: stack.enter_context(
                running_service(
                    *("--server", server),
                    database_url=interop_database_url,
                    cors_origins=page.origin,
                    queue_limit=QUEUE_LIMIT,
                    # For which it can be kept up.
                    statement_seconds_max=HELD_SECONDS_MAX,
                    access_log=True,
                    **credentials.settings,
                )
            )
            for server in SERVERS
        }


@pytest.fixture(scope="session")
def campaigns(interop_database_url: str) -> Campaigns:
    return asyncio.run(prepare(interop_database_url))


@pytest.fixture(scope="module")
def storage(interop_database_url: str) -> Iterator[Storage]:
    """The services' database; anew for each module, as some of them take it away."""
    with opened_storage(interop_database_url) as storage:
        yield storage


@pytest.fixture(scope="session")
def tomorrow(tmp_path_factory: pytest.TempPathFactory) -> Tomorrow:
    return write_tomorrow(tmp_path_factory.mktemp("contract"))


@pytest.fixture(scope="session")
def clients(
    services: dict[str, Service],
    page: Page,
    tomorrow: Tomorrow,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Clients]:
    folder: Path = tmp_path_factory.mktemp("clients")
    urls = {server: service.url for server, service in services.items()}
    with Clients(urls, page, tomorrow, folder) as clients:
        yield clients


@pytest.fixture
def ask(clients: Clients, lane: Lane, credentials: Credentials) -> Ask:
    """Make a call in the test's lane, as an admin unless told otherwise."""

    def ask(rpc: str, fields: dict[str, Any], **options: Any) -> dict[str, Any]:  # noqa: ANN401 # those of Call
        call = Call(rpc=rpc, fields=fields, **{"authorization": credentials.admin, **options})
        return clients.get(lane).call(call)

    return ask


@pytest.fixture
def ask_refused(ask: Ask) -> AskRefused:
    """Make a call in the test's lane that must be refused."""

    def ask_refused(rpc: str, fields: dict[str, Any], **options: Any) -> Refusal:  # noqa: ANN401 # those of Call
        with pytest.raises(Refused) as caught:
            ask(rpc, fields, **options)
        return caught.value.refusal

    return ask_refused
