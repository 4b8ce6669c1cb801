"""How much one connection of uvicorn may ask of a process, and what it is told beyond that."""

import math
from dataclasses import dataclass
from typing import Self

from coupon_service.serving import wire_refusals
from coupon_service.settings import Settings

TICK_SECONDS = 1
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
            surplus_max=wire_refusals.SURPLUS_MAX,
            receive_ticks_max=math.ceil(settings.receive_seconds_max / TICK_SECONDS),
            send_ticks_max=math.ceil(settings.send_seconds_max / TICK_SECONDS),
            head_too_large=wire_refusals.head_too_large(settings),
            too_slow=wire_refusals.too_slow(settings),
            no_http=wire_refusals.no_http(),
        )
