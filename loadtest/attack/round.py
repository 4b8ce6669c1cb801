"""One attack at work: what it sent, what came back, and what must not have been."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from loadtest.attack import judging
from loadtest.attack.answers import Exchange, NotHttp
from loadtest.attack.http2 import exchange_http2
from loadtest.attack.shots import Request, Shot
from loadtest.attack.target import Target
from loadtest.attack.wire import exchange

AT_ONCE = 32
HTTP2_SHARE = 0.5
# hpack takes seconds to pack what is much longer.
HTTP2_HEAD_BYTES_MAX = 20_000
TOKEN_SHARE = 0.7
VIOLATIONS_KEPT = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Violation:
    """What must not have been, in one sentence, with the bytes that led to it."""

    sentence: str
    sent: bytes = b""
    came: str = ""


@dataclass(kw_only=True, slots=True)
class Round:
    """A family of attacks at work on a target, with chance that can be repeated.

    `campaign_id` is a campaign that may be claimed from at will.
    """

    target: Target
    chance: random.Random
    give_up_at: float
    campaign_id: str
    sent: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    violations: list[Violation] = field(default_factory=list)
    violation_count: int = 0
    memory_bytes_seen: int = 0

    @property
    def is_over(self) -> bool:
        """Tell whether its time is up."""
        return time.monotonic() >= self.give_up_at

    @property
    def speaks_http2(self) -> bool:
        """Tell whether the server does."""
        return self.target.server == "pyvoy"

    def count(self, outcome: str, number: int = 1) -> None:
        """Note what became of something that was sent."""
        self.sent += number
        self.outcomes[outcome] += number

    def violated(self, sentence: str, sent: bytes = b"", came: object = "") -> None:
        """Note what must not have been."""
        self.violation_count += 1
        if len(self.violations) < VIOLATIONS_KEPT:
            told = str(came)[:4000]
            self.violations.append(Violation(sentence=sentence, sent=sent[:200_000], came=told))

    async def ask(self, shot: Shot) -> Exchange:
        """Send a call with the token, if one is needed, and judge what comes back."""
        return await self.shoot(self._with_token(shot))

    async def look(self, shot: Shot) -> Exchange:
        """Send a call with the token, if one is needed, and return whatever comes back."""
        try:
            return await exchange(self.target.url, self._with_token(shot), seconds_max=5)
        except (OSError, TimeoutError, NotHttp):
            return Exchange(answers=[])

    async def shoot(self, shot: Shot, *, over_http2: bool = False) -> Exchange:
        """Send a shot over a connection of its own, and judge what comes back."""
        seconds_max = self.target.answers_within_seconds
        way = ""
        try:
            if over_http2 and shot.request:
                way = " (HTTP/2)"
                got = await exchange_http2(self.target.url, shot.request, seconds_max=seconds_max)
            else:
                got = await exchange(self.target.url, shot, seconds_max=seconds_max)
        except NotHttp as exc:
            self.count("no HTTP")
            self.violated(f"What came back is not HTTP: {exc}.", shot.data)
            return Exchange(answers=[])
        except (OSError, TimeoutError) as exc:
            self.count("not connected")
            self.violated(f"The service cannot be reached: {exc!r}.", shot.data)
            return Exchange(answers=[])
        self.count(judging.outcome(got))
        if wrong := judging.violation(shot, got):
            self.violated(wrong + way, shot.data, got)
        return got

    async def shoot_all(self, shots: Iterable[Shot], *, at_once: int = AT_ONCE) -> None:
        """Send shots, many at once, until the time is up or there are no more."""
        room = asyncio.Semaphore(at_once)

        async def shoot(shot: Shot, *, over_http2: bool) -> None:
            try:
                await self.shoot(shot, over_http2=over_http2)
            finally:
                room.release()

        async with asyncio.TaskGroup() as group:
            for shot in shots:
                await room.acquire()
                if self.is_over:
                    return
                over_http2 = self.chance.random() < HTTP2_SHARE and self._can_be_http2(shot)
                has_token = self.chance.random() < TOKEN_SHARE
                given = self._with_token(shot) if has_token else shot
                group.create_task(shoot(given, over_http2=over_http2))

    def _can_be_http2(self, shot: Shot) -> bool:
        """Tell whether the server speaks it, and packing the head does not take us too long."""
        return (
            self.target.server == "pyvoy"
            and shot.request is not None
            and len(shot.data) - len(shot.request.body) <= HTTP2_HEAD_BYTES_MAX
        )

    def authorized(self, request: Request) -> Request:
        """Return a request with the token, if one is needed."""
        token = self.target.admin_token
        if not token:
            return request
        header = (b"authorization", b"Bearer " + token.encode())
        return replace(request, headers=(*request.headers, header))

    def _with_token(self, shot: Shot) -> Shot:
        if not shot.request or not self.target.admin_token:
            return shot
        request = self.authorized(shot.request)
        return replace(shot, request=request, data=request.as_http1())
