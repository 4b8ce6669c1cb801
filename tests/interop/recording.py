"""A way to a service on which is seen what callers send."""

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

READ_BYTES = 65_536


class _Passage(socketserver.BaseRequestHandler):
    """Passes on what comes and goes on one connection."""

    server: "Recorder"

    def handle(self) -> None:
        with socket.create_connection(self.server.service_address) as service:
            back = threading.Thread(target=_pass_on, args=(service, self.request), daemon=True)
            back.start()
            _pass_on(self.request, service, self.server.sent)
            back.join()


def _pass_on(source: socket.socket, target: socket.socket, seen: bytearray | None = None) -> None:
    # Either side may break off.
    with suppress(OSError):
        while data := source.recv(READ_BYTES):
            if seen is not None:
                seen += data
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


class Recorder(socketserver.ThreadingTCPServer):
    """Passes bytes on to a service and back; `sent` are those of the callers."""

    daemon_threads = True

    def __init__(self, url: str) -> None:
        super().__init__(("127.0.0.1", 0), _Passage)
        parts = urlsplit(url)
        self.service_address = (parts.hostname, parts.port)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.sent = bytearray()


@contextmanager
def recording(url: str) -> Iterator[Recorder]:
    """Have another way to a service until this is left."""
    with Recorder(url) as recorder:
        thread = threading.Thread(target=recorder.serve_forever, name="recorder")
        thread.start()
        try:
            yield recorder
        finally:
            recorder.shutdown()
            thread.join()
