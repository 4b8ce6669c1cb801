"""Which connections of an Envoy are more than it may have.

Envoy's own limit closes them without a word, so it is set a little higher, and requests
that come on a connection beyond the limit are refused like all others: with an error.
Envoy numbers all connections, and can be asked how many are open. Asking takes a
millisecond or two, so it is done only when so many were opened since that there might be
too many: once for as many connections as there was room for, and not for each request.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Self

from coupon_service.serving import envoy_admin

# How Envoy's figures call the port that callers use.
LISTENER = "calls"
# Those that have said something, and those that have not yet.
OPEN = tuple(f"listener.{LISTENER}.downstream_{kind}_active" for kind in ("cx", "pre_cx"))
NUMBER = "x-connection-number"
_NUMBER = NUMBER.encode()
LOOKS_MAX = 3
# For how long there is no room, once there was none.
FULL_SECONDS = 0.05


class Connections:
    """Tells whether there are too many.

    `count` returns how many are open now; it may block, and raise OSError.
    """

    def __init__(self, count: Callable[[], int], *, connections_max: int) -> None:
        self._count = count
        self._connections_max = connections_max
        # The highest number that a request came with, and the highest that certainly has room:
        # no more connections can have been opened since they were counted. The first is 0.
        self._highest = -1
        self._within = connections_max - 1
        # Those that are not within, and are to be told whether they are surplus.
        self._asking: set[int] = set()
        self._full_until = 0.0
        self._counting = asyncio.Lock()

    @classmethod
    def of(cls, admin_path: str, *, connections_max: int) -> Self:
        """Return those of the Envoy that takes commands on a socket."""

        def count() -> int:
            return sum(envoy_admin.figures(admin_path, *OPEN).values())

        return cls(count, connections_max=connections_max)

    async def is_surplus(self, scope: dict[str, Any]) -> bool:
        """Tell whether a request came on one connection too many."""
        number = _number_of(scope)
        if number <= self._within:
            return False
        self._highest = max(self._highest, number)
        self._asking.add(number)
        try:
            async with self._counting:
                if number > self._within and time.monotonic() >= self._full_until:
                    await self._look()
        finally:
            self._asking.discard(number)
        return number > self._within

    async def _look(self) -> None:
        """See how much room there is, and give it to those who came first."""
        for _ in range(LOOKS_MAX):
            highest, asking = self._highest, self._to_be_told()
            room = await self._room()
            if room >= 0:
                self._within = highest + room
                return
            if asking == self._to_be_told():
                break
            # Who came meanwhile may have been counted as one who stays.
        self._full_until = time.monotonic() + FULL_SECONDS
        served_count = len(asking) + room
        if served_count > 0:
            self._within = asking[served_count - 1]

    def _to_be_told(self) -> list[int]:
        return sorted(number for number in self._asking if number > self._within)

    async def _room(self) -> int:
        try:
            return self._connections_max - await asyncio.to_thread(self._count)
        except OSError:
            return 0  # refusing is of no use to callers, whom Envoy's own limit still bounds


def _number_of(scope: dict[str, Any]) -> int:
    # Envoy adds its headers behind those of the caller.
    for name, value in reversed(scope["headers"]):
        if name == _NUMBER:
            return int(value)
    return 0
