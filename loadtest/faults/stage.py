"""What a fault is done to: a service under load, its database, and a proxy in between."""

import asyncio
import contextlib
import random
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import asyncpg
import psutil

from coupon_service import migrating
from coupon_service._postgres_files import socket_dir
from coupon_service.embedded import EmbeddedPostgres
from loadtest.callers import Crowd, Mix, RecordingClient, recording
from loadtest.faults.proxy import Proxy, proxied
from loadtest.services import Service, running_service

MANY = 1_000_000
WRONG_CLOCK = ("bench.serve", "loadtest.faults.wrong_clock:create_app")


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """How the service is set up for a fault.

    `has_own_database` lets the service run its PostgreSQL itself; otherwise the harness
    does, with a proxy before it. `wrong_by_seconds` moves the clock of the service's host.
    `disk_megabytes` gives the data directory a disk of its own.
    """

    has_own_database: bool = False
    service_count: int = 1
    wrong_by_seconds: int = 0
    disk_megabytes: int | None = None
    options: dict[str, object] = field(default_factory=dict)


@dataclass(kw_only=True, slots=True)
class Stage:
    """A service under load.

    `hold_seconds` is how long a fault that lasts is to last.
    """

    chance: random.Random
    services: list[Service]
    data_dir: Path
    hold_seconds: float
    database_url: str
    postgres: EmbeddedPostgres | None = None
    proxy: Proxy | None = None
    client: RecordingClient = field(init=False)
    crowd: Crowd = field(init=False)
    campaign_ids: list[str] = field(default_factory=list)

    def worker_pids(self) -> list[int]:
        """Return the processes of all services that answer requests."""
        return [pid for service in self.services for pid in service.worker_pids()]

    def postmaster(self) -> psutil.Process:
        """Return PostgreSQL's first process."""
        pid_file = self.data_dir / "postgres" / "postmaster.pid"
        return psutil.Process(int(pid_file.read_text().split()[0]))

    def through(self) -> Proxy:
        """Return the proxy.

        Raises:
            RuntimeError: the service runs its database itself.
        """
        if self.proxy is None:
            raise RuntimeError("there is no proxy before a database that the service runs")
        return self.proxy

    async def connect(self) -> asyncpg.Connection:
        """Connect to the database past the proxy, as soon as it lets us."""
        while True:
            with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                return await asyncpg.connect(self.database_url)
            await asyncio.sleep(0.05)

    async def new_campaign(
        self,
        coupon_limit: int,
        *,
        starts_in_seconds: float = -1,
        ends_in_seconds: float | None = None,
    ) -> str:
        """Create a campaign, for which the callers then ask too."""
        campaign_id = await self.client.create(
            coupon_limit=coupon_limit,
            starts_in_seconds=starts_in_seconds,
            ends_in_seconds=ends_in_seconds,
        )
        self.campaign_ids.append(campaign_id)
        return campaign_id


@contextlib.asynccontextmanager
async def stage(
    setting: Setting,
    mix: Mix,
    *,
    chance: random.Random,
    hold_seconds: float,
    pause_seconds: float,
) -> AsyncIterator[Stage]:
    """Set everything up, with callers who are calling already; end it all afterwards.

    Each of them waits `pause_seconds` between an answer and the next call.
    """
    async with contextlib.AsyncExitStack() as stack:
        data_dir = stack.enter_context(_data_dir())
        made = await _started(stack, setting, data_dir, chance, hold_seconds)
        urls = [service.url for service in made.services]
        made.client = await stack.enter_async_context(recording(urls, chance))
        made.crowd = Crowd(made.client, made.campaign_ids, mix, chance, pause_seconds=pause_seconds)
        await made.new_campaign(MANY)
        made.crowd.start()
        stack.push_async_callback(made.crowd.stop)
        yield made


async def _started(
    stack: contextlib.AsyncExitStack,
    setting: Setting,
    data_dir: Path,
    chance: random.Random,
    hold_seconds: float,
) -> Stage:
    postgres = EmbeddedPostgres(data_dir)
    proxy = None
    options: dict[str, object] = {"workers": 2, **setting.options}
    if setting.has_own_database:
        options["data_dir"] = data_dir
    else:
        await asyncio.to_thread(postgres.start)
        stack.push_async_callback(asyncio.to_thread, postgres.stop)
        await migrating.migrate(postgres.url)
        proxy = await stack.enter_async_context(proxied(postgres.url))
        options["database_url"] = proxy.url
    services = [
        await _service(stack, setting, data_dir, options) for _ in range(setting.service_count)
    ]
    url = postgres.url
    if setting.disk_megabytes is not None:
        run = str(socket_dir(data_dir))
        url = url.replace(quote(run), quote(str(services[0].seen_from_there(Path(run)))))
    return Stage(
        chance=chance,
        services=services,
        data_dir=data_dir,
        hold_seconds=hold_seconds,
        database_url=url,
        postgres=None if setting.has_own_database else postgres,
        proxy=proxy,
    )


async def _service(
    stack: contextlib.AsyncExitStack, setting: Setting, data_dir: Path, options: dict[str, object]
) -> Service:
    variables: dict[str, str] = {}
    prefix: tuple[str, ...] = ()
    module: tuple[str, ...] = ("coupon_service", "serve")
    if setting.wrong_by_seconds:
        variables = {"WRONG_BY_SECONDS": str(setting.wrong_by_seconds)}
        module = WRONG_CLOCK
    if setting.disk_megabytes is not None:
        prefix = _on_a_small_disk(data_dir, setting.disk_megabytes)
    running = running_service(module=module, prefix=prefix, variables=variables, **options)
    service = await asyncio.to_thread(running.__enter__)
    stack.push_async_callback(asyncio.to_thread, running.__exit__, None, None, None)
    return service


def _on_a_small_disk(data_dir: Path, megabytes: int) -> tuple[str, ...]:
    """Return the beginning of a command that sees a small disk at the data directory."""
    mount = f"mount -t tmpfs -o size={megabytes}m,mode=711 tmpfs '{data_dir}'"
    return ("unshare", "--mount", "sh", "-c", f'{mount} && exec "$@"', "sh")


@contextlib.contextmanager
def _data_dir() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="coupon-faults-"))
    folder.chmod(0o711)  # for root, PostgreSQL runs under another account
    data_dir = folder / "data"
    data_dir.mkdir(mode=0o711)
    try:
        yield data_dir
    finally:
        shutil.rmtree(folder)
