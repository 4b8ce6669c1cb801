"""Workers in which uvicorn answers: HTTP/1.1, all on one listening socket."""

import os
import socket
from typing import Any

from coupon_service.serving import spawning
from coupon_service.serving.listening import address_of
from coupon_service.serving.supervisor import STARTUP_FAILURE, Worker
from coupon_service.settings import Settings


class UvicornWorkers:
    """Starts processes in which uvicorn serves an application on a listening socket."""

    startup_failures = frozenset({STARTUP_FAILURE})

    def __init__(self, settings: Settings, listener: socket.socket, application: str) -> None:
        self._settings = settings
        self._application = application
        self._listener = listener
        self.address = address_of(listener)

    def start(self) -> Worker:
        """Start one more worker."""
        process = spawning.context().Process(
            target=_run_worker,
            args=(self._settings, self._application, self._listener, dict(os.environ)),
            name="coupon-service worker",
        )
        process.start()
        return Worker(process=process, ask_to_stop=process.terminate)

    def close_port(self) -> None:
        """Take no more connections in the supervisor's name."""
        self._listener.close()


def _run_worker(*arguments: Any) -> None:  # noqa: ANN401 # those of what it calls
    # Imported only there, where it has been imported beforehand: the supervisor needs none of it.
    from coupon_service.serving.uvicorn_server import run_worker  # noqa: PLC0415

    run_worker(*arguments)
