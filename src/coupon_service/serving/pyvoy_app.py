"""The application as pyvoy wants it: an instance, made when this module is imported.

This runs inside Envoy, which breaks off at SIGTERM. So it is not told to stop by a
signal but by a pipe from the supervisor, whose other end is closed also when the
supervisor dies. Then Envoy is drained, and only then terminated.
"""

import asyncio
import os
import pkgutil
import signal
import threading
from typing import Any

import structlog

from coupon_service import logs
from coupon_service.serving import envoy_draining, wire_refusals
from coupon_service.serving.envoy_connections import Connections
from coupon_service.serving.inherited import Inherited
from coupon_service.serving.supervisor import STARTUP_FAILURE
from coupon_service.settings import Settings

log = structlog.get_logger(__name__)


def _stop_when_told(inherited: Inherited) -> None:
    """Wait for the end of the pipe, then stop this process gracefully."""
    while os.read(inherited.stop_fd, 1):
        pass
    try:
        # The benchmarks' applications have no streams, which would have to be ended.
        getattr(_application, "begin_to_stop", lambda: None)()
        envoy_draining.drain(inherited.admin_path, seconds_max=inherited.drain_seconds_max)
        envoy_draining.remove(inherited.admin_path)
    except OSError:
        log.debug("Envoy takes no commands", exc_info=True)
    finally:
        os.kill(os.getpid(), signal.SIGTERM)


def _made(factory: str) -> Any:  # noqa: ANN401 # an ASGI application
    """Make the application; without one this process is of no use."""
    try:
        return pkgutil.resolve_name(factory)()
    except Exception:
        log.exception("the application could not be made")
        os._exit(STARTUP_FAILURE)


def _without_body(send: Any) -> Any:  # noqa: ANN401 # as ASGI has it
    """Return what sends an answer without the body, which pyvoy sends also to HEAD."""

    async def send_without_body(message: dict[str, Any]) -> None:
        await send({**message, "body": b""} if "body" in message else message)

    return send_without_body


async def application(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 # as ASGI has it
    """Answer a request, or take part in the start and stop, whose failure ends the process."""
    if scope["type"] == "http":
        is_surplus = await _connections.is_surplus(scope)
        answer = _beyond_limit if is_surplus else _application
        # pyvoy delivers also to whoever has stopped waiting, which a cancelled future
        # does not bear.
        await answer(
            scope,
            lambda: asyncio.shield(receive()),
            _without_body(send) if scope["method"] == "HEAD" else send,
        )
        return

    async def send_or_end(message: dict[str, Any]) -> None:
        if message["type"] == "lifespan.startup.failed":
            log.error("the application could not start", why=message.get("message", ""))
            os._exit(STARTUP_FAILURE)
        await send(message)

    await _application(scope, receive, send_or_end)


_settings = Settings()
logs.configure(_settings)
_inherited = Inherited.from_environment()
_connections = Connections.of(_inherited.admin_path, connections_max=_settings.connections_max)
_application = _made(_inherited.application)
_beyond_limit = wire_refusals.beyond_limit(_application)
threading.Thread(
    target=_stop_when_told, args=[_inherited], name="stop-when-told", daemon=True
).start()
