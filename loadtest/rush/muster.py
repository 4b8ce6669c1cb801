"""Who takes part in a rush, and whether all of them came to its end."""

import time
from collections.abc import Callable, Iterator

import gevent

from loadtest.rush.plan import Share

FINISH_SECONDS_MAX = 180
# So long a process may be away before it is given up.
GONE_SECONDS_MAX = 10
POLL_SECONDS = 0.1


class Muster:
    """The processes that generate load, by locust's names for them.

    `is_connected` tells whether locust has a process among its workers.
    """

    def __init__(self, is_connected: Callable[[str], bool]) -> None:
        self._is_connected = is_connected
        self._joined: dict[str, str] = {}
        self._shares: dict[str, Share] = {}
        self._gone_since: dict[str, float] = {}

    @property
    def shares(self) -> dict[str, Share]:
        """What the processes had to say that finished."""
        return self._shares

    @property
    def is_whole(self) -> bool:
        """Tell whether nobody was lost."""
        return self._joined.keys() == self._shares.keys()

    def name_of(self, node_id: str) -> str:
        """Return the name of a process in the history; it takes part from now on."""
        return self._joined.setdefault(node_id, f"worker-{len(self._joined) + 1}")

    def finished(self, node_id: str, share: Share) -> None:
        """Note that a process has finished."""
        self._shares[node_id] = share

    def wait(self) -> None:
        """Wait for every process that took part, unless it is gone for good."""
        give_up_at = time.monotonic() + FINISH_SECONDS_MAX
        while self._is_worth_waiting() and time.monotonic() < give_up_at:
            gevent.sleep(POLL_SECONDS)

    def problems(self) -> Iterator[str]:
        """Yield what went wrong with whom."""
        for node_id in self._joined.keys() - self._shares.keys():
            yield f"{self._joined[node_id]} was lost, and its calls with it"
        for share in self._shares.values():
            if share.unanswered:
                yield f"{share.unanswered} callers of {share.process} never got an answer"

    def _is_worth_waiting(self) -> bool:
        now = time.monotonic()
        missing = self._joined.keys() - self._shares.keys()
        for node_id in missing:
            if self._is_connected(node_id):
                self._gone_since.pop(node_id, None)
            else:
                self._gone_since.setdefault(node_id, now)
        return any(
            now - self._gone_since.get(node_id, now) <= GONE_SECONDS_MAX for node_id in missing
        )
