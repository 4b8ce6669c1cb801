"""Lets an Envoy finish the requests under way, by the commands of its admin socket."""

import contextlib
import http.client
import json
import socket
import time
from pathlib import Path

POLL_SECONDS = 0.05
# Where connections are still open, a request may be on its way to Envoy, or not be read yet:
# only when none has come for so long is it ended.
QUIET_SECONDS = 0.5
COMMAND_SECONDS_MAX = 5
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
    _command(admin_path, "POST", "/healthcheck/fail")
    _command(admin_path, "POST", "/drain_listeners")
    quiet_since = time.monotonic()
    while (now := time.monotonic()) < give_up_at:
        figures = _figures(admin_path)
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


def _figures(admin_path: str) -> dict[str, int]:
    wanted = "/stats?format=json&filter=downstream_(rq_active|cx_active|cx_tx_bytes_buffered)$"
    listed = json.loads(_command(admin_path, "GET", wanted))
    return {each["name"]: each["value"] for each in listed["stats"] if "name" in each}


def _command(admin_path: str, method: str, target: str) -> bytes:
    connection = http.client.HTTPConnection("localhost", timeout=COMMAND_SECONDS_MAX)
    connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.sock.settimeout(COMMAND_SECONDS_MAX)
        connection.sock.connect(admin_path)
        connection.request(method, target)
        return connection.getresponse().read()
    finally:
        connection.close()
