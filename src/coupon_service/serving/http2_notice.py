"""Tells a client that speaks HTTP/2 at once, as gRPC's do, that this server does not.

It is told in HTTP/2, so that a person reads a sentence and not a protocol error.
"""

import asyncio
import contextlib
from collections.abc import Callable
from urllib.parse import quote

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import Event, RequestReceived, StreamEnded, StreamReset
from h2.exceptions import ProtocolError, StreamClosedError

BYTES_MAX = 65_536
SECONDS_MAX = 10
REQUEST_SECONDS_MAX = 3
CLOSE_SECONDS_MAX = 1
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_PREFACE_END = b"SM\r\n\r\n"

MESSAGE = (
    "This server speaks HTTP/1.1, and gRPC needs HTTP/2: "
    "`coupon-service serve --server pyvoy` answers gRPC."
)
UNIMPLEMENTED = "12"
HTTP_VERSION_NOT_SUPPORTED = "505"


class Http2Notice(asyncio.Protocol):
    """Answers the requests on one connection of HTTP/2 with what to do instead, and closes it."""

    def __init__(
        self,
        transport: asyncio.Transport,
        loop: asyncio.AbstractEventLoop,
        *,
        on_end: Callable[[], None],
    ) -> None:
        self._transport = transport
        self._loop = loop
        self._on_end = on_end
        self._bytes_left = BYTES_MAX
        self._is_done = False
        self._unended: set[int] = set()
        self._http2 = H2Connection(H2Configuration(client_side=False))
        self._http2.initiate_connection()
        self._http2.receive_data(PREFACE)
        loop.call_later(SECONDS_MAX, transport.abort)

    def connection_lost(self, _error: Exception | None) -> None:
        """Tell whoever counts connections."""
        self._on_end()

    def data_received(self, data: bytes) -> None:
        """Take what arrived, answer the requests in it, and close once they came whole."""
        self._bytes_left -= len(data)
        if self._bytes_left < 0:
            self._transport.abort()
        if self._is_done or self._transport.is_closing():
            return
        try:
            events = self._http2.receive_data(data)
            self._answer_requests(events)
        except ProtocolError:
            # A client that breaks off, or whose frames make no sense.
            self._transport.abort()
            return
        self._transport.write(self._http2.data_to_send())
        if not self._unended and any(
            isinstance(each, StreamEnded | StreamReset) for each in events
        ):
            self._close()

    def _answer_requests(self, events: list[Event]) -> None:
        """Answer the requests among what arrived, and note which of them are to go on."""
        for event in events:
            match event:
                case RequestReceived(stream_id=stream_id):
                    self._unended.add(stream_id)
                    # Those of streams in both directions do not end before their answers.
                    self._loop.call_later(REQUEST_SECONDS_MAX, self._close)
                    # One that was taken back in the same breath is owed no answer.
                    with contextlib.suppress(StreamClosedError):
                        self._answer(event)
                case StreamEnded() | StreamReset():
                    self._unended.discard(event.stream_id)

    def _answer(self, request: RequestReceived) -> None:
        headers = dict(request.headers)
        if headers.get(b"content-type", b"").startswith(b"application/grpc"):
            self._answer_grpc(request.stream_id)
        else:
            self._answer_plainly(request.stream_id)

    def _answer_grpc(self, stream_id: int) -> None:
        headers = [
            (":status", "200"),
            ("content-type", "application/grpc"),
            ("grpc-status", UNIMPLEMENTED),
            ("grpc-message", quote(MESSAGE, safe=" `,:./-")),
        ]
        self._http2.send_headers(stream_id, headers, end_stream=True)

    def _answer_plainly(self, stream_id: int) -> None:
        headers = [
            (":status", HTTP_VERSION_NOT_SUPPORTED),
            ("content-type", "text/plain; charset=utf-8"),
        ]
        body = MESSAGE.encode()
        # A client may leave no room for more than headers.
        has_room = self._http2.local_flow_control_window(stream_id) >= len(body)
        self._http2.send_headers(stream_id, headers, end_stream=not has_room)
        if has_room:
            self._http2.send_data(stream_id, body, end_stream=True)

    def _close(self) -> None:
        """Close once the caller has read; closing at once might lose the answer.

        It is not done before the request came whole: clients that still send it when the
        connection ends forget the answer that they have.
        """
        if self._is_done or self._transport.is_closing():
            return
        self._is_done = True
        self._http2.close_connection()
        self._transport.write(self._http2.data_to_send())
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self._loop.call_later(CLOSE_SECONDS_MAX, self._transport.abort)


def after_preface(data: bytes) -> bytes:
    """Return what follows the preface that ends in these bytes."""
    return data.partition(_PREFACE_END)[2]
