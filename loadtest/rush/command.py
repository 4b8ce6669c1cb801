"""`python -m loadtest rush`: runs locust against a service, and gives the verdict."""

import asyncio
import contextlib
import itertools
import math
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit

import asyncpg
import click
import msgspec

from coupon_service.embedded import EmbeddedPostgres
from loadtest.callers import recording
from loadtest.clocks import shared_clock
from loadtest.history import HistoryError, Recorder
from loadtest.report.terminal import console
from loadtest.rush.folder import RUN_FILE, FolderInUse, Hold
from loadtest.rush.limits import (
    COUPONS,
    DEFAULT_COUPONS,
    DEFAULT_OUTPUT,
    DEFAULT_RATE,
    DEFAULT_STARTS_IN,
    DEFAULT_USER_RATE,
    DURATION_SECONDS,
    PROCESSES,
    RATE,
    SEED,
    STARTS_IN_SECONDS,
)
from loadtest.rush.plan import Run
from loadtest.services import running_service

ROOT = Path(__file__).parents[2]
LOCUSTFILE = ROOT / "loadtest" / "locustfile.py"
STORED = "stored.jsonl"
WORKERS = 2
SPAWN_RATE_MAX = 100
# What ends a rush early, with a verdict on what there is.
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
REMOVED_WITHIN_SECONDS = 10
REMOVAL_PAUSE_SECONDS = 0.05
# Ctrl+C in a terminal is for the rush, which stops the service when it is done with it.
OWN_SESSION = (
    sys.executable,
    "-c",
    "import os, sys; os.setsid(); os.execv(sys.argv[1], sys.argv[1:])",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """The service to rush; `database_url` is known only of one that was started for it."""

    url: str
    database_url: str | None = None


def _checked_url(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    if value is None:
        return None
    try:
        parts = urlsplit(value)
        is_valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_valid = False
    if not is_valid:
        raise click.BadParameter(f"{value!r} is not an http:// or https:// URL")
    return value


def _checked_token(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    if value is not None and not (value.isascii() and value.isprintable()):
        raise click.BadParameter("a token is made of printable ASCII characters")
    return value


@click.command()
@click.option(
    "--url",  # and no variable: who has one set may not mean to load what it names
    callback=_checked_url,
    help="The service to rush. Without it, one is started for the run, with 2 workers.",
)
@click.option(
    "--token",
    envvar="COUPON_TOKEN",
    show_envvar=True,
    callback=_checked_token,
    help="A bearer token for every call.",
)
@click.option(
    "--rate",
    type=click.IntRange(*RATE),
    default=DEFAULT_RATE,
    show_default=True,
    help="Calls a second from the start on.",
)
@click.option(
    "--coupons",
    type=click.IntRange(*COUPONS),
    default=DEFAULT_COUPONS,
    show_default=True,
    help="How many coupons the campaign has.",
)
@click.option(
    "--duration",
    type=click.IntRange(*DURATION_SECONDS),
    help="Seconds of the burst at most.  [default: until 3 s after all is sold out]",
)
@click.option(
    "--starts-in",
    type=click.IntRange(*STARTS_IN_SECONDS),
    default=DEFAULT_STARTS_IN,
    show_default=True,
    help="In how many seconds the campaign starts; until then come early birds.",
)
@click.option(
    "--processes",
    type=click.IntRange(*PROCESSES),
    default=1,
    show_default=True,
    help="How many processes generate the load.",
)
@click.option(
    "--seed", type=click.IntRange(*SEED), help="Repeat a run's callers; new ones by default."
)
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=DEFAULT_OUTPUT,
    show_default=True,
    help="Where the history and the report go.",
)
def rush(  # noqa: PLR0913 # an option each
    *,
    url: str | None,
    token: str | None,
    rate: int,
    coupons: int,
    duration: int | None,
    starts_in: int,
    processes: int,
    seed: int | None,
    output: Path,
) -> None:
    """Sell out a campaign as on a launch night, and check every answer.

    Callers arrive by the clock and wait for nobody: some too early, some anonymous, some
    asking again, some without patience. Exits with status 1 if a promise is broken, if
    nothing could be checked, or if too few coupons were issued.

    \b
    Examples:
      python -m loadtest rush
      python -m loadtest rush --rate 2000 --coupons 20000 --processes 2
      python -m loadtest rush --url https://coupons.example.com --token SECRET
    """  # noqa: D301 # \b is click's mark for a paragraph that keeps its lines
    # So that what was started is stopped.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda _number, _frame: sys.exit(1))
    users = max(processes, math.ceil(rate / DEFAULT_USER_RATE))
    chosen = {
        "users": users,
        "spawn-rate": min(users, SPAWN_RATE_MAX),
        "user-rate": rate / users,
        "coupons": coupons,
        "duration": duration or 0,
        "starts-in": starts_in,
        "seed": seed or 0,
        "output": output,
    }
    with _held(output) as hold:
        with _target(url) as target:
            command = _locust_command(target.url, chosen, processes)
            status = _run_locust(command, token, hold)
            failed = status == 0 and not _record_stored(output, target)
        sys.exit(status or _conclude(output) or int(failed))


@contextlib.contextmanager
def _held(folder: Path) -> Iterator[Hold]:
    """Keep other rushes out of the folder."""
    try:
        hold = Hold(folder)
    except FolderInUse as exc:
        raise click.ClickException(str(exc)) from exc
    except OSError as exc:
        raise click.ClickException(f"{folder} cannot be written to: {exc.strerror}") from exc
    try:
        yield hold
    finally:
        hold.release()


@contextlib.contextmanager
def _target(url: str | None) -> Iterator[Target]:
    """Provide the service to rush, and stop it if it was started for that."""
    if url is not None:
        yield Target(url=url)
        return
    with contextlib.ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="coupon-rush-"))
        stack.callback(_remove, folder)
        folder.chmod(0o711)  # for root, PostgreSQL runs under another account
        click.echo(f"Starting a service with {WORKERS} workers and a database of its own ...")
        arguments = ("--workers", str(WORKERS), "--data-dir", str(folder / "data"))
        try:
            service = stack.enter_context(running_service(*arguments, prefix=OWN_SESSION))
        except (RuntimeError, OSError) as exc:
            raise click.ClickException(" ".join(str(exc).split())) from exc
        yield Target(url=service.url, database_url=EmbeddedPostgres(folder / "data").url)


