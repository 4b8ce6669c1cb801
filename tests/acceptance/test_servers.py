"""Both servers start, answer, stop and fail alike."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import httpx
import psutil
import pytest
from acceptance.conftest import create_campaign
from conftest import ServiceStarter
from support.callers import ISSUED, Answer, claim_until, outcomes
from support.program import run_program
from support.service import Service, environment, eventually, running_service
from support.stored import stored

SERVERS = ("uvicorn", "pyvoy")
SERVES_WITHIN_SECONDS = 60
FOLDERS = "coupon-service-admin-*"

pytestmark = pytest.mark.parametrize("server", SERVERS)


def is_up(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz").status_code == 200
    except httpx.TransportError:
        return False


def test_it_is_ready_answers_and_stops_without_a_word_too_many(
    start_service: ServiceStarter, database_url: str, server: str
) -> None:
    service = start_service("--server", server, database_url=database_url)
    answer = httpx.get(f"{service.url}/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "alive"})
    assert service.stop() == 0
    assert service.noise() == []
    assert [entry["event"] for entry in service.log][-2:] == ["ready", "stopped"]


async def until_one_is_issued(answers: list[Answer]) -> None:
    async with asyncio.timeout(SERVES_WITHIN_SECONDS):
        while not outcomes(answers)[ISSUED]:
            await asyncio.sleep(0.01)


async def test_callers_under_way_are_all_answered_when_it_stops_and_the_log_stays_clean(
    start_service: ServiceStarter, database_url: str, connection: asyncpg.Connection, server: str
) -> None:
    service = start_service("--workers", "2", database_url=database_url, server=server)
    campaign_id = await create_campaign(service.url, limit=1_000_000)
    stop = asyncio.Event()
    answers: list[Answer] = []
    calling = asyncio.create_task(
        claim_until(service.url, campaign_id, stop, callers=32, into=answers)
    )
    await until_one_is_issued(answers)
    service.process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(service.process.wait, SERVES_WITHIN_SECONDS) == 0
    stop.set()
    await calling
    got = outcomes(answers)
    # A caller that was cut off would have a coupon that it does not know of.
    assert got[ISSUED] == (await stored(connection, campaign_id)).issued_count > 0
    assert "internal" not in got
    assert service.noise() == []


def test_each_worker_answers(shared: Service) -> None:
    workers = set(shared.worker_pids())
    assert len(workers) == 2
    eventually(lambda: answering(shared, workers) == workers)


def answering(service: Service, workers: set[int]) -> set[int]:
    """Return which workers answer, of as many callers as should reach each of them."""
    port = urlsplit(service.url).port
    with ExitStack() as stack:
        for _ in range(32):
            client = stack.enter_context(httpx.Client())
            assert client.get(f"{service.url}/healthz").status_code == 200
        return {pid for pid in workers if _connections(pid, port)}


def _connections(pid: int, port: int | None) -> int:
    """Return how many callers are connected to a process."""
    found = psutil.Process(pid).net_connections("tcp")
    return sum(each.status == psutil.CONN_ESTABLISHED and each.laddr.port == port for each in found)


def test_a_worker_that_is_killed_is_replaced(
    start_service: ServiceStarter, database_url: str, server: str
) -> None:
    service = start_service("--workers", "2", database_url=database_url, server=server)
    killed = service.worker_pids()[0]
    os.kill(killed, signal.SIGKILL)
    eventually(lambda: len(set(service.worker_pids()) - {killed}) == 2)
    present = set(service.worker_pids()) - {killed}
    eventually(lambda: answering(service, present) == present)
    (died,) = service.noise()
    assert (died["event"], died["pid"]) == ("a worker died; starting another", killed)
    assert service.stop() == 0


def test_workers_that_are_still_starting_stop_too(
    start_service: ServiceStarter, database_url: str, server: str
) -> None:
    # Ready is said when one of them answers.
    service = start_service("--workers", "4", database_url=database_url, server=server, pool_size=2)
    assert service.stop() == 0
    assert service.noise() == []


@pytest.fixture
def short_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir="/tmp", ignore_cleanup_errors=True) as name:
        yield Path(name)


def test_nothing_is_left_when_the_supervisor_is_killed(
    start_service: ServiceStarter, database_url: str, server: str, short_folder: Path
) -> None:
    service = start_service(
        "--workers",
        "2",
        database_url=database_url,
        server=server,
        variables={"TMPDIR": str(short_folder)},
    )
    family = [service.process.pid, *_descendants(service.pid)]
    assert len(family) > 3
    # Only Envoy needs a place for sockets.
    assert bool(list(short_folder.glob(FOLDERS))) == (server == "pyvoy")
    service.process.kill()
    service.process.wait(SERVES_WITHIN_SECONDS)
    eventually(lambda: not any(runs(pid) for pid in family))
    assert not is_up(service.url)
    assert list(short_folder.glob(FOLDERS)) == []


def test_a_long_temporary_directory_leaves_room_for_sockets(
    start_service: ServiceStarter, database_url: str, server: str, tmp_path: Path
) -> None:
    long = tmp_path / ("long" * 20)
    long.mkdir()
    service = start_service(
        database_url=database_url, server=server, variables={"TMPDIR": str(long)}
    )
    assert is_up(service.url)
    assert service.stop() == 0


def runs(pid: int) -> bool:
    """Tell whether a process is there, and not only its status, which nobody asked for yet."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _descendants(pid: int) -> list[int]:
    return [child.pid for child in psutil.Process(pid).children(recursive=True)]


