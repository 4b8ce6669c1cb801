"""A proof that is told to end leaves nothing behind: no service, no database, no folder."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from support.databases import data_dir
from support.service import environment, eventually

ROOT = Path(__file__).parents[2]


def started_by(process: psutil.Process) -> list[psutil.Process]:
    """Return all that it started, once a service with workers is among them."""
    started = process.children(recursive=True)
    return started if any("forkserver" in command(each) for each in started) else []


def command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:  # it has ended meanwhile
        return ""


@pytest.mark.parametrize(
    ("arguments", "number"),
    [
        (["faults", "stampede"], signal.SIGTERM),
        (["faults", "stampede"], signal.SIGHUP),
        (["attack", "json"], signal.SIGTERM),
        (["attack", "json"], signal.SIGINT),
        (["broken", "service"], signal.SIGTERM),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else value.name,
)
def test_a_proof_that_is_told_to_end_leaves_nothing_behind(
    arguments: list[str], number: signal.Signals
) -> None:
    with data_dir() as folder:
        process = subprocess.Popen(
            [sys.executable, "-m", f"loadtest.{arguments[0]}", *arguments[1:]],
            cwd=ROOT,
            env=environment() | {"TMPDIR": str(folder)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            started = eventually(lambda: started_by(psutil.Process(process.pid)))
            os.kill(process.pid, number)
            assert process.wait(60) != 0
        finally:
            process.kill()
        _, alive = psutil.wait_procs(started, timeout=10)
        assert alive == []
        assert list(folder.iterdir()) == []
