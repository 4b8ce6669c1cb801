"""What the service counts, for /metrics.

Calls are counted in plain numbers, which costs a claim a microsecond or two, and what
was counted is handed to the Prometheus client once a second.
"""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Callable

from prometheus_client import CONTENT_TYPE_LATEST

from coupon_service.heads import Scope
from coupon_service.http_replies import NO_STORE, Answer, Receive, Send, reply
from coupon_service.metering.metric_families import GROUP_BOUNDS, SECONDS_BOUNDS, Families, Observed

FLUSH_SECONDS = 1
# The code under which calls are counted that were not answered with an error.
OK = "ok"
CONTENT_TYPE = (b"content-type", CONTENT_TYPE_LATEST.encode())


class Metrics:
    """What this process has counted since it was last handed over."""

    def __init__(self) -> None:
        self._families = Families()
        # How long calls took, by method, code and reason.
        self.calls: defaultdict[tuple[str, str, str], Observed] = defaultdict(
            lambda: Observed(SECONDS_BOUNDS)
        )
        self._group_sizes = Observed(GROUP_BOUNDS)
        self._group_seconds = Observed(SECONDS_BOUNDS)
        self._coupons = 0
        self._claims_waiting: Callable[[], int] = int
        self._connections_in_use: Callable[[], int] = int

    def claimed(self, claims: int, seconds: float) -> None:
        """Count a transaction of claims, whether it granted any or not."""
        self._group_sizes.add(claims)
        self._group_seconds.add(seconds)

    def issued(self, coupons: int) -> None:
        """Count coupons that were issued."""
        self._coupons += coupons

    def flush(self) -> None:
        """Hand over what was counted, with how things stand at the moment."""
        families = self._families
        for labels, observed in self.calls.items():
            families.rpcs.labels(*labels).inc(sum(observed.counts))
            families.rpc_seconds.labels(labels[0]).take(observed)
        families.group_sizes.take(self._group_sizes)
        families.group_seconds.take(self._group_seconds)
        coupons, self._coupons = self._coupons, 0
        families.coupons.inc(coupons)
        families.claims_waiting.set(self._claims_waiting())
        families.connections_in_use.set(self._connections_in_use())

    @contextlib.asynccontextmanager
    async def following(
        self, *, claims_waiting: Callable[[], int], connections_in_use: Callable[[], int]
    ) -> AsyncIterator[None]:
        """Hand over what is counted meanwhile once a second, and the last of it in the end."""
        self._claims_waiting, self._connections_in_use = claims_waiting, connections_in_use
        task = asyncio.create_task(self._flush_for_ever())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])
            self.flush()

    async def page(self) -> bytes:
        """Return what all processes have counted; the others' figures may be a second old."""
        self.flush()
        # It reads files, as many as there are processes.
        return await asyncio.to_thread(self._families.page)

    async def _flush_for_ever(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            self.flush()


def answer_metrics(metrics: Metrics) -> Answer:
    """Return what answers /metrics."""

    async def answer(_scope: Scope, _receive: Receive, send: Send) -> None:
        await reply(send, 200, await metrics.page(), [CONTENT_TYPE, NO_STORE])

    return answer
