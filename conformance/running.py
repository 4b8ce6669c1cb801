"""Runs the official runner on one subject."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence

from conformance import known, results
from conformance.known import KnownFailure
from conformance.results import Result, Run
from conformance.subjects import Subject
from conformance.tools import BUILD, ROOT, RUNNER

RUN_SECONDS_MAX = 240
TIMED_OUT = -1
# The runner gives a server ten seconds to start, also on a machine that is busy.
SERVERS_AT_ONCE = 1
# Some cases are about a deadline, which a machine that is busy may miss.
TRIED_AGAIN_MAX = 20


def run(subject: Subject, cases: Sequence[str] = ()) -> Result:
    """Test a subject, all of it or the cases of some patterns, and return how it did.

    A few cases that are not as expected are tried once more, by themselves. What the
    runner and the server say is kept in files beside the runner.
    """
    first = _run_once(subject, cases, subject.name)
    if first.not_run or not 0 < len(first.unexpected) <= TRIED_AGAIN_MAX:
        return first
    again = [each.case for each in first.unexpected]
    return results.tried_again(first, _run_once(subject, again, f"{subject.name}-again"))


def known_failures(subject: Subject) -> list[KnownFailure]:
    """Return what is known to fail of a subject."""
    return [failure for file in subject.known_failures for failure in known.read(file)]


def _run_once(subject: Subject, cases: Sequence[str], name: str) -> Result:
    report, log = BUILD / f"{name}.txt", BUILD / f"{name}.log"
    started_at = time.monotonic()
    with report.open("w") as stdout, log.open("w") as stderr:
        exit_status = _run(_command(subject, cases), stdout.fileno(), stderr.fileno())
    done = Run(
        subject=subject,
        report=report.read_text(),
        log=log.read_text(errors="replace"),
        seconds=time.monotonic() - started_at,
        exit_status=exit_status,
    )
    return results.parse(done, known_failures(subject))


def _command(subject: Subject, cases: Sequence[str]) -> list[str]:
    command = [str(RUNNER), "--mode", "server", "--conf", str(subject.config)]
    command += ["--max-servers", str(SERVERS_AT_ONCE)]
    # One by one: of several files the runner reads the first alone.
    for failure in known_failures(subject):
        command += ["--known-failing", failure.pattern]
    for pattern in cases:
        command += ["--run", pattern]
    server = [sys.executable, "-m", "conformance.server", subject.server, subject.factory]
    return [*command, "--", *server]


def _run(command: Sequence[str], stdout: int, stderr: int) -> int:
    """Run the runner, whose servers end with it, for no longer than it may take."""
    environment = {**os.environ, "PYTHONPATH": f"{BUILD}{os.pathsep}{ROOT}"}
    process = subprocess.Popen(  # noqa: S603 # a command of this file's own
        command,
        # Away from a .env file, which is for the coupon service.
        cwd=BUILD,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,
    )
    try:
        return process.wait(RUN_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        return TIMED_OUT
    finally:
        # The runner, and servers of its that are still there.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait()
