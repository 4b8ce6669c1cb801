"""Lets an Envoy finish the requests under way, by the commands of its admin socket."""

import contextlib
import time
from pathlib import Path

from coupon_service.serving import envoy_admin

POLL_SECONDS = 0.05
# Where connections are still open, a request may be on its way to Envoy, or not be read yet:
# only when none has come for so long is it ended.
QUIET_SECONDS = 0.5
# Requests that are not answered yet, and answers that are not on their way yet.
UNDER_WAY = (
    "http.ingress_http.downstream_rq_active",
    "http.ingress_http.downstream_cx_tx_bytes_buffered",
)
CONNECTIONS = "http.ingress_http.downstream_cx_active"


def drain(admin_path: str, *, seconds_max: float) -> None:
    """Take no more connections, close those that are done, and wait for the others.

    Raises:
        OSError: Envoy does not take commands.
    """
    give_up_at = time.monotonic() + seconds_max
    # Answers from now on tell their callers not to use the connection again.
    envoy_admin.command(admin_path, "POST", "/healthcheck/fail")
    envoy_admin.command(admin_path, "POST", "/drain_listeners")
    quiet_since = time.monotonic()
    while (now := time.monotonic()) < give_up_at:
        figures = envoy_admin.figures(admin_path, *UNDER_WAY, CONNECTIONS)
        if any(figures.get(name) for name in UNDER_WAY):
            quiet_since = now
        elif not figures.get(CONNECTIONS) or now - quiet_since >= QUIET_SECONDS:
            return
        time.sleep(POLL_SECONDS)


def remove(admin_path: str) -> None:
    """Remove an admin socket, and its folder if that was the last one in it."""
    path = Path(admin_path)
    path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        path.parent.rmdir()
