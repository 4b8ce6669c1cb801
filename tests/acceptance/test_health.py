"""Whether the service lives and can serve, and what it says when it cannot start."""

import asyncio
import signal
import socket
import subprocess
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest
from conftest import ServiceStarter
from support import plain
from support.databases import Databases, blackhole
from support.program import ENDS_WITHIN_SECONDS, PROGRAM, run_program
from support.service import Service, environment, eventually
from support.wire import get, wire


@pytest.fixture
async def empty_url(databases: Databases) -> AsyncIterator[str]:
    url = await databases.make_empty()
    yield url
    await databases.drop(url)


OPEN = "open to every caller on this machine: no tokens are set"


def assert_one_line(ended: "subprocess.CompletedProcess[str]", status: int, *words: str) -> None:
    """Hold that a command failed with one line on stderr that has these words."""
    assert (ended.returncode, ended.stdout) == (status, ""), ended.stderr
    [line] = ended.stderr.splitlines()
    assert line.startswith("coupon-service: ")
    assert [word for word in words if word not in line] == [], line


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_a_running_service_is_healthy_and_ready(shared_service: Service, path: str) -> None:
    answer = httpx.get(f"{shared_service.url}{path}")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json() == {"status": {"/healthz": "alive", "/readyz": "ready"}[path]}
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_a_probe_may_use_head(shared_service: Service, path: str) -> None:
    answer = httpx.head(f"{shared_service.url}{path}")
    assert (answer.status_code, answer.content) == (200, b"")


async def readiness_once_it_is(service: Service, status: int) -> object:
    """Return what /readyz says with this status; what it says may be a second old."""
    async with asyncio.timeout(30):
        while (answer := await plain.get(f"{service.url}/readyz")).status_code != status:
            await asyncio.sleep(0.05)
    return answer.json()


async def test_with_an_old_schema_it_lives_but_is_not_ready(
    start_service: ServiceStarter, database_url: str, connection: asyncpg.Connection
) -> None:
    service = start_service("--workers", "1", database_url=database_url)
    await connection.execute("ALTER TABLE alembic_version RENAME TO away")
    told = await readiness_once_it_is(service, 503)
    assert told == {"status": "the database has an old schema"}
    assert (await plain.get(f"{service.url}/healthz")).status_code == 200
    await connection.execute("ALTER TABLE away RENAME TO alembic_version")
    assert await readiness_once_it_is(service, 200) == {"status": "ready"}


async def test_a_schema_of_a_later_release_is_served(
    start_service: ServiceStarter, database_url: str, connection: asyncpg.Connection
) -> None:
    await connection.execute("UPDATE alembic_version SET version_num = 'later'")
    service = start_service("--workers", "1", database_url=database_url)
    assert (await plain.get(f"{service.url}/readyz")).status_code == 200


def test_on_an_old_schema_serve_says_what_to_run_and_after_that_it_starts(
    empty_url: str, start_service: ServiceStarter
) -> None:
    refused = run_program("serve", "--port", "0", database_url=empty_url)
    assert_one_line(refused, 1, "old schema", "coupon-service migrate")
    for _ in range(2):
        migrated = run_program("migrate", database_url=empty_url)
        assert (migrated.returncode, migrated.stdout, migrated.stderr) == (
            0,
            "The database has the newest schema.\n",
            "",
        )
    service = start_service("--workers", "1", database_url=empty_url)
    assert httpx.get(f"{service.url}/readyz").json() == {"status": "ready"}


@pytest.mark.parametrize("command", ["serve", "migrate"])
def test_a_database_that_refuses_connections_is_one_line(command: str) -> None:
    arguments = ["--port", "0"] if command == "serve" else []
    # Bound, so that nobody else gets the port, and not listening.
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        url = f"postgresql://user:hunter2@127.0.0.1:{port}/coupons"
        ended = run_program(command, *arguments, database_url=url)
    assert_one_line(ended, 1, "database", str(port))
    assert "hunter2" not in ended.stderr


@pytest.mark.parametrize("command", ["serve", "migrate"])
async def test_a_database_that_does_not_exist_is_one_line(
    databases: Databases, command: str
) -> None:
    arguments = ["--port", "0"] if command == "serve" else []
    url = databases.url("nowhere")
    ended = await asyncio.to_thread(run_program, command, *arguments, database_url=url)
    assert_one_line(ended, 1, 'database "nowhere" does not exist')


def test_a_database_that_never_answers_is_one_line_that_says_so() -> None:
    with blackhole() as port:
        url = f"postgresql://user@127.0.0.1:{port}/coupons?sslmode=disable"
        ended = run_program("serve", "--port", "0", database_url=url, connect_seconds_max=0.2)
    assert_one_line(ended, 1, "cannot use the database of COUPON_DATABASE_URL: it does not answer")


