"""What happened in a second, as it can be sent to another process and added up there."""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from loadtest.rush.lines import Arrival

# Each bucket's latencies are 5 % longer than those of the one before.
_GROWTH = math.log(1.05)


@dataclass(slots=True)
class Tally:
    """How many calls were sent, what kinds of ends calls came to, and how long they took.

    `buckets` counts latencies by their logarithm, `late_us` is by how much the schedule
    was missed at worst.
    """

    sent: int = 0
    late_us: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    buckets: Counter[int] = field(default_factory=Counter)

    def count(self, line: Arrival) -> None:
        """Count a call that has come to its end."""
        self.kinds[line.kind] += 1
        latency_us = line.latency_us
        if latency_us is not None:
            self.buckets[int(math.log(max(latency_us, 1)) / _GROWTH)] += 1

    def milliseconds(self, percent: float) -> float | None:
        """Return a percentile of the latencies, to 5 %; None if there are none."""
        rank = math.ceil(self.buckets.total() * percent / 100)
        for bucket in sorted(self.buckets):
            rank -= self.buckets[bucket]
            if rank <= 0:
                return math.exp((bucket + 0.5) * _GROWTH) / 1000
        return None

    def as_message(self) -> dict[str, Any]:
        """Return what `of_message` takes."""
        return {
            "sent": self.sent,
            "late_us": self.late_us,
            "kinds": list(self.kinds.items()),
            "buckets": list(self.buckets.items()),
        }


def of_message(message: dict[str, Any]) -> Tally:
    """Return the tally that another process sent."""
    return Tally(
        sent=message["sent"],
        late_us=message["late_us"],
        kinds=Counter(dict(message["kinds"])),
        buckets=Counter(dict(message["buckets"])),
    )


def total(tallies: Iterable[Tally]) -> Tally:
    """Return what happened in all processes together."""
    summed = Tally()
    for tally in tallies:
        summed.sent += tally.sent
        summed.late_us = max(summed.late_us, tally.late_us)
        summed.kinds += tally.kinds
        summed.buckets += tally.buckets
    return summed
