"""The clock that a client process stamps its calls with."""

import os
import time

ANCHOR_VARIABLE = "COUPON_LOADTEST_CLOCK"


class Clock:
    """Microseconds since the Unix epoch that never step, the same in all of a host's processes.

    It is the host's monotonic clock, which all processes share, moved once by the
    `anchor_ns` that makes it the wall clock of that moment. The first process of a test
    takes the anchor; those that it starts are given it.
    """

    def __init__(self, anchor_ns: int) -> None:
        self.anchor_ns = anchor_ns

    def now_us(self) -> int:
        """Return the time in microseconds."""
        return (time.monotonic_ns() + self.anchor_ns) // 1000


def shared_clock() -> Clock:
    """Return the clock of this test on this host, for the processes started from here on too."""
    anchor = os.environ.get(ANCHOR_VARIABLE)
    if anchor is None:
        anchor = str(time.time_ns() - time.monotonic_ns())
        os.environ[ANCHOR_VARIABLE] = anchor
    return Clock(int(anchor))
