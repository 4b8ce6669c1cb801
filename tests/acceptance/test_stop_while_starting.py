"""Ctrl+C before the service has started: quiet, at once, and nothing is left."""

import contextlib
import os
import signal
import subprocess
import sys

import psutil
import pytest
from support.databases import blackhole
from support.service import environment, eventually

ENDS_WITHIN_SECONDS = 30
TOLD_AGAIN_AFTER_SECONDS = 0.05


def imports(process: psutil.Process) -> bool:
    """Tell whether the service is still importing what it needs: what it began first is there."""
    return any("forkserver" in " ".join(child.cmdline()) for child in process.children())


@pytest.mark.parametrize("server", ["uvicorn", "pyvoy"])
def test_ctrl_c_while_the_service_still_imports_ends_it_quietly(server: str) -> None:
    with (
        # It would wait there for its database.
        blackhole() as port,
        subprocess.Popen(
            [sys.executable, "-m", "coupon_service", "serve", "--server", server],
            env=environment(port=0, database_url=f"postgresql://user@127.0.0.1:{port}/none"),
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as starting,
    ):
        eventually(lambda: imports(psutil.Process(starting.pid)))
        children = psutil.Process(starting.pid).children()
        while starting.poll() is None:
            # As a terminal does, it reaches the whole group of processes.
            os.killpg(starting.pid, signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                starting.wait(TOLD_AGAIN_AFTER_SECONDS)
        _, said = starting.communicate(timeout=ENDS_WITHIN_SECONDS)
    assert (starting.returncode, said) == (0, "")
    _, alive = psutil.wait_procs(children, timeout=ENDS_WITHIN_SECONDS)
    assert alive == []
