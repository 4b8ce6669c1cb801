"""uvicorn's HTTP protocol, made to answer callers who offer an upgrade or send endless headers."""

import asyncio
import re
from http import HTTPStatus

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from coupon_service.callers import EXTENSION, IS_LOST

HEAD_BYTES_MAX = 65_536
REFUSED_SECONDS_MAX = 2

_UPGRADE_HEADER = re.compile(rb"\r\nupgrade:", re.IGNORECASE)
_HEAD_END = b"\r\n\r\n"


class CouponHttpProtocol(HttpToolsProtocol):
    """HTTP/1.1 without upgrades, and with a bounded head.

    A client may offer an upgrade (curl --http2 and Java's client offer h2c), and a
    server that does not want it goes on as if it were not there. uvicorn's parser
    stops at the offer instead, and the request's body is lost.
    """

    _head_bytes = 0
    _head_is_open = False
    _refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Offer the application to ask whether this connection is lost."""
        super().connection_made(transport)
        self._extensions = {EXTENSION: {IS_LOST: transport.is_closing}}

    def data_received(self, data: bytes) -> None:
        """Take what arrived, without offers of an upgrade in the head."""
        if self._refused:
            return
        if b"pgrade:" in data or b"PGRADE:" in data:
            head, end, rest = data.partition(_HEAD_END)
            data = _UPGRADE_HEADER.sub(b"\r\nx-offer:", head) + end + rest
        super().data_received(data)
        if self._head_is_open:
            self._count_head(len(data))

    def on_message_begin(self) -> None:
        """Start to count: a head begins."""
        self._head_bytes = 0
        self._head_is_open = True
        super().on_message_begin()
        self.scope["extensions"] = self._extensions  # type: ignore[typeddict-item] # a callable in it

    def on_headers_complete(self) -> None:
        """Stop counting."""
        self._head_is_open = False
        super().on_headers_complete()

    def _count_head(self, byte_count: int) -> None:
        self._head_bytes += byte_count
        if self._head_bytes > HEAD_BYTES_MAX and not self.transport.is_closing():
            self._refuse_head()

    def _refuse_head(self) -> None:
        """Answer, and drop what still comes: closing at once would lose the answer with it."""
        self._refused = True
        status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        self.transport.write(
            b"HTTP/1.1 %d %b\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            % (status, status.phrase.encode())
        )
        self.transport.write_eof()
        self.loop.call_later(REFUSED_SECONDS_MAX, self.transport.abort)
