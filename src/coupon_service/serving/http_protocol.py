"""uvicorn's HTTP protocol, made to bear callers who are slow, endless, too many or elsewhere.

An upgrade that is offered, or a client that speaks HTTP/2 at once, gets an answer; a
request that does not arrive, or an answer that is not read, is given up.
"""

import asyncio
import re
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from coupon_service.callers import EXTENSION, IS_LOST
from coupon_service.serving import wire_refusals
from coupon_service.serving.connection_limits import Limits

REFUSED_SECONDS_MAX = 2

_UPGRADE_HEADER = re.compile(rb"\r\nupgrade:", re.IGNORECASE)
_HEAD_END = b"\r\n\r\n"


class CouponHttpProtocol(HttpToolsProtocol):
    """HTTP/1.1 without upgrades, and within limits.

    A client may offer an upgrade (curl --http2 and Java's client offer h2c), and a
    server that does not want it goes on as if it were not there. uvicorn's parser
    stops at the offer instead, and the request's body is lost.

    Time is not measured for each request but in the server's ticks: see `tick`.
    """

    _head_bytes = 0
    _head_is_open = False
    # A head that came whole is measured only if so much came that it may be too large.
    _measures_heads = False
    _head_is_too_large = False
    _refused = False
    _answering: RequestResponseCycle | None = None
    _has_begun = False
    # A request is due from the first moment of a connection on.
    _is_receiving = True
    _ticks_receiving = 0
    _ticks_sending = 0
    _bytes_unsent = 0

    def __init__(self, *arguments: Any, limits: Limits, **named: Any) -> None:  # noqa: ANN401 # uvicorn's
        super().__init__(*arguments, **named)
        self._limits = limits

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Offer the application to ask whether this connection is lost; refuse one too many."""
        super().connection_made(transport)
        self._extensions = {EXTENSION: {IS_LOST: transport.is_closing}}
        surplus = len(self.connections) - self._limits.connections_max
        if surplus > self._limits.surplus_max:
            transport.abort()
        elif surplus > 0:
            self.app = wire_refusals.beyond_limit(self.app)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the request that is being answered: of several, uvicorn tells the last to come."""
        self._let_all_go()
        super().connection_lost(exc)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:  # noqa: ANN401 # as uvicorn has it
        self._answering = cycle
        super()._start_asgi_task(cycle, app)

    def data_received(self, data: bytes) -> None:
        """Take what arrived, without offers of an upgrade in the head."""
        if self._refused:
            return
        if b"pgrade:" in data or b"PGRADE:" in data:
            head, end, rest = data.partition(_HEAD_END)
            data = _UPGRADE_HEADER.sub(b"\r\nx-offer:", head) + end + rest
        if len(data) + self._head_bytes > self._limits.head_bytes_max:
            self._measures_heads = True
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            self._refuse_what_is_no_request(data)
        except httptools.HttpParserUpgrade:
            # CONNECT; the application answers it as any other method.
            pass
        if self._head_is_open:
            self._count_head(len(data))

    def on_message_begin(self) -> None:
        """Start to count: a head begins, and the connection is not idle any more.

        What comes before it, blank lines that the parser skips, is no request.
        """
        self._unset_keepalive_if_required()
        self._head_bytes = 0
        self._head_is_open = self._is_receiving = self._has_begun = True
        super().on_message_begin()
        self.scope["extensions"] = self._extensions  # type: ignore[typeddict-item] # a callable in it

    def on_headers_complete(self) -> None:
        """Stop counting the head, which may have no more than so many headers."""
        if len(self.headers) > self._limits.headers_max or self._measures_heads:
            self._require_small_head()
        self._head_is_open = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Note that nothing is due any more."""
        self._is_receiving = False
        self._ticks_receiving = 0
        super().on_message_complete()

    def resume_writing(self) -> None:
        """Note that the caller reads."""
        self._ticks_sending = 0
        super().resume_writing()

    def tick(self) -> None:
        """Give up what takes too long; called about once a second.

        Ticks and not seconds are counted, so that nobody is given up whose data waits to
        be read because this process was busy.
        """
        if self._is_receiving and not self.flow.read_paused:
            self._ticks_receiving += 1
            if self._ticks_receiving > self._limits.receive_ticks_max:
                self._give_up_receiving()
        unsent = self.transport.get_write_buffer_size()
        is_stuck = unsent and unsent >= self._bytes_unsent
        self._ticks_sending = self._ticks_sending + 1 if is_stuck else 0
        self._bytes_unsent = unsent
        if self._ticks_sending > self._limits.send_ticks_max:
            self._let_all_go()
            self.transport.abort()

    def _require_small_head(self) -> None:
        """Stop the parser, which passes the exception on, if the head is too large."""
        byte_count = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if byte_count > self._limits.head_bytes_max or len(self.headers) > self._limits.headers_max:
            self._head_is_too_large = True
            raise ValueError

    def _count_head(self, byte_count: int) -> None:
        self._head_bytes += byte_count
        if self._head_bytes > self._limits.head_bytes_max and not self.transport.is_closing():
            self._refuse(*self._limits.head_too_large)

    def _refuse_what_is_no_request(self, data: bytes) -> None:
        if self.parser.get_method() == b"PRI":
            self._speak_http2(data)
        elif self._head_is_too_large:
            self._refuse(*self._limits.head_too_large)
        else:
            self._refuse(*self._limits.no_http)

    def _speak_http2(self, data: bytes) -> None:
        """Hand the connection to what says in HTTP/2 that this server does not speak it."""
        # Imported only here: most servers never need it.
        from coupon_service.serving.http2_notice import Http2Notice, after_preface  # noqa: PLC0415

        self._refused = True
        self._is_receiving = self._head_is_open = False
        notice = Http2Notice(
            self.transport, self.loop, on_end=lambda: self.connections.discard(self)
        )
        self.transport.set_protocol(notice)
        notice.data_received(after_preface(data))

    def _refuse(self, status: int, body: bytes) -> None:
        """Answer, and drop what still comes: closing at once would lose the answer with it."""
        owes_another = self._owes_another_answer()
        self._refused = True
        self._is_receiving = self._head_is_open = False
        if owes_another:
            # It is not cut; the connection ends after it.
            self.shutdown()
            return
        self._let_handler_go()
        self.transport.write(
            STATUS_LINE[status] + b"content-type: application/json\r\ncache-control: no-store\r\n"
            b"content-length: %d\r\nconnection: close\r\n\r\n%b" % (len(body), body)
        )
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(REFUSED_SECONDS_MAX, self.transport.abort)

    def _give_up_receiving(self) -> None:
        if self._is_answered_already():
            # Nothing more can be said of this stream, whose handler waits for the rest.
            self._refused = True
            self._is_receiving = False
            self._let_handler_go()
            self.loop.call_later(REFUSED_SECONDS_MAX, self.transport.abort)
        elif self._has_begun and not self._refused:
            self._refuse(*self._limits.too_slow)
        else:
            self.transport.abort()

    def _let_all_go(self) -> None:
        """Tell whoever is answering that nobody is there, and begin with no further request."""
        self.pipeline.clear()
        if self._answering is not None and not self._answering.response_complete:
            self._answering.disconnected = True
            self._answering.message_event.set()

    def _let_handler_go(self) -> None:
        """Tell whoever handles the request that no more of it will come."""
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()

    def _is_answered_already(self) -> bool:
        """Tell whether the answer to the request that is still arriving has begun."""
        return self._is_of_this_request() and self.cycle.response_started

    def _is_of_this_request(self) -> bool:
        """Tell whether what is being answered is the request that is still arriving."""
        is_answering = self.cycle is not None and not self.cycle.response_complete
        return is_answering and self._is_receiving and not self._head_is_open and not self.pipeline

    def _owes_another_answer(self) -> bool:
        """Tell whether an answer is to come, or on its way, that a refusal must not cut."""
        if self.cycle is None or self.cycle.response_complete:
            return False
        return self.cycle.response_started or not self._is_of_this_request()