def test_ctrl_c_in_a_terminal_stops_it_with_status_0(database_url: str, server: str) -> None:
    # As a terminal does it: the signal goes to every process of the group.
    with running_service(
        "--workers", "2", database_url=database_url, server=server, prefix=["setsid"]
    ) as service:
        os.killpg(service.pid, signal.SIGINT)
        assert service.process.wait(SERVES_WITHIN_SECONDS) == 0
    assert service.noise() == []


@pytest.mark.parametrize("other", SERVERS)
def test_a_port_that_a_service_has_is_refused_to_another(
    shared: Service, database_url: str, other: str
) -> None:
    port = str(urlsplit(shared.url).port)
    ended = run_program("serve", "--port", port, server=other, database_url=database_url)
    assert ended.returncode == 1
    assert f"cannot listen on 127.0.0.1 port {port}: Address already in use\n" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert is_up(shared.url)


def test_the_port_of_a_service_that_stopped_is_free_at_once(
    start_service: ServiceStarter, database_url: str, server: str
) -> None:
    first = start_service(database_url=database_url, server=server)
    port = str(urlsplit(first.url).port)
    with httpx.Client() as client:
        client.get(f"{first.url}/healthz")
        assert first.stop() == 0
    for other in SERVERS:
        again = start_service("--port", port, database_url=database_url, server=other)
        assert again.url == first.url
        assert again.stop() == 0


@pytest.mark.parametrize("application", ["unstartable", "unmakable"])
def test_an_application_that_cannot_start_ends_it_with_a_sentence(
    database_url: str, server: str, application: str
) -> None:
    code = (
        "from coupon_service.serving.server import CannotServe, serve\n"
        "from coupon_service.settings import Settings\n"
        "if __name__ == '__main__':\n"
        "    try:\n"
        f"        serve(Settings(), 'support.bad_applications:{application}')\n"
        "    except CannotServe as exc:\n"
        "        raise SystemExit(f'coupon-service: {exc}')\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(database_url=database_url, server=server, port=0)
        | {"PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=SERVES_WITHIN_SECONDS,
        check=False,
    )
    assert ended.returncode == 1
    last = ended.stderr.splitlines()[-1]
    assert last == "coupon-service: the workers could not start; the log above says why"
    assert "no luck today" in ended.stderr
