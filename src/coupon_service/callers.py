"""Whether the caller of a request is still there.

connectrpc watches each call that has to wait with a task of its own, which is
cancelled when the call ends: about a fifth of what an issued coupon costs. A claim
need not be told that its caller has gone: it is asked once, before its turn. So
where the HTTP server offers to be asked, claims do without the watch.
"""

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

# The server's offer, in the scope's extensions: a callable that tells whether the
# connection is lost.
EXTENSION = "coupon.is_disconnected"

Receive = Callable[[], Awaitable[dict[str, Any]]]


class WatchedElsewhere(Exception):
    """Ends connectrpc's watch for a disconnect, which takes any error for the end."""


def _never() -> bool:
    return False


# Tells whether the caller of the present request has gone; without the server's
# offer it never does, and connectrpc cancels the call instead.
is_gone: ContextVar[Callable[[], bool]] = ContextVar("is_gone", default=_never)


def ask_instead_of_watching(scope: dict[str, Any], receive: Receive) -> Receive:
    """Let `is_gone` ask the server, if it offers that, and spare the watch.

    Returns the `receive` to go on with: it ends with the request's body.
    """
    is_disconnected = scope.get("extensions", {}).get(EXTENSION)
    if is_disconnected is None:
        return receive
    is_gone.set(is_disconnected)
    more_body = True

    async def receive_body() -> dict[str, Any]:
        nonlocal more_body
        if not more_body:
            raise WatchedElsewhere
        message = await receive()
        more_body = message.get("more_body", False)
        return message

    return receive_body
