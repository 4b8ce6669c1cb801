"""Load from generators that are not ours: wrk for throughput, oha for a constant rate."""

import itertools
import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.stand import ISSUE_PATH

# How to get what `make setup` cannot bring.
TOOLS = {
    "wrk": "Debian and Ubuntu: apt install wrk; macOS: brew install wrk",
    "oha": "macOS: brew install oha; anywhere with Rust: cargo install oha",
}
WRK_SCRIPT = Path(__file__).with_name("wrk.lua")
_runs = itertools.count(1)


class LoadFailed(Exception):
    """A load generator is missing, failed, or got answers that it should not have got."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Throughput:
    """What a closed loop of connections got through; `refused` of the requests were errors."""

    requests: int
    seconds: float
    refused: int

    @property
    def per_second(self) -> float:
        """Return the requests answered in a second."""
        return self.requests / self.seconds


@dataclass(frozen=True, kw_only=True, slots=True)
class Latencies:
    """Latencies at a constant arrival rate, in milliseconds, by percentile (50 to 99.99).

    They are counted from when a request was due, not from when it could be sent.
    `per_second` is the rate that was kept.
    """

    milliseconds: dict[str, float]
    requests: int
    per_second: float


def missing_tools() -> list[str]:
    """Return a sentence for each generator that is not on PATH."""
    return [
        f"{name} is not on PATH ({how})." for name, how in TOOLS.items() if not shutil.which(name)
    ]


def issue_in_a_loop(  # noqa: PLR0913 # each names a part of the load
    url: str,
    campaign_id: str,
    *,
    connections: int,
    seconds: int,
    message_format: str = "json",
    distinct_users: bool = False,
    refused: bool = False,
) -> Throughput:
    """Call IssueCoupon over keep-alive connections, each sending as soon as it is answered.

    `message_format` is json or proto. `refused` says whether every answer must be a
    refusal or every answer a coupon.

    Raises:
        LoadFailed: an answer was of the other kind, or a connection broke.
    """
    users = "distinct" if distinct_users else "none"
    run = f"r{next(_runs)}"
    output = _run(
        ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s"],
        ["-s", str(WRK_SCRIPT), url + ISSUE_PATH, "--", campaign_id, message_format, users, run],
    )
    summary = json.loads(output.splitlines()[-1])
    wanted = summary["requests"] if refused else 0
    if summary["broken"] or summary["refused"] != wanted:
        raise LoadFailed(f"not every answer was as wanted: {summary}")
    return Throughput(
        requests=summary["requests"],
        seconds=summary["microseconds"] / 1e6,
        refused=summary["refused"],
    )


def issue_at_a_rate(
    url: str, campaign_id: str, *, per_second: int, seconds: float, connections: int = 256
) -> Latencies:
    """Call IssueCoupon at a constant arrival rate.

    Raises:
        LoadFailed: a call was refused or a connection broke.
    """
    report = run_oha(url, campaign_id, per_second, seconds, connections)
    statuses = report["statusCodeDistribution"]
    if set(statuses) != {"200"}:
        raise LoadFailed(f"not every answer was a coupon: {statuses}")
    return Latencies(
        milliseconds={
            name.removeprefix("p"): value * 1000
            for name, value in report["latencyPercentiles"].items()
        },
        requests=statuses["200"],
        per_second=report["summary"]["requestsPerSec"],
    )


def run_oha(
    url: str, campaign_id: str, per_second: int, seconds: float, connections: int
) -> dict[str, Any]:
    """Call IssueCoupon at a constant arrival rate, and return what oha reports.

    Raises:
        LoadFailed: oha failed, or a call got no answer.
    """
    # A number of requests and not a time: at the end of a time oha drops the calls that
    # wait for an answer, which are the slow ones.
    calls = round(per_second * seconds)
    output = _run(
        ["oha", "--no-tui", "--output-format", "json", "--latency-correction"],
        ["--disable-compression", "-q", str(per_second), "-n", str(calls), "-t", "30s"],
        ["-c", str(connections), "-m", "POST", "-T", "application/json"],
        ["-d", json.dumps({"campaignId": campaign_id}), url + ISSUE_PATH],
    )
    report: dict[str, Any] = json.loads(output)
    if broken := report["errorDistribution"]:
        raise LoadFailed(f"not every call was answered: {broken}")
    return report


def _run(*arguments: list[str]) -> str:
    command = list(itertools.chain(*arguments))
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 # ours
    if done.returncode:
        raise LoadFailed(f"{command[0]} failed: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout
