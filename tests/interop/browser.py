"""A real browser: Chromium without a window, on a page that makes calls across origins."""

import itertools
import json
import os
import queue
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from interop.lanes import CHROMIUM

ANSWERS_WITHIN_SECONDS = 60
ENDS_WITHIN_SECONDS = 10
# It shall open the page and do nothing else of its own accord.
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


class Page:
    """A page of an origin of its own, which asks where it came from for commands."""

    def __init__(self) -> None:
        self.script = b""
        self.commands: queue.Queue[str] = queue.Queue()
        self.outcomes: queue.Queue[str] = queue.Queue()
        self._numbers = itertools.count(1)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, self))
        self._server.daemon_threads = True
        self.origin = f"http://127.0.0.1:{self._server.server_address[1]}"

    @contextmanager
    def served(self) -> Iterator["Page"]:
        """Serve it until this is left."""
        thread = threading.Thread(target=self._server.serve_forever, name="page")
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            thread.join()
            self._server.server_close()

    def perform(self, command: dict[str, Any]) -> dict[str, Any]:
        number = next(self._numbers)
        self.commands.put(json.dumps({**command, "number": number}))
        outcome: dict[str, Any] = {}
        # Of an earlier command that took too long, the outcome may come now.
        while outcome.get("number") != number:
            outcome = json.loads(self.outcomes.get(timeout=ANSWERS_WITHIN_SECONDS))
        return outcome


class _Handler(BaseHTTPRequestHandler):
    """Serves a page and its commands, and takes its reports."""

    protocol_version = "HTTP/1.1"

    def __init__(self, page: Page, *connection: Any) -> None:  # noqa: ANN401 # as the server has it
        self._page = page
        super().__init__(*connection)

    def do_GET(self) -> None:  # the name that the server calls
        match self.path:
            case "/":
                self._reply(200, b'<script type="module" src="/page.js"></script>', "text/html")
            case "/page.js":
                self._reply(200, self._page.script, "text/javascript")
            case "/next":
                self._reply_command()
            case _:
                self._reply(404, b"")

    def do_POST(self) -> None:  # the name that the server calls
        body = self.rfile.read(int(self.headers["content-length"]))
        self._page.outcomes.put(body.decode())
        self._reply(204, b"")

    def _reply_command(self) -> None:
        try:
            command = self._page.commands.get(timeout=1)
        except queue.Empty:
            self._reply(204, b"")
        else:
            self._reply(200, command.encode(), "application/json")

    def _reply(self, status: int, body: bytes, content_type: str = "text/plain") -> None:
        self.send_response(status)
        self.send_header("content-type", f"{content_type}; charset=utf-8")
        self.send_header("content-length", str(len(body)))
        # The browser may have ended while it waited for a command.
        with suppress(ConnectionError):
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def opened(url: str) -> Iterator[None]:
    """Have a page open in a browser until this is left."""
    with tempfile.TemporaryDirectory(
        prefix="coupon-browser-",
        ignore_cleanup_errors=True,  # its processes end a little later than it does
    ) as profile:
        process = subprocess.Popen(
            [CHROMIUM, *FLAGS, f"--user-data-dir={profile}", url],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            yield
        finally:
            _end(process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End a browser with all its processes."""
    process.terminate()
    try:
        process.wait(ENDS_WITHIN_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