def _remove(folder: Path) -> None:
    """Remove the folder, though what was interrupted while it started may still write to it."""
    give_up_at = time.monotonic() + REMOVED_WITHIN_SECONDS
    while folder.exists() and time.monotonic() < give_up_at:
        shutil.rmtree(folder, ignore_errors=True)
        time.sleep(REMOVAL_PAUSE_SECONDS)


def _locust_command(url: str, chosen: dict[str, object], processes: int) -> list[str]:
    command = [sys.executable, "-m", "locust", "--locustfile", str(LOCUSTFILE), "--headless"]
    command += ["--only-summary", "--skip-log-setup", "--no-report", "--host", url]
    for name, value in chosen.items():
        command += [f"--{name}", str(value)]
    if processes > 1:
        port = str(_free_port())
        command += ["--processes", str(processes), "--master-bind-host", "127.0.0.1"]
        command += ["--master-bind-port", port, "--master-port", port]
    return command


def _run_locust(command: list[str], token: str | None, hold: Hold) -> int:
    """Run locust to its end, and return its exit status."""
    shared_clock()  # whose anchor the environment now has
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    environment = os.environ | {"PYTHONPATH": path, "COUPON_TOKEN": token or ""}
    # In a session of its own, so that what is meant to end the rush reaches locust once.
    with (
        _held_back(ENDING),
        subprocess.Popen(  # noqa: S603 # options of ours
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=(hold.fileno(),),
        ) as locust,
        _passed_on(ENDING, locust),
    ):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
        return locust.wait()


@contextlib.contextmanager
def _held_back(numbers: Iterable[signal.Signals]) -> Iterator[None]:
    """Keep signals waiting, from a process that is started too, which is to let them in."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _passed_on(
    numbers: Iterable[signal.Signals], process: "subprocess.Popen[bytes]"
) -> Iterator[None]:
    """Interrupt a process, which then comes to its end in order, in place of this one.

    From the second time on, all of its session.
    """
    times = itertools.count(1)

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        if next(times) == 1:
            process.send_signal(signal.SIGINT)
        elif process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)

    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if process.poll() is None:
            process.terminate()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _record_stored(output: Path, target: Target) -> bool:
    """Add to the history what the database holds of the campaign, and tell whether it could."""
    if target.database_url is None:
        return True
    run = msgspec.json.decode((output / RUN_FILE).read_bytes(), type=Run)

    async def record() -> None:
        async with recording([target.url], random.Random()) as client:  # noqa: S311 # unused
            await client.record_stored(run.campaign_id, str(target.database_url))
            with (output / STORED).open("wb") as file:
                recorder = Recorder(file)
                for line in client.lines:
                    recorder.record(line)

    try:
        asyncio.run(record())
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as exc:
        why = " ".join(str(exc).split())
        click.echo(f"loadtest: what the database holds cannot be read: {why}", err=True)
        return False
    return True


def _conclude(output: Path) -> int:
    # Imported only here: matplotlib takes long to import.
    from loadtest.report.concluding import conclude  # noqa: PLC0415

    try:
        return conclude(output, console())
    except HistoryError as exc:
        raise click.ClickException(str(exc)) from exc
