"""Tells when the service has gone for good."""

from loadtest.rush.lines import HUNG_UP, LOST
from loadtest.rush.tally import Tally

SECONDS_MAX = 30
# A few calls may well be lost where hardly any are made.
LOST_MIN = 3


class Silence:
    """How long no call was answered; times are seconds of a clock that only goes on."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._lost = 0

    def heard(self, tally: Tally, now: float) -> None:
        """Take what came of calls until now."""
        answered = tally.kinds.total() - tally.kinds[LOST] - tally.kinds[HUNG_UP]
        if answered or self._since is None:
            self._since, self._lost = now, 0
        if not answered:
            self._lost += tally.kinds[LOST]

    def is_for_good(self, now: float) -> bool:
        """Tell whether no answer is to be expected any more."""
        since = now if self._since is None else self._since
        return self._lost >= LOST_MIN and now - since >= SECONDS_MAX
