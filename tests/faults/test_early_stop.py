"""Told to stop while it is still starting, the service leaves nothing behind."""

import signal
import subprocess
import sys

import psutil
import pytest
from support.databases import data_dir
from support.service import environment

SECONDS_MAX = 60


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_service_that_is_stopped_while_its_database_starts_stops_that_too(
    number: signal.Signals,
) -> None:
    with data_dir() as folder:
        process = subprocess.Popen(
            [sys.executable, "-m", "coupon_service", "serve", "--port", "0"],
            env=environment(data_dir=folder / "data"),
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        for line in process.stderr:
            if "starting the embedded PostgreSQL" in line:
                break
        process.send_signal(number)
        process.stderr.read()
        process.stderr.close()
        assert process.wait(SECONDS_MAX) == 0
        left = [p.pid for p in psutil.process_iter(["cmdline"]) if _mentions(p, str(folder))]
        assert left == []


def _mentions(process: psutil.Process, text: str) -> bool:
    return any(text in word for word in process.info["cmdline"] or [])
