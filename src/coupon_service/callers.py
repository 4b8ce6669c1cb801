"""Whether the caller of a request is still there."""

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

# What the HTTP server offers, an extension of ASGI's scope: IS_LOST is a callable
# that tells whether the connection is lost.
EXTENSION = "coupon.connection"
IS_LOST = "is_lost"


def never() -> bool:
    """Tell that the caller is still there, as far as one knows."""
    return False


# Tells whether the caller of the present request has gone. Without the server's
# offer it never does, and connectrpc cancels the call instead.
is_gone: ContextVar[Callable[[], bool]] = ContextVar("is_gone", default=never)


def note_connection(scope: Mapping[str, Any]) -> None:
    """Let `is_gone` ask about the connection of a request, if the server offers that."""
    connection = scope.get("extensions", {}).get(EXTENSION)
    if connection is not None:
        is_gone.set(connection[IS_LOST])
