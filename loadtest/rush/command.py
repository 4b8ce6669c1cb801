"""`python -m loadtest rush`: runs locust against a service, and gives the verdict."""

import asyncio
import contextlib
import math
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import click
import msgspec

from coupon_service.embedded import EmbeddedPostgres
from loadtest.callers import recording
from loadtest.clocks import shared_clock
from loadtest.history import HistoryError, Recorder
from loadtest.report.terminal import console
from loadtest.rush.folder import RUN_FILE
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
    "--url",
    envvar="COUPON_URL",
    show_envvar=True,
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
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(1))
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
    with _target(url) as target:
        status = _run_locust(target.url, token, chosen, processes)
        if status == 0 and target.database_url is not None:
            _record_stored(output, target)
    sys.exit(status or _conclude(output))


@contextlib.contextmanager
def _target(url: str | None) -> Iterator[Target]:
    """Provide the service to rush, and stop it if it was started for that."""
    if url is not None:
        yield Target(url=url)
        return
    with contextlib.ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="coupon-rush-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        folder.chmod(0o711)  # for root, PostgreSQL runs under another account
        click.echo(f"Starting a service with {WORKERS} workers and a database of its own ...")
        arguments = ("--workers", str(WORKERS), "--data-dir", str(folder / "data"))
        try:
            service = stack.enter_context(running_service(*arguments, prefix=OWN_SESSION))
        except (RuntimeError, OSError) as exc:
            raise click.ClickException(" ".join(str(exc).split())) from exc
        yield Target(url=service.url, database_url=EmbeddedPostgres(folder / "data").url)


def _run_locust(url: str, token: str | None, chosen: dict[str, object], processes: int) -> int:
    """Run locust to its end, and return its exit status."""
    command = [sys.executable, "-m", "locust", "--locustfile", str(LOCUSTFILE), "--headless"]
    command += ["--only-summary", "--skip-log-setup", "--no-report", "--host", url]
    for name, value in chosen.items():
        command += [f"--{name}", str(value)]
    if processes > 1:
        port = str(_free_port())
        command += ["--processes", str(processes), "--master-bind-host", "127.0.0.1"]
        command += ["--master-bind-port", port, "--master-port", port]
    shared_clock()  # whose anchor the environment now has
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    environment = os.environ | {"PYTHONPATH": path, "COUPON_TOKEN": token or ""}
    with subprocess.Popen(command, env=environment) as locust:  # noqa: S603 # options of ours
        # A Ctrl+C is locust's too, which then comes to its end; so does the verdict.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            return locust.wait()
        finally:
            signal.signal(signal.SIGINT, before)
            if locust.poll() is None:
                locust.terminate()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _record_stored(output: Path, target: Target) -> None:
    """Add to the history what the database holds of the campaign."""
    run = msgspec.json.decode((output / RUN_FILE).read_bytes(), type=Run)

    async def record() -> None:
        async with recording([target.url], random.Random()) as client:  # noqa: S311 # unused
            await client.record_stored(run.campaign_id, str(target.database_url))
            with (output / STORED).open("wb") as file:
                recorder = Recorder(file)
                for line in client.lines:
                    recorder.record(line)

    asyncio.run(record())


def _conclude(output: Path) -> int:
    # Imported only here: matplotlib takes long to import.
    from loadtest.report.concluding import conclude  # noqa: PLC0415

    try:
        return conclude(output, console())
    except HistoryError as exc:
        raise click.ClickException(str(exc)) from exc
