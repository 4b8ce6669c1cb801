"""Where worker processes come from: copies of a process that has the application imported.

Importing takes far longer than anything else a worker does before it can answer. The
process to copy, multiprocessing's fork server, imports while the database starts, so
that workers are there as soon as the database is, and a dead one is replaced at once.
"""

import contextlib
import multiprocessing
import os
import signal
import tempfile
from collections.abc import Iterator
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext

TEMPORARY_PATH_MAX = 60
# A worker of pyvoy becomes another program, which imports the application itself.
IMPORTED_BEFOREHAND = {
    "uvicorn": [
        "coupon_service.cli",
        "coupon_service.serving.uvicorn_server",
        "coupon_service.app",
    ],
    "pyvoy": ["coupon_service.cli", "coupon_service.serving.envoy_process"],
}


@contextlib.contextmanager
def importing(server: str) -> Iterator[None]:
    """Let a process import for a server's workers meanwhile; end it if they are not wanted.

    Should they be another's after all, they import what they need themselves.
    """
    _begin_importing(server)
    try:
        yield
    except BaseException:
        # Left alone, it would go on for a second, to no end.
        _give_up()
        raise


def _give_up() -> None:
    pid = forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined] # noqa: SLF001 # it has no other name
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _begin_importing(server: str) -> None:
    _make_room_for_sockets()
    context().set_forkserver_preload(IMPORTED_BEFOREHAND.get(server, []))
    # That one is never told to stop but by its end: until it knows, Ctrl+C must not disturb it.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        forkserver.ensure_running()
    finally:
        signal.signal(signal.SIGINT, before)


def _make_room_for_sockets() -> None:
    """Use /tmp if the temporary directory's path leaves no room for a socket's name.

    A socket's path has 103 bytes on macOS and 107 on Linux. What is made there is private
    to this user in either case.
    """
    if len(tempfile.gettempdir()) > TEMPORARY_PATH_MAX:
        tempfile.tempdir = "/tmp"  # noqa: S108 # see above


def context() -> ForkServerContext:
    """Return what starts processes as copies of that one."""
    return multiprocessing.get_context("forkserver")
