"""How much one connection of uvicorn may ask of a process, and what it is told beyond that."""

import math
from dataclasses import dataclass
from typing import Any, Self

from coupon_service.http_replies import JSON_HEADERS
from coupon_service.serving import wire_refusals
from coupon_service.settings import Settings

TICK_SECONDS = 1
# Connections beyond the limit that are told so; yet more are closed without a word.
SURPLUS_MAX = 100
Refusal = tuple[int, bytes]


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """The limits of connections. Refusals are a status and a body."""

    head_bytes_max: int
    headers_max: int
    connections_max: int
    surplus_max: int
    receive_ticks_max: int
    send_ticks_max: int
    head_too_large: Refusal
    too_slow: Refusal
    no_http: Refusal

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the limits that are set."""
        return cls(
            head_bytes_max=settings.head_bytes_max,
            headers_max=wire_refusals.HEADERS_MAX,
            connections_max=settings.connections_max,
            surplus_max=SURPLUS_MAX,
            receive_ticks_max=math.ceil(settings.receive_seconds_max / TICK_SECONDS),
            send_ticks_max=math.ceil(settings.send_seconds_max / TICK_SECONDS),
            head_too_large=wire_refusals.head_too_large(settings),
            too_slow=wire_refusals.too_slow(settings),
            no_http=wire_refusals.no_http(),
        )

    @staticmethod
    async def answer_overloaded(_scope: Any, _receive: Any, send: Any) -> None:  # noqa: ANN401 # as ASGI has it
        """Answer whatever comes on one connection too many, and close it."""
        status, body = wire_refusals.overloaded()
        headers = [
            *JSON_HEADERS,
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
