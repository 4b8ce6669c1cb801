"""Connections to the service, kept for the next call.

Not those of locust's FastHttpUser: under an open load there may be thousands, and it keeps
none whose file number is beyond 1,023, and looks the host's name up for each in a thread.
"""

import select
from typing import Any
from urllib.parse import urlsplit

import gevent.socket
import gevent.ssl
import httptools
from gevent import monkey
from gevent.lock import Semaphore

CALL_SECONDS_MAX = 30
CONNECT_SECONDS_MAX = 10
# A read of all codes is large; each piece costs a turn of the loop.
BLOCK_BYTES = 64 * 1024
FIRST_FINAL_STATUS = 200
BROKEN = (OSError, httptools.HttpParserError)

# gevent's own would give way to other greenlets.
_poll = monkey.get_original("select", "poll")


class Connections:
    """Calls what is at a URL; `headers` go with every call."""

    def __init__(self, url: str, headers: dict[str, str]) -> None:
        parts = urlsplit(url)
        is_secure = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if is_secure else 80)
        self._tls = gevent.ssl.create_default_context() if is_secure else None
        self._path = parts.path.rstrip("/")
        self._headers = _lines({"host": parts.netloc.rpartition("@")[2], **headers})
        self._addresses: tuple[tuple[Any, ...], ...] = ()
        self._resolving = Semaphore()
        self._turn = 0
        self._idle: list[gevent.socket.socket] = []

    def post(
        self, path: str, body: bytes, headers: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Return the status and the body of an answer.

        Raises:
            BROKEN: there was none, or only a part of it.
        """
        more = _lines(headers) if headers else ""
        head = f"POST {self._path}{path} HTTP/1.1\r\n{self._headers}{more}"
        head += f"content-length: {len(body)}\r\n\r\n"
        connection = self._kept() or self._connect()
        try:
            # In one piece, or the second would wait until the first is acknowledged.
            connection.sendall(head.encode("latin-1") + body)
            answer = _Answer()
            while not answer.is_complete:
                answer.feed(connection.recv(BLOCK_BYTES))
        except BaseException:  # those who hang up too
            connection.close()
            raise
        if answer.keeps_alive:
            self._idle.append(connection)
        else:
            connection.close()
        return answer.status, b"".join(answer.pieces)

    def close(self) -> None:
        """Close the connections that are kept."""
        while self._idle:
            self._idle.pop().close()

    def _kept(self) -> gevent.socket.socket | None:
        """Return the connection that was used last, unless the service has closed it."""
        while self._idle:
            connection = self._idle.pop()
            poll = _poll()
            poll.register(connection.fileno(), select.POLLIN)
            if not poll.poll(0):
                return connection
            connection.close()
        return None

    def _connect(self) -> gevent.socket.socket:
        """Connect to the next of the host's addresses that lets us."""
        addresses = self._resolved()
        self._turn += 1
        first = self._turn % len(addresses)
        error: OSError | None = None
        # Other greenlets may change what is known of the addresses meanwhile.
        for family, kind, protocol, _, address in addresses[first:] + addresses[:first]:
            try:
                return self._connected(gevent.socket.socket(family, kind, protocol), address)
            except OSError as exc:
                error = exc
        # Perhaps it has others by now.
        if self._addresses is addresses:
            self._addresses = ()
        raise error or OSError("the host has no address")

    def _resolved(self) -> tuple[tuple[Any, ...], ...]:
        """Return the host's addresses, which one greenlet finds out for all."""
        with self._resolving:
            if not self._addresses:
                self._addresses = tuple(
                    gevent.socket.getaddrinfo(
                        self._host, self._port, type=gevent.socket.SOCK_STREAM
                    )
                )
            return self._addresses

    def _connected(self, connection: gevent.socket.socket, address: Any) -> gevent.socket.socket:  # noqa: ANN401 # of any family
        try:
            connection.settimeout(CONNECT_SECONDS_MAX)
            connection.connect(address)
            connection.setsockopt(gevent.socket.IPPROTO_TCP, gevent.socket.TCP_NODELAY, 1)
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_hostname=self._host)
            connection.settimeout(CALL_SECONDS_MAX)
        except BaseException:
            connection.close()
            raise
        return connection


class _Answer:
    """Collects an answer piece by piece."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.is_complete = False
        self.keeps_alive = False
        self.status = 0
        self._parser = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        if not data:
            raise ConnectionResetError("the connection ended before the answer did")
        self._parser.feed_data(data)

    def on_body(self, data: bytes) -> None:
        self.pieces.append(data)

    def on_message_complete(self) -> None:
        self.status = self._parser.get_status_code()
        # Anything else is an interim answer, after which the final one comes.
        self.is_complete = self.status >= FIRST_FINAL_STATUS
        self.keeps_alive = self._parser.should_keep_alive()


def _lines(headers: dict[str, str]) -> str:
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items())
