"""An honest caller, who must get right answers in the midst of every attack."""

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from connectrpc.errors import ConnectError
from connectrpc.request import RequestContext

from coupon_service.client import reason
from loadtest.attack.target import KEEP_ALIVE_SECONDS, Target
from loadtest.callers import RecordingClient
from loadtest.checker import Verdict, check
from loadtest.history import BASIC, FULL, OK, Clock, Line, Operation

LIMIT = 12
PAUSE_SECONDS = 0.02
# Whoever uses a connection that the service is just closing is not answered, as in all of
# HTTP/1.1; an honest client gives idle ones up before that.
IDLE_SECONDS_MAX = KEEP_ALIVE_SECONDS / 2
ALWAYS_SEEN = frozenset({OK, "SOLD_OUT"})
# What a service without room for more connections makes callers see.
WHEN_FULL = frozenset({"OVERLOADED", "unavailable"})


class Attendant:
    """An interceptor that shows a token, if there is one, and keeps what errors said."""

    def __init__(self, token: str | None) -> None:
        self._token = token
        self.messages: Counter[str] = Counter()

    async def on_start(self, ctx: RequestContext[Any, Any]) -> None:
        """Add the header."""
        if self._token:
            ctx.request_headers["authorization"] = f"Bearer {self._token}"

    async def on_end(
        self, _token: None, _ctx: RequestContext[Any, Any], error: Exception | None
    ) -> None:
        """Note what was answered instead of what was asked for."""
        if error is not None:
            self.messages[str(error)] += 1


@dataclass(kw_only=True, slots=True)
class Canary:
    """Creates campaigns, claims all their coupons and more, and reads them, until stopped."""

    client: RecordingClient
    attendant: Attendant
    chance: random.Random
    allowed: frozenset[str]
    wrong: list[str] = field(default_factory=list)
    slowest_seconds: float = 0
    _is_over: bool = False

    async def call_until_stopped(self) -> None:
        """Go on and on."""
        while not self._is_over:
            try:
                await self._one_campaign()
            except ConnectError as error:
                self._see(reason(error))
                await asyncio.sleep(PAUSE_SECONDS)

    def stop(self) -> None:
        """Let it end after the campaign that is under way."""
        self._is_over = True

    async def _one_campaign(self) -> None:
        campaign_id = await self._timed(self.client.create(coupon_limit=LIMIT))
        for number in range(LIMIT + 3):
            user_id = self.chance.choice(["", f"user {number}", f"user {number // 2}"])
            self._see((await self._timed(self.client.issue(campaign_id, user_id))).outcome)
            view = self.chance.choice([FULL, BASIC])
            self._see((await self._timed(self.client.read(campaign_id, view))).outcome)
            await asyncio.sleep(PAUSE_SECONDS)

    def _see(self, outcome: str) -> None:
        if outcome not in self.allowed:
            self.wrong.append(outcome)

    async def _timed(self, call: Any) -> Any:  # noqa: ANN401 # whatever call it is
        begun = time.monotonic()
        try:
            return await call
        finally:
            self.slowest_seconds = max(self.slowest_seconds, time.monotonic() - begun)


@contextlib.asynccontextmanager
async def calling(
    target: Target, chance: random.Random, *, allowed: frozenset[str] = frozenset()
) -> AsyncIterator[Canary]:
    """Let a canary call while this lasts; `allowed` is what it may see beside right answers."""
    lines: list[Line] = [Clock(process="canary")]
    attendant = Attendant(target.admin_token)
    client = RecordingClient(
        [target.url], chance, lines, interceptors=[attendant], idle_seconds_max=IDLE_SECONDS_MAX
    )
    canary = Canary(
        client=client, attendant=attendant, chance=chance, allowed=ALWAYS_SEEN | allowed
    )
    task = asyncio.create_task(canary.call_until_stopped())
    try:
        yield canary
    finally:
        canary.stop()
        try:
            await task
        finally:
            await client.close()


async def verdict_on(canary: Canary, target: Target) -> Verdict:
    """Hold everything that the canary saw to the rules, with what is stored."""
    campaigns = {line.campaign_id for line in canary.client.lines if isinstance(line, Operation)}
    for campaign_id in sorted(campaigns):
        await canary.client.record_stored(campaign_id, target.database_url)
    return check(canary.client.lines)
