"""Counts the calls of the RPCs, by what they are answered with."""

import time
from collections.abc import Callable
from typing import Any

from connectrpc.request import RequestContext

from coupon_service.error_border import ErrorBorder, replaced
from coupon_service.metering.metrics import OK, Metrics
from coupon_service.rpc_errors import Refusal, connect_error


class CountingBorder(ErrorBorder):
    """The border that also counts: one interceptor, because each costs a claim microseconds."""

    def __init__(
        self, metrics: Metrics, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._calls = metrics.calls
        self._monotonic = monotonic

    async def on_start(self, _ctx: RequestContext[Any, Any]) -> float:
        """Note when the call began."""
        return self._monotonic()

    async def on_end(
        self, began_at: float, ctx: RequestContext[Any, Any], error: Exception | None
    ) -> None:
        """Count the call, and replace its error by what the caller may see."""
        method = ctx.method.name
        seconds = self._monotonic() - began_at
        if error is None:
            self._calls[method, OK, ""].add(seconds)
            return
        answered = connect_error(error, method=method)
        reason = answered.counted_as if isinstance(answered, Refusal) else ""
        self._calls[method, answered.code.value, reason].add(seconds)
        raise replaced(error, answered)
