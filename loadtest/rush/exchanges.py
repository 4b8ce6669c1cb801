"""How far a host's clock is off another's, measured by asking it the time (Cristian's way)."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Exchange:
    """The other's clock said `told_us` at some time between `sent_us` and `answered_us`."""

    sent_us: int
    told_us: int
    answered_us: int

    @property
    def round_trip_us(self) -> int:
        """How long it took."""
        return self.answered_us - self.sent_us

    @property
    def behind_us(self) -> int:
        """How far this clock is behind the other's, give or take half the round trip."""
        return self.told_us - (self.sent_us + self.answered_us) // 2


def best(exchanges: Iterable[Exchange]) -> Exchange:
    """Return the exchange that says most: the one that took the shortest."""
    return min(exchanges, key=lambda exchange: exchange.round_trip_us)
