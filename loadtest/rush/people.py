"""Who calls, and how patient they are."""

import random
from dataclasses import dataclass

ANONYMOUS_SHARE = 0.4
# Of the calls of users: those of a user who has called before.
REPEAT_SHARE = 1 / 3
HANG_UP_SHARE = 0.03
HANG_UP_SECONDS = (0.0005, 0.008)
DEADLINE_SHARE = 0.03
DEADLINE_MS = (1, 50)


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """A caller: `user_id` "" is anonymous.

    `hang_up_seconds` is after how long it goes without its answer, `timeout_ms` the
    deadline that it sets the service.
    """

    user_id: str = ""
    timeout_ms: int | None = None
    hang_up_seconds: float | None = None


class People:
    """The callers of one process; no other has users whose ids begin with its `prefix`."""

    def __init__(self, chance: random.Random, prefix: str) -> None:
        self._chance = chance
        self._prefix = prefix
        self._user_count = 0

    def next(self) -> Claim:
        """Return who calls next."""
        user_id = self._next_user()
        fate = self._chance.random()
        if fate < HANG_UP_SHARE:
            return Claim(user_id=user_id, hang_up_seconds=self._chance.uniform(*HANG_UP_SECONDS))
        if fate < HANG_UP_SHARE + DEADLINE_SHARE:
            return Claim(user_id=user_id, timeout_ms=self._chance.randint(*DEADLINE_MS))
        return Claim(user_id=user_id)

    def _next_user(self) -> str:
        if self._chance.random() < ANONYMOUS_SHARE:
            return ""
        if self._user_count and self._chance.random() < REPEAT_SHARE:
            return f"{self._prefix}-{self._chance.randrange(self._user_count)}"
        self._user_count += 1
        return f"{self._prefix}-{self._user_count - 1}"
