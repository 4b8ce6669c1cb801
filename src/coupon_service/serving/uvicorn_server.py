"""uvicorn's server in a worker process, within limits, from its start to its stop."""

import asyncio
import multiprocessing
import os
import signal
import socket
import sys
import threading
from collections.abc import Mapping
from multiprocessing.connection import wait
from types import FrameType
from typing import cast

import structlog
import uvicorn

from coupon_service import logs
from coupon_service.serving import tls
from coupon_service.serving.connection_limits import TICK_SECONDS, Limits
from coupon_service.serving.http_protocol import CouponHttpProtocol
from coupon_service.serving.listening import LISTEN_BACKLOG
from coupon_service.serving.supervisor import STARTUP_FAILURE
from coupon_service.settings import Settings

log = structlog.get_logger(__name__)

# uvicorn's own ticks in one of ours.
TICKS = 10 * TICK_SECONDS


class CouponServer(uvicorn.Server):
    """uvicorn's server with limits for its connections, and TLS if it is set."""

    def __init__(self, settings: Settings, application: str) -> None:
        super().__init__(_config(settings, application))
        self._settings = settings
        self._limits = Limits.of(settings)
        self._tls = tls.server_context(settings)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the application, then answer on the listening sockets."""
        await self.lifespan.startup()
        if self.lifespan.should_exit:
            sys.exit(STARTUP_FAILURE)
        loop = asyncio.get_running_loop()
        handshake_seconds = self._settings.receive_seconds_max if self._tls else None
        self.servers = [
            await loop.create_server(
                self._protocol,
                sock=each,
                ssl=self._tls,
                ssl_handshake_timeout=handshake_seconds,
                backlog=LISTEN_BACKLOG,
            )
            for each in sockets or []
        ]
        self.started = True

    def _protocol(self) -> CouponHttpProtocol:
        return CouponHttpProtocol(
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
            limits=self._limits,
        )

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 # uvicorn's
        """Stop gracefully, however often it is told: Ctrl+C reaches it, and so does its supervisor.

        uvicorn takes a second Ctrl+C for impatience, and gives up the calls under way.
        """
        self.should_exit = True

    async def on_tick(self, counter: int) -> bool:
        """Look after the connections once a second; uvicorn ticks ten times as often."""
        if counter % TICKS == 0:
            for connection in self.server_state.connections.copy():
                cast("CouponHttpProtocol", connection).tick()
        return await super().on_tick(counter)


def _config(settings: Settings, application: str) -> uvicorn.Config:
    return uvicorn.Config(
        application,
        factory=True,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="info" if settings.log_level == "debug" else "warning",
        access_log=settings.access_log,
        server_header=False,
        # Whether to believe X-Forwarded-For is the application's to decide.
        proxy_headers=False,
        timeout_keep_alive=settings.keep_alive_seconds,
        timeout_graceful_shutdown=settings.shutdown_seconds_max,
    )


def run_worker(
    settings: Settings,
    application: str,
    listener: socket.socket,
    environment: Mapping[str, str],
) -> None:
    """Serve until SIGTERM or SIGINT; the life of one worker process.

    `environment` is the supervisor's: the process this one is a copy of has an older one.
    """
    os.environ.clear()
    os.environ.update(environment)
    stopping = _Stopping()
    logs.configure(settings)
    _stop_with_parent()
    server = CouponServer(settings, application)
    try:
        server.config.load()
    except Exception:
        log.exception("the application could not be made")
        sys.exit(STARTUP_FAILURE)
    stopping.server = server
    server.run(sockets=[listener])


class _Stopping:
    """Ends this process on SIGTERM or SIGINT until its server sees to that, and after.

    uvicorn stops gracefully on these once it runs, and in the end raises them again, which
    would make the exit status one of a process that was killed.
    """

    def __init__(self) -> None:
        self.server: CouponServer | None = None
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        if self.server is None:
            raise SystemExit(0)
        self.server.should_exit = True


def _stop_with_parent() -> None:
    """Stop this worker when its supervisor is gone, which cannot say so after a kill -9."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="watch-parent", daemon=True).start()
