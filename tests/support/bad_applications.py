"""Applications that do not start."""

from typing import Any


def unmakable() -> None:
    """Fail to be made."""
    raise RuntimeError("no luck today")


def unstartable() -> Any:  # noqa: ANN401 # an ASGI application
    """Return an application that fails to start."""
    return _fail_to_start


async def _fail_to_start(_scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 # as ASGI has it
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no luck today"})
