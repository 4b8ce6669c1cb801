"""Does a fault to a service under load, and holds what callers saw to the rules."""

import asyncio
import random
import time
from dataclasses import dataclass

from loadtest.callers import RecordingClient, ask_again
from loadtest.checker import Verdict, check
from loadtest.faults.faults import Fault
from loadtest.faults.stage import MANY, Stage, stage
from loadtest.history import OK, Line

SMALL = 300
STARTS_IN_SECONDS = 0.5
ENDS_IN_SECONDS = 1.0
OVER = frozenset({"SOLD_OUT", "CAMPAIGN_ENDED"})
# What a service without any fault answers.
ALWAYS_SEEN = frozenset({OK, "CAMPAIGN_NOT_STARTED", *OVER})
# So many coupons after the fault show that issuing goes on.
COUPONS_BETWEEN = 50
HEALS_WITHIN_SECONDS = 60


class DoesNotHeal(Exception):
    """The service did not issue again in time after a fault."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """What became of a run: `unexpected` is what callers saw and were not to see."""

    fault: Fault
    seed: int
    verdict: Verdict
    lines: list[Line]
    heal_seconds: list[float]
    unexpected: dict[str, int]

    @property
    def is_good(self) -> bool:
        """Tell whether all promises were kept."""
        return self.verdict.is_kept and not self.unexpected


async def run(
    fault: Fault, *, seed: int, strikes: int, hold_seconds: float, pause_seconds: float = 0
) -> Result:
    """Do a fault several times to one service, each lasting `hold_seconds` where it lasts.

    Callers wait `pause_seconds` between an answer and their next call; while a fault holds
    up their calls, all of them are under way at once in any case.

    Raises:
        DoesNotHeal: the service did not issue again.
    """
    chance = random.Random(seed)  # noqa: S311 # to be repeated
    heal_seconds = []
    async with stage(
        fault.setting,
        fault.mix,
        chance=chance,
        hold_seconds=hold_seconds,
        pause_seconds=pause_seconds,
    ) as made:
        await _until_issued(made.client, COUPONS_BETWEEN)
        for _ in range(strikes):
            small = await _small_campaigns(made)
            await asyncio.sleep(chance.random() / 10)
            await fault.strike(made)
            heal_seconds.append(await _until_issued(made.client, COUPONS_BETWEEN))
            await _until_over(made, small)
        await made.crowd.stop()
        await ask_again(made.client, seconds_max=HEALS_WITHIN_SECONDS)
        await _record_the_end(made)
    verdict = check(made.client.lines)
    seen = made.client.outcomes
    unexpected = {name: seen[name] for name in seen.keys() - ALWAYS_SEEN - fault.seen}
    return Result(
        fault=fault,
        seed=seed,
        verdict=verdict,
        lines=made.client.lines,
        heal_seconds=heal_seconds,
        unexpected=unexpected,
    )


async def _until_issued(client: RecordingClient, count: int) -> float:
    """Wait until so many more answers were coupons, and return how many seconds that took."""
    begun, before = time.monotonic(), client.outcomes[OK]
    while client.outcomes[OK] < before + count:
        if time.monotonic() - begun > HEALS_WITHIN_SECONDS:
            raise DoesNotHeal(f"{client.outcomes[OK] - before} coupons in {HEALS_WITHIN_SECONDS} s")
        await asyncio.sleep(0.01)
    return time.monotonic() - begun


async def _small_campaigns(made: Stage) -> list[str]:
    """Create what is sold out, what opens and what ends in the midst of the fault."""
    return [
        await made.new_campaign(SMALL),
        await made.new_campaign(SMALL, starts_in_seconds=STARTS_IN_SECONDS),
        await made.new_campaign(MANY, ends_in_seconds=ENDS_IN_SECONDS),
    ]


async def _until_over(made: Stage, campaign_ids: list[str]) -> None:
    """Wait until these campaigns are over, and ask for them no longer."""
    async with asyncio.timeout(HEALS_WITHIN_SECONDS):
        for campaign_id in campaign_ids:
            while (await made.client.issue(campaign_id)).outcome not in OVER:
                await asyncio.sleep(0.02)
    # What was refused stays in the history; going on would fill it with nothing else.
    for campaign_id in campaign_ids:
        made.campaign_ids.remove(campaign_id)


async def _record_the_end(made: Stage) -> None:
    """Read every campaign once more, and what is stored of it."""
    everything = {line.campaign_id for line in made.client.lines if hasattr(line, "campaign_id")}
    for campaign_id in sorted(everything):
        await made.client.read(campaign_id)
        await made.client.record_stored(campaign_id, made.database_url)
