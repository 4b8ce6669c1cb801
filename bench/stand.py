"""The stand that measurements run on: one PostgreSQL, and servers as they are needed."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import psutil

from coupon_service import migrating
from coupon_service.domain import COUPON_LIMIT_MAX, NewCampaign
from coupon_service.embedded import EmbeddedPostgres
from coupon_service.serving.server import APPLICATION
from coupon_service.store import Store

EMPTY = "bench.yardsticks:create_empty_app"
SOLD_OUT = "bench.yardsticks:create_sold_out_app"
NOT_STARTED = "bench.yardsticks:create_not_started_app"
PLAIN = "bench.yardsticks:create_plain_app"
ISSUING = APPLICATION

READY_SECONDS_MAX = 60
STOP_SECONDS_MAX = 60
ISSUE_PATH = "/coupon.v1.CouponService/IssueCoupon"
GET_PATH = "/coupon.v1.CouponService/GetCampaign"

MAINTENANCE_DATABASE = "postgres"
SESSIONS = "SELECT FROM pg_stat_activity WHERE datname = $1 AND backend_type = 'client backend'"
TRANSACTIONS = (
    "SELECT xact_commit + xact_rollback AS count FROM pg_stat_database WHERE datname = $1"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Server:
    """A running server: the service's supervisor and its workers."""

    url: str
    process: subprocess.Popen[bytes]

    def workers(self) -> list[psutil.Process]:
        """Return the processes that answer requests."""
        # They are children of multiprocessing's fork server, which is one of the supervisor's.
        children = psutil.Process(self.process.pid).children()
        servers = [child for child in children if "forkserver" in " ".join(child.cmdline())]
        return [worker for server in servers for worker in server.children()]

    def cpu_seconds(self) -> float:
        """Return the processor time that the workers have used so far."""
        return sum(sum(worker.cpu_times()[:2]) for worker in self.workers())


class Stand:
    """One PostgreSQL with one migrated database, and a folder for what is passing."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self.folder = folder
        self.database_url = database_url

    @contextlib.contextmanager
    def database(self, name: str) -> Iterator["Stand"]:
        """Lend another database of the same PostgreSQL, migrated and empty; drop it afterwards."""
        self.sql(f"CREATE DATABASE {name}")
        try:
            other = self._beside(name)
            asyncio.run(migrating.migrate(other.database_url))
            yield other
        finally:
            self.sql(f"DROP DATABASE {name} WITH (FORCE)")

    def _beside(self, name: str) -> "Stand":
        url = urlsplit(self.database_url)._replace(path=f"/{name}")
        return Stand(self.folder, url.geturl())

    @contextlib.contextmanager
    def server(self, application: str, **settings: object) -> Iterator[Server]:
        """Run an application on a free port, with one worker unless `settings` say otherwise.

        Raises:
            RuntimeError: it did not become ready; the message has its log.
        """
        log_path = self.folder / f"{application.partition(':')[2]}-{time.monotonic_ns()}.log"
        chosen = {"database_url": self.database_url, "port": 0, "log_format": "json", **settings}
        with log_path.open("wb") as log:
            process = subprocess.Popen(  # noqa: S603 # this program, and names of ours
                [sys.executable, "-m", "bench.serve", application],
                env=environment(chosen),
                stderr=log,
            )
        try:
            yield Server(url=_ready_url(process, log_path), process=process)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(STOP_SECONDS_MAX)

    def campaign(
        self, *, coupon_limit: int = COUPON_LIMIT_MAX, starts_in_seconds: float = -1
    ) -> str:
        """Create a campaign, and return its id."""
        return asyncio.run(self._create_campaign(coupon_limit, starts_in_seconds))

    async def _create_campaign(self, coupon_limit: int, starts_in_seconds: float) -> str:
        # The stand's PostgreSQL is on this host, so this clock is the database's.
        start_time = datetime.now(UTC) + timedelta(seconds=starts_in_seconds)
        new = NewCampaign(name="bench", coupon_limit=coupon_limit, start_time=start_time)
        async with self.store() as store:
            return str((await store.create_campaign(new)).campaign.campaign_id)

    def store(self, *, pool_size: int = 10) -> contextlib.AbstractAsyncContextManager[Store]:
        """Open a store of this process's own."""
        return Store.open(
            self.database_url, pool_size=pool_size, connect_seconds_max=30, statement_seconds_max=60
        )

    def sql(self, query: str, *values: object) -> list[asyncpg.Record]:
        """Run one statement as the database's superuser, without a time limit."""

        async def run() -> list[asyncpg.Record]:
            connection = await asyncpg.connect(self.database_url)
            try:
                return await connection.fetch(query, *values)
            finally:
                await connection.close()

        return asyncio.run(run())

    def issued_count(self, campaign_id: str, *, after_sequence: int = 0) -> int:
        """Return how many coupons of a campaign are stored, or how many after one."""
        (row,) = self.sql(
            "SELECT count(*) FROM coupon WHERE campaign_id = $1 AND sequence > $2",
            campaign_id,
            after_sequence,
        )
        return int(row["count"])

    def transactions(self) -> int:
        """Return how many transactions the database has run, when nobody is connected any more.

        Sessions say how many theirs were up to ten seconds late, but always before they
        end. It is asked from another database, so that asking does not count.

        Raises:
            TimeoutError: somebody stays connected.
        """
        name = urlsplit(self.database_url).path.removeprefix("/")
        elsewhere = self._beside(MAINTENANCE_DATABASE)
        give_up_at = time.monotonic() + STOP_SECONDS_MAX
        while elsewhere.sql(SESSIONS, name):
            if time.monotonic() > give_up_at:
                raise TimeoutError(f"the database {name} is still in use")
            time.sleep(0.05)
        (row,) = elsewhere.sql(TRANSACTIONS, name)
        return int(row["count"])

    def postgres_cpu_seconds(self) -> float:
        """Return the processor time that PostgreSQL's processes have used so far."""
        (row,) = self.sql("SELECT pg_backend_pid() AS pid")
        (row,) = self.sql("SELECT setting FROM pg_settings WHERE name = 'data_directory'")
        postmaster = psutil.Process(
            int(Path(row["setting"], "postmaster.pid").read_text().split()[0])
        )
        total = sum(postmaster.cpu_times()[:4])  # those that have ended are in its own figures
        for child in postmaster.children():
            with contextlib.suppress(psutil.NoSuchProcess):
                total += sum(child.cpu_times()[:2])
        return total


@contextlib.contextmanager
def stand() -> Iterator[Stand]:
    """Start a PostgreSQL with default settings in a passing folder, and end it afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="coupon-bench-"))
    folder.chmod(0o711)  # for root, PostgreSQL runs under another account
    try:
        with EmbeddedPostgres(folder / "data") as postgres:
            asyncio.run(migrating.migrate(postgres.url))
            yield Stand(folder, postgres.url)
    finally:
        shutil.rmtree(folder)


def environment(settings: dict[str, object]) -> dict[str, str]:
    """Return the environment for a service with these settings and no others."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("COUPON_")}
    return inherited | {f"COUPON_{k.upper()}": str(v) for k, v in settings.items()}


def _ready_url(process: subprocess.Popen[bytes], log_path: Path) -> str:
    give_up_at = time.monotonic() + READY_SECONDS_MAX
    while process.poll() is None and time.monotonic() < give_up_at:
        for line in log_path.read_text().splitlines():
            if '"event": "ready"' in line:
                return str(json.loads(line)["url"])
        time.sleep(0.02)
    raise RuntimeError(f"the server did not become ready:\n{log_path.read_text()}")
