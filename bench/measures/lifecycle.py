"""Starting and stopping the real program, which has a PostgreSQL of its own."""

import contextlib
import http.client
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path

from bench.figures import Figure, at_most
from bench.load import WRK_SCRIPT, LoadFailed
from bench.options import Options
from bench.reader import Reader
from bench.stand import ISSUE_PATH, READY_SECONDS_MAX, STOP_SECONDS_MAX, Stand, environment
from coupon_service.domain import COUPON_LIMIT_MAX

CREATE_PATH = "/coupon.v1.CouponService/CreateCampaign"
HOST = "127.0.0.1"
CONNECTIONS = 256
POLL_SECONDS = 0.01
BUSY_SECONDS = 1
LOAD_SECONDS_MAX = 120


@dataclass(frozen=True, kw_only=True, slots=True)
class Program:
    """The program, ready, and the seconds that it took to become so."""

    process: subprocess.Popen[bytes]
    port: int
    ready_seconds: float

    @property
    def url(self) -> str:
        """Return where it serves."""
        return f"http://{HOST}:{self.port}"

    def stop(self) -> float:
        """Tell it to stop, and return the seconds until it has exited.

        Raises:
            LoadFailed: it did not exit with status 0.
        """
        told_at = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(STOP_SECONDS_MAX)
        seconds = time.monotonic() - told_at
        if status:
            raise LoadFailed(f"the program was told to stop and exited with status {status}")
        return seconds


def start_and_stop(stand: Stand, options: Options) -> Iterator[Figure]:
    """Row l: time from the start to ready, and from SIGTERM under load to the exit."""
    with _program(stand) as first:
        first.stop()  # its data directory is what the others find
    starts, stops = zip(*(_start_and_stop(stand) for _ in range(options.rounds)), strict=True)
    yield Figure(
        row="l",
        title="from the start on a data directory that was served from to ready",
        values=starts,
        unit="s",
        target=at_most(2),
    )
    yield Figure(
        row="l",
        title=f"from SIGTERM to the exit while {CONNECTIONS} connections call IssueCoupon",
        values=stops,
        unit="s",
        target=at_most(2),
    )


def _start_and_stop(stand: Stand) -> tuple[float, float]:
    with _program(stand) as program, _load(program):
        return program.ready_seconds, program.stop()


@contextlib.contextmanager
def _program(stand: Stand) -> Iterator[Program]:
    """Start the program as an operator does, and end it afterwards if it still runs."""
    port, log_path = _free_port(), stand.folder / "served.log"
    arguments = ["serve", "--port", str(port), "--data-dir", str(stand.folder / "served")]
    with log_path.open("wb") as log:
        started_at = time.monotonic()
        process = subprocess.Popen(  # noqa: S603 # this program
            [sys.executable, "-m", "coupon_service", *arguments],
            cwd=stand.folder,  # no .env lies there
            env=environment({"host": HOST}),
            stderr=log,
        )
    try:
        _wait_until_ready(process, port, log_path)
        ready_seconds = time.monotonic() - started_at
        yield Program(process=process, port=port, ready_seconds=ready_seconds)
    finally:
        process.terminate()  # does nothing to one that has exited
        process.wait(STOP_SECONDS_MAX)


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as listener:
        return int(listener.getsockname()[1])


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, log_path: Path) -> None:
    give_up_at = time.monotonic() + READY_SECONDS_MAX
    while process.poll() is None and time.monotonic() < give_up_at:
        if _is_ready(port):
            return
        time.sleep(POLL_SECONDS)
    raise LoadFailed(f"the program did not become ready:\n{log_path.read_text()}")


def _is_ready(port: int) -> bool:
    with contextlib.closing(
        http.client.HTTPConnection(HOST, port, timeout=READY_SECONDS_MAX)
    ) as connection:
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False


@contextlib.contextmanager
def _load(program: Program) -> Iterator[None]:
    """Keep connections busy with claims, also while the program stops."""
    campaign_id = _create_campaign(program.port)
    # Not by way of bench.load, which wants clean answers: here connections are to break.
    options = ["-t1", f"-c{CONNECTIONS}", f"-d{LOAD_SECONDS_MAX}s", "-s", str(WRK_SCRIPT)]
    wrk = subprocess.Popen(  # noqa: S603 # ours
        ["wrk", *options, program.url + ISSUE_PATH, "--", campaign_id, "json", "none", "run"],  # noqa: S607 # found on PATH
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        time.sleep(BUSY_SECONDS)
        _require_busy(program, campaign_id)
        yield
    finally:
        wrk.kill()
        wrk.wait(STOP_SECONDS_MAX)


def _require_busy(program: Program, campaign_id: str) -> None:
    """Make sure that the connections have all been answered by now, if they share fairly."""
    with Reader(program.url, campaign_id) as reader:
        campaign = json.loads(reader.read(codes=False).sent)["campaign"]
    if campaign.get("issuedCount", 0) < CONNECTIONS:
        raise LoadFailed(f"the connections are not busy: {campaign}")


def _create_campaign(port: int) -> str:
    new = {
        "name": "bench",
        "couponLimit": COUPON_LIMIT_MAX,
        "startTime": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
    }
    headers = {"content-type": "application/json"}
    with contextlib.closing(http.client.HTTPConnection(HOST, port, timeout=30)) as connection:
        connection.request("POST", CREATE_PATH, json.dumps(new), headers)
        answer = json.loads(connection.getresponse().read())
    return str(answer["campaign"]["campaignId"])
