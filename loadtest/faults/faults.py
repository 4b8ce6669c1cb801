"""The faults: how each is done, what callers may see of it, and what is promised about it.

What callers may see is beside the coupons and the true refusals that they see anyway.
"""

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import cycle
from typing import Final

import asyncpg

from loadtest.callers import Mix
from loadtest.faults.proxy import Break
from loadtest.faults.stage import Setting, Stage
from loadtest.history import NO_ANSWER

HOUR_SECONDS = 3600
FREE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1"
PIDS = "SELECT pid FROM pg_stat_activity WHERE application_name = $1"
SERVICE = "coupon-service"

BUSY: Final = frozenset({"OVERLOADED"})
STORAGE: Final = frozenset({"STORAGE_UNAVAILABLE", "OVERLOADED", "OUTCOME_UNKNOWN"})
# What a client makes of a connection that is cut or refused.
CUT: Final = frozenset({"unavailable", "unknown", "canceled"})
IMPATIENT: Final = frozenset({NO_ANSWER, "canceled", "deadline_exceeded", "OUTCOME_UNKNOWN"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """Something that goes wrong in real operation.

    `strike` does it, and returns when it is over; from then on the service is to heal by
    itself. `seen` is what callers may see.
    """

    name: str
    title: str
    strike: Callable[[Stage], Awaitable[None]]
    seen: frozenset[str]
    setting: Setting = field(default_factory=Setting)
    mix: Mix = field(default_factory=Mix)
    needs_root: bool = False


async def kill_worker(stage: Stage) -> None:
    """Kill -9 of one worker."""
    os.kill(stage.chance.choice(stage.worker_pids()), signal.SIGKILL)


async def kill_all_workers(stage: Stage) -> None:
    """Kill -9 of all workers at once."""
    for pid in stage.worker_pids():
        os.kill(pid, signal.SIGKILL)


async def kill_backend(stage: Stage) -> None:
    """Kill -9 of a process that PostgreSQL runs for the service; it then restarts all of them."""
    connection = await stage.connect()
    rows = await connection.fetch(PIDS, SERVICE)
    connection.terminate()
    os.kill(stage.chance.choice([row["pid"] for row in rows]), signal.SIGKILL)


async def end_backends(stage: Stage) -> None:
    """End the service's sessions from within PostgreSQL, as an administrator does."""
    connection = await stage.connect()
    await connection.execute(FREE.replace("$1", f"'{SERVICE}'"))
    connection.terminate()


async def kill_postgres(stage: Stage) -> None:
    """Kill -9 of PostgreSQL's first process; the others end by themselves."""
    stage.postmaster().kill()


async def freeze_postgres(stage: Stage) -> None:
    """Stop all of PostgreSQL's processes with SIGSTOP, and let them go on later."""
    postmaster = stage.postmaster()
    processes = [postmaster, *postmaster.children()]
    for process in processes:
        process.suspend()
    await asyncio.sleep(stage.hold_seconds)
    for process in processes:
        process.resume()


async def stop_postgres(stage: Stage) -> None:
    """Shut PostgreSQL down, and start it again later."""
    postgres = stage.postgres
    assert postgres is not None  # noqa: S101 # by the fault's setting
    await asyncio.to_thread(postgres.stop)
    await asyncio.sleep(stage.hold_seconds)
    await asyncio.to_thread(postgres.start)


async def cut_connections(stage: Stage) -> None:
    """Cut all connections between the service and PostgreSQL, several times."""
    for _ in range(5):
        stage.through().cut()
        await asyncio.sleep(stage.chance.random() * stage.hold_seconds / 5)


async def delay_connections(stage: Stage) -> None:
    """Hold back every packet between the service and PostgreSQL, each way."""
    proxy = stage.through()
    proxy.delay_seconds = 0.02 + 0.1 * stage.chance.random()
    await asyncio.sleep(stage.hold_seconds)
    proxy.delay_seconds = 0


async def throttle_connections(stage: Stage) -> None:
    """Let only a little pass between the service and PostgreSQL."""
    proxy = stage.through()
    proxy.bytes_per_second_max = 20_000
    await asyncio.sleep(stage.hold_seconds)
    proxy.bytes_per_second_max = None


async def cut_around_commit(stage: Stage) -> None:
    """Break connections exactly while claims are stored: before, after, or much later."""
    proxy, breaks = stage.through(), cycle(Break)
    proxy.late_seconds_max = 0.5

    def decide(chunk: bytes) -> Break | None:
        return next(breaks) if _carries_codes(chunk) and stage.chance.random() < 0.1 else None

    broken_before = proxy.broken_count
    proxy.decide = decide
    while proxy.broken_count < broken_before + 3:
        await asyncio.sleep(stage.hold_seconds / 3)
    proxy.decide = lambda _chunk: None


def _carries_codes(chunk: bytes) -> bool:
    """Tell whether the service sends codes with it: it claims, or asks what became of a claim."""
    return any(lead in chunk for lead in (b"\xea\xb0", b"\xeb", b"\xec", b"\xed"))


async def exhaust_pool(stage: Stage) -> None:
    """Ask of more campaigns at once than the service has connections."""
    for _ in range(6):
        await stage.new_campaign(1_000_000)
    await asyncio.sleep(stage.hold_seconds)


async def exhaust_connections(stage: Stage) -> None:
    """Take every connection that PostgreSQL has, and end those of the service."""
    taken: list[asyncpg.Connection] = []
    ender = await stage.connect()
    with contextlib.suppress(asyncpg.TooManyConnectionsError):
        while len(taken) < 1000:
            taken.append(await asyncpg.connect(stage.database_url))
    await ender.execute(FREE.replace("$1", f"'{SERVICE}'"))
    ender.terminate()
    await asyncio.sleep(stage.hold_seconds)
    for connection in taken:
        connection.terminate()


async def lock_row(stage: Stage) -> None:
    """Hold the lock of the campaign's row in a foreign session."""
    connection = await stage.connect()
    async with connection.transaction():
        await connection.execute("SELECT FROM campaign FOR UPDATE")
        await asyncio.sleep(stage.hold_seconds)
    connection.terminate()


async def go_on(stage: Stage) -> None:
    """Do nothing: the fault lies in the callers or in the setting."""
    await asyncio.sleep(stage.hold_seconds)


async def fill_disk(stage: Stage) -> None:
    """Fill the disk of PostgreSQL's data, and make room again later."""
    disk = stage.services[0].seen_from_there(stage.data_dir)
    filler = disk / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(shutil.disk_usage(disk).free or 4096))
    await asyncio.sleep(stage.hold_seconds)
    filler.unlink()


FAULTS: tuple[Fault, ...] = (
    Fault(
        name="worker-killed",
        title="kill -9 of one worker",
        strike=kill_worker,
        seen=CUT,
        setting=Setting(has_own_database=True),
    ),
    Fault(
        name="workers-killed",
        title="kill -9 of all workers",
        strike=kill_all_workers,
        seen=CUT,
        setting=Setting(has_own_database=True),
    ),
    Fault(
        name="backend-killed",
        title="kill -9 of a PostgreSQL backend",
        strike=kill_backend,
        seen=STORAGE,
        setting=Setting(has_own_database=True),
    ),
    Fault(
        name="backends-ended",
        title="the service's sessions ended by an administrator",
        strike=end_backends,
        seen=STORAGE,
    ),
    Fault(
        name="postgres-killed",
        title="kill -9 of PostgreSQL itself, with crash recovery",
        strike=kill_postgres,
        seen=STORAGE,
        setting=Setting(has_own_database=True),
    ),
    Fault(
        name="postgres-frozen",
        title="PostgreSQL stands still",
        strike=freeze_postgres,
        seen=STORAGE,
        setting=Setting(has_own_database=True),
    ),
    Fault(
        name="postgres-stopped",
        title="PostgreSQL shut down and started again",
        strike=stop_postgres,
        seen=STORAGE,
    ),
    Fault(
        name="connections-cut",
        title="connections to PostgreSQL cut",
        strike=cut_connections,
        seen=STORAGE,
    ),
    Fault(
        name="connections-delayed",
        title="every packet to and from PostgreSQL delayed",
        strike=delay_connections,
        seen=STORAGE,
    ),
    Fault(
        name="connections-throttled",
        title="20 kB/s to and from PostgreSQL",
        strike=throttle_connections,
        seen=STORAGE,
    ),
    Fault(
        name="commits-cut",
        title="connections cut exactly around COMMIT",
        strike=cut_around_commit,
        seen=STORAGE,
    ),
    Fault(
        name="pool-exhausted",
        title="more busy campaigns and readers than pooled connections",
        strike=exhaust_pool,
        seen=STORAGE,
        setting=Setting(options={"pool_size": 2}),
        mix=Mix(readers=8),
    ),
    Fault(
        name="connections-exhausted",
        title="PostgreSQL has no connection left",
        strike=exhaust_connections,
        seen=STORAGE,
    ),
    Fault(
        name="row-locked",
        title="a foreign session holds the campaign's row",
        strike=lock_row,
        seen=STORAGE,
        setting=Setting(options={"statement_seconds_max": 0.5}),
    ),
    Fault(
        name="callers-gone",
        title="callers hang up at every stage",
        strike=go_on,
        seen=IMPATIENT,
        mix=Mix(hang_up_share=0.5),
    ),
    Fault(
        name="short-deadlines",
        title="deadlines of 1 to 50 ms",
        strike=go_on,
        seen=IMPATIENT,
        mix=Mix(deadline_share=0.7),
    ),
    Fault(
        name="stampede",
        title="a few users ask hundreds of times at once",
        strike=go_on,
        seen=frozenset(),
        mix=Mix(anonymous_share=0.02, repeat_share=0.97),
    ),
    Fault(
        name="two-services",
        title="two services on one database, one of them killed",
        strike=kill_worker,
        seen=CUT,
        setting=Setting(service_count=2),
    ),
    Fault(
        name="clock-ahead",
        title="the service's clock an hour fast",
        strike=go_on,
        seen=frozenset(),
        setting=Setting(wrong_by_seconds=HOUR_SECONDS),
    ),
    Fault(
        name="clock-behind",
        title="the service's clock an hour slow",
        strike=go_on,
        seen=frozenset(),
        setting=Setting(wrong_by_seconds=-HOUR_SECONDS),
    ),
    Fault(
        name="disk-full",
        title="no room on the disk of PostgreSQL's data",
        strike=fill_disk,
        seen=STORAGE,
        setting=Setting(has_own_database=True, disk_megabytes=500),
        needs_root=True,
    ),
)
