"""The server under test: `python -m conformance.server SERVER APPLICATION`.

The conformance runner starts one for each kind of connection. It says on stdin what it
wants, is told on stdout where the server listens, and stops it with SIGTERM.
"""

import contextlib
import os
import signal
import ssl
import struct
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any, BinaryIO

from conformance_gen.connectrpc.conformance.v1.server_compat_pb import (  # type: ignore[import-not-found] # made when it runs
    ServerCompatRequest,
    ServerCompatResponse,
)

from coupon_service.serving import server
from coupon_service.settings import Settings

HOST = "127.0.0.1"
# Longer than any run; it must end even if nobody is left to stop it.
LIFE_SECONDS_MAX = 600
POLL_SECONDS = 0.02
ANSWER_SECONDS_MAX = 10


def main() -> None:
    """Serve what stdin and the arguments say, until SIGTERM."""
    kind, application = sys.argv[1:]
    signal.alarm(LIFE_SECONDS_MAX)
    request = _read(sys.stdin.buffer)
    replies = _take_stdout()
    with _certificate(request) as certificate:
        _set_environment(
            server=kind, request_bytes_max=request.message_receive_limit, **certificate
        )
        _serve(Settings(), application, request, replies)


def _serve(settings: Settings, application: str, request: Any, replies: BinaryIO) -> None:  # noqa: ANN401 # generated when it runs
    """Run the coupon service's own workers and supervisor; only the database is missing."""
    with server._workers(settings, application) as workers:  # noqa: SLF001 # `serve` without a database
        reply = ServerCompatResponse(
            host=HOST,
            port=workers.address[1],
            pem_cert=request.server_creds.cert if request.use_tls else b"",
        )
        threading.Thread(
            target=_reply_when_ready, args=(replies, reply), name="reply", daemon=True
        ).start()
        server._run(settings, workers, has_served=lambda: False)  # noqa: SLF001 # as above


def _reply_when_ready(replies: BinaryIO, reply: Any) -> None:  # noqa: ANN401 # generated when it runs
    while not _answers(reply):
        time.sleep(POLL_SECONDS)
    data = reply.to_binary()
    replies.write(struct.pack(">I", len(data)) + data)
    replies.flush()


def _answers(reply: Any) -> bool:  # noqa: ANN401 # generated when it runs
    """Tell whether the server answers a request, however it does."""
    connection = _connection(reply)
    try:
        connection.request("GET", "/")
        connection.getresponse()
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
    return True


def _connection(reply: Any) -> HTTPConnection:  # noqa: ANN401 # generated when it runs
    if not reply.pem_cert:
        return HTTPConnection(reply.host, reply.port, timeout=ANSWER_SECONDS_MAX)
    # It is this program's own server; whether the certificate is right the runner sees.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return HTTPSConnection(reply.host, reply.port, timeout=ANSWER_SECONDS_MAX, context=context)


def _set_environment(**settings: object) -> None:
    """Make these the settings, and nothing that the caller's environment says."""
    for name in [name for name in os.environ if name.startswith("COUPON_")]:
        del os.environ[name]
    settings = {
        "host": HOST,
        "port": 0,
        "shutdown_seconds_max": 1,
        # Which nobody asks: the conformance service has no use for it.
        "database_url": "postgresql://nowhere/none",
        **settings,
    }
    os.environ.update({f"COUPON_{name.upper()}": str(value) for name, value in settings.items()})


@contextlib.contextmanager
def _certificate(request: Any) -> Iterator[dict[str, Path]]:  # noqa: ANN401 # generated when it runs
    """Provide the settings of the wanted certificate, in files."""
    if not request.use_tls:
        yield {}
        return
    with tempfile.TemporaryDirectory() as folder:
        cert, key = Path(folder, "cert.pem"), Path(folder, "key.pem")
        cert.write_bytes(request.server_creds.cert)
        key.write_bytes(request.server_creds.key)
        yield {"tls_cert": cert, "tls_key": key}


def _read(requests: BinaryIO) -> Any:  # noqa: ANN401 # generated when it runs
    (length,) = struct.unpack(">I", requests.read(4))
    return ServerCompatRequest.from_binary(requests.read(length))


def _take_stdout() -> BinaryIO:
    """Return stdout for replies alone; whatever else is printed goes to stderr."""
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return replies


if __name__ == "__main__":
    main()
