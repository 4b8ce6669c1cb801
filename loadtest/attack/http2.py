"""Connections of HTTP/2: those that keep to it, and frames made by hand for those that do not."""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache

import h2.config
import h2.connection
import h2.events
import h2.exceptions
from hpack import Encoder

from loadtest.attack.answers import Answer, Exchange
from loadtest.attack.shots import Request
from loadtest.attack.wire import Wire, wire

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

# The types of frames.
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE = range(9)
CONTINUATION = 9
# Flags: the end of a stream or an acknowledgement, and the end of headers.
END_STREAM = ACK = 1
END_HEADERS = 4


def frame(kind: int, payload: bytes = b"", *, flags: int = 0, stream: int = 0) -> bytes:
    """Return a frame, whether it makes sense or not."""
    head = len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big")
    return head + payload


def settings(**values: int) -> bytes:
    """Return a frame of settings, each named by its number after an underscore."""
    pairs = ((int(name[1:]), value) for name, value in values.items())
    payload = b"".join(n.to_bytes(2, "big") + value.to_bytes(4, "big") for n, value in pairs)
    return frame(SETTINGS, payload)


@cache
def headers_of(request: Request) -> bytes:
    """Return a request's headers as the payload of a frame."""
    packed: bytes = Encoder().encode(request.as_http2())
    return packed


@dataclass(slots=True)
class _Stream:
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    trailers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    is_over: bool = False
    was_reset: bool = False


class Http2:
    """A caller who keeps to HTTP/2, on a connection that somebody else opened."""

    def __init__(self, connection: Wire) -> None:
        self._wire = connection
        configuration = h2.config.H2Configuration(
            client_side=True,
            header_encoding=None,
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
            validate_inbound_headers=False,
        )
        self._h2 = h2.connection.H2Connection(configuration)
        self._streams: dict[int, _Stream] = {}
        self._unsent: dict[int, bytes] = {}
        self.is_closed = False

    async def open(self) -> None:
        """Introduce oneself."""
        self._h2.initiate_connection()
        await self._flush()

    async def send(self, request: Request) -> int:
        """Begin a request; return the number of its stream."""
        stream_id = self._h2.get_next_available_stream_id()
        self._h2.send_headers(stream_id, request.as_http2(), end_stream=not request.body)
        self._streams[stream_id] = _Stream()
        if request.body:
            self._unsent[stream_id] = request.body
        self._push()
        await self._flush()
        return stream_id

    async def answers(self, *, seconds_max: float) -> Exchange:
        """Read until every request is answered, reset or in vain."""
        begun = time.monotonic()
        try:
            async with asyncio.timeout(seconds_max):
                while not self.is_closed and not self._all_over():
                    self._take(await self._wire.read())
                    self._push()
                    await self._flush()
        except TimeoutError:
            pass
        except h2.exceptions.ProtocolError:
            self.is_closed = True
        return Exchange(
            answers=[_answer(each) for each in self._streams.values() if each.status],
            is_closed=self.is_closed or any(each.was_reset for each in self._streams.values()),
            is_over=self.is_closed or self._all_over(),
            seconds=time.monotonic() - begun,
        )

    def _all_over(self) -> bool:
        return all(stream.is_over for stream in self._streams.values())

    def _take(self, data: bytes) -> None:
        if not data:
            self.is_closed = True
            return
        for event in self._h2.receive_data(data):
            self._handle(event)

    def _handle(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.ConnectionTerminated):
            self.is_closed = True
            return
        stream = self._streams.get(getattr(event, "stream_id", 0) or 0, _Stream())
        match event:
            case h2.events.ResponseReceived(headers=headers):
                stream.headers = _texts(headers or [])
                stream.status = int(stream.headers.get(":status", "0"))
            case h2.events.TrailersReceived(headers=headers):
                stream.trailers = _texts(headers or [])
            case h2.events.DataReceived():
                stream.body += event.data or b""
                self._h2.acknowledge_received_data(
                    event.flow_controlled_length or 0, event.stream_id
                )
            case h2.events.StreamEnded():
                stream.is_over = True
            case h2.events.StreamReset():
                stream.is_over = stream.was_reset = True
            case _:
                pass

    def _push(self) -> None:
        """Send as much of the bodies as the other side has room for."""
        for stream_id, body in list(self._unsent.items()):
            if self._streams[stream_id].is_over or self.is_closed:
                del self._unsent[stream_id]
                continue
            room = self._h2.local_flow_control_window(stream_id)
            size = min(room, self._h2.max_outbound_frame_size, len(body))
            if size > 0:
                rest = body[size:]
                self._h2.send_data(stream_id, body[:size], end_stream=not rest)
                self._unsent[stream_id] = rest
                if not rest:
                    del self._unsent[stream_id]
                else:
                    self._push()
                    return

    async def _flush(self) -> None:
        await self._wire.send(self._h2.data_to_send())


def _texts(headers: Iterable[tuple[bytes | str, bytes | str]]) -> dict[str, str]:
    return {_text(name): _text(value) for name, value in headers}


def _text(value: bytes | str) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _answer(stream: _Stream) -> Answer:
    return Answer(
        status=stream.status, headers=stream.headers, body=stream.body, trailers=stream.trailers
    )


async def exchange_http2(url: str, request: Request, *, seconds_max: float) -> Exchange:
    """Send a request over a connection of its own, and read what comes back.

    Raises:
        OSError, TimeoutError: the service cannot be reached.
    """
    async with wire(url) as connection:
        caller = Http2(connection)
        await caller.open()
        await caller.send(request)
        return await caller.answers(seconds_max=seconds_max)
