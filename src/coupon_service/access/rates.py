"""How often a caller may call."""

import re
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import limits

from coupon_service.errors import RateLimited

# About 40 MB in each process.
CALLERS_MAX = 100_000

# The library takes 20/0 seconds for 20/second.
_NO_TIME = re.compile(r"(/|per)\s*0+\s*[a-z]", re.IGNORECASE)


def rate_limit(text: str) -> limits.RateLimitItem:
    """Return what a text such as 20/second says.

    Raises:
        ValueError: it says nothing, or more than one thing.
    """
    try:
        (limit,) = limits.parse_many(text)
    except ValueError:
        limit = None
    if limit is None or limit.amount < 1 or _NO_TIME.search(text):
        raise ValueError("it must be a number of calls and a time, such as 20/second or 600/minute")
    return limit


@dataclass(slots=True)
class _Window:
    ends_at: float
    calls: int = 0


class CallCounts:
    """Counts calls of each caller in windows, which begin with a caller's first call.

    At most `callers_max` are remembered; beyond that the one whose window began first is
    forgotten, and may begin anew. Windows end in the order in which they began, so those
    that have ended are found without a search; the memory storage of `limits` looks
    through all callers a hundred times a second, from a thread of its own.
    """

    def __init__(
        self,
        limit: limits.RateLimitItem,
        *,
        callers_max: int = CALLERS_MAX,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit = limit
        self._seconds = limit.get_expiry()
        self._callers_max = callers_max
        self._monotonic = monotonic
        # It finds its first at once; a dict looks through the gaps of those that have gone.
        self._windows: OrderedDict[str, _Window] = OrderedDict()

    def __len__(self) -> int:
        """Return how many callers are remembered."""
        return len(self._windows)

    def count(self, caller: str) -> None:
        """Count a call.

        Raises:
            RateLimited: it is one too many in the caller's window, and does not count.
        """
        now = self._monotonic()
        self._forget_those_that_ended(now)
        window = self._windows.get(caller) or self._begin(caller, now)
        if window.calls >= self._limit.amount:
            raise RateLimited(time_left=timedelta(seconds=window.ends_at - now))
        window.calls += 1

    def _forget_those_that_ended(self, now: float) -> None:
        while self._windows and next(iter(self._windows.values())).ends_at <= now:
            self._windows.popitem(last=False)

    def _begin(self, caller: str, now: float) -> _Window:
        if len(self._windows) >= self._callers_max:
            self._windows.popitem(last=False)
        window = self._windows[caller] = _Window(now + self._seconds)
        return window