@pytest.mark.parametrize("command", ["serve", "migrate"])
async def test_an_account_without_rights_is_one_line(
    databases: Databases, database_url: str, empty_url: str, command: str
) -> None:
    role = f"{databases.prefix}_powerless_{command}"
    await databases.run(f"CREATE ROLE {role} LOGIN PASSWORD 'hunter2'")
    try:
        url = database_url if command == "serve" else empty_url
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        arguments = ["--port", "0"] if command == "serve" else []
        url = parts._replace(netloc=f"{role}:hunter2@{host}").geturl()
        ended = await asyncio.to_thread(run_program, command, *arguments, database_url=url)
    finally:
        await databases.run(f"DROP ROLE {role}")
    assert_one_line(ended, 1, "permission denied")


async def test_migrating_the_database_of_a_later_release_is_one_line(
    database_url: str, connection: asyncpg.Connection
) -> None:
    await connection.execute("UPDATE alembic_version SET version_num = 'later'")
    ended = await asyncio.to_thread(run_program, "migrate", database_url=database_url)
    assert_one_line(ended, 1)


def test_a_taken_port_is_one_line(shared_service: Service, shared_url: str) -> None:
    port = urlsplit(shared_service.url).port
    ended = run_program("serve", "--port", str(port), database_url=shared_url)
    assert_one_line(ended, 1, "cannot listen on 127.0.0.1", str(port), "in use")


@pytest.mark.parametrize("host", ["nowhere.invalid", "a" * 70 + ".invalid", "한글..invalid"])
def test_a_host_that_is_none_is_one_line(host: str, shared_url: str) -> None:
    ended = run_program("serve", "--host", host, "--port", "0", database_url=shared_url)
    assert_one_line(ended, 1, "cannot listen on")


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("port", "70000"),
        ("workers", "0"),
        ("pool_size", "ten"),
        ("database_url", "mysql://root@host/coupons"),
        ("log_level", "loud"),
        ("access_log", "perhaps"),
    ],
)
def test_a_bad_setting_is_bad_usage_and_named(setting: str, value: str) -> None:
    ended = run_program("serve", variables={f"COUPON_{setting.upper()}": value})
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.splitlines()[-1].startswith(f"Error: COUPON_{setting.upper()}: ")
    assert "Traceback" not in ended.stderr


def accesses(service: Service) -> list[dict[str, Any]]:
    return [entry for entry in service.log if entry["event"] == "request"]


async def test_the_access_log_has_a_line_with_fields_for_each_request_where_asked_for(
    start_service: ServiceStarter, database_url: str
) -> None:
    service = start_service("--workers", "1", database_url=database_url, access_log="true")
    before = len(accesses(service))
    await plain.get(f"{service.url}/nowhere?a=%ED%95%9C")
    await plain.post(f"{service.url}/coupon.v1.CouponService/IssueCoupon", {})
    async with wire(service.url) as connection:
        await connection.ask(get("GetCampaign", b"encoding=json&message=%00%ff"))
    lines = eventually(lambda: accesses(service)[before:][2:] and accesses(service)[before:])
    rpcs = "/coupon.v1.CouponService"
    assert [(line["method"], line["path"], line["status"]) for line in lines] == [
        ("GET", "/nowhere", 404),
        ("POST", f"{rpcs}/IssueCoupon", 400),
        ("GET", f"{rpcs}/GetCampaign", 400),
    ]
    assert all(line["client"].startswith("127.0.0.1:") for line in lines)


def test_no_access_log_where_not_asked_for(
    start_service: ServiceStarter, database_url: str
) -> None:
    service = start_service("--workers", "1", database_url=database_url)
    httpx.get(f"{service.url}/healthz")
    assert service.stop() == 0
    eventually(lambda: service.log[-1]["event"] == "stopped")
    assert [entry["event"] for entry in service.log] == [OPEN, "ready", "stopped"]


def test_the_program_says_where_it_is_ready_and_stops_when_told(shared_url: str) -> None:
    with subprocess.Popen(
        [PROGRAM, "serve", "--port", "0"],
        env=environment(database_url=shared_url, log_format="console"),
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        opened, line = (process.stderr.readline() for _ in range(2))
        process.send_signal(signal.SIGTERM)
        assert process.wait(ENDS_WITHIN_SECONDS) == 0
    assert OPEN in opened
    assert "ready" in line
    assert "http://127.0.0.1:" in line
