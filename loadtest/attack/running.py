"""Does one family of attacks to a service, and holds it to what is promised meanwhile."""

import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass

from loadtest.attack.canary import Canary, calling, verdict_on
from loadtest.attack.families import Family
from loadtest.attack.round import Round, Violation
from loadtest.attack.target import POOL_SIZE, WORKERS, Target, Vitals
from loadtest.checker import Verdict

COUPONS_MAX = 10_000_000
MEGABYTE = 1_000_000
MEMORY_POLL_SECONDS = 0.1
STEADY_SECONDS = 0.3
# Beyond its time, so long may a family wait for its last answers.
LAST_ANSWERS_SECONDS = 90
CANARY_SECONDS_MAX = 10
# Open files beside connections to the database that a service opens when it first needs them.
FILES_SPARE = 20
# What is left of a round's memory may be this much: allocators keep some for later.
MEGABYTES_LEFT_MAX = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """What became of a round."""

    family: Family
    target_name: str
    seed: int
    sent: int
    outcomes: Counter[str]
    violations: list[Violation]
    violation_count: int
    canary_slowest_seconds: float
    memory_bytes: tuple[int, int, int]
    verdict: Verdict

    @property
    def is_good(self) -> bool:
        """Tell whether nothing was that must not be."""
        return not self.violation_count


async def attack(family: Family, target: Target, *, seed: int, seconds: float) -> Result:
    """Do a family of attacks for so long, and wait until the service is as it was before."""
    async with calling(target, random.Random(seed), allowed=family.allowed) as canary:  # noqa: S311 # to be repeated
        campaign_id = await target.new_campaign(COUPONS_MAX)
        await _until_served(canary)
        before = await _once_steady(target)
        at_work = Round(
            target=target,
            chance=random.Random(seed),  # noqa: S311 # as above
            give_up_at=time.monotonic() + seconds,
            campaign_id=campaign_id,
        )
        peak_bytes = await _strike(family, at_work, seconds)
    after = await _until_back(at_work, before)
    verdict = await verdict_on(canary, target)
    _hold_to_vitals(at_work, family, before, after, peak_bytes)
    _hold_to_canary(at_work, canary, verdict)
    for wrong, line in target.log_violations():
        at_work.violated(wrong, came=line)
    return Result(
        family=family,
        target_name=target.name,
        seed=seed,
        sent=at_work.sent,
        outcomes=at_work.outcomes,
        violations=at_work.violations,
        violation_count=at_work.violation_count,
        canary_slowest_seconds=canary.slowest_seconds,
        memory_bytes=(before.memory_bytes, peak_bytes, after.memory_bytes),
        verdict=verdict,
    )


async def _until_served(canary: Canary) -> None:
    """Wait until the honest caller is, so that what comes later is the attack's doing."""
    async with asyncio.timeout(CANARY_SECONDS_MAX):
        while not canary.client.outcomes:
            await asyncio.sleep(0.01)


async def _once_steady(target: Target) -> Vitals:
    """Return how the service is once nothing of it is starting any more."""
    before = await target.vitals()
    give_up_at = time.monotonic() + CANARY_SECONDS_MAX
    while time.monotonic() < give_up_at:
        await asyncio.sleep(STEADY_SECONDS)
        now = await target.vitals()
        if (now.pids, _files(now)) == (before.pids, _files(before)):
            return now
        before = now
    return before


async def _strike(family: Family, at_work: Round, seconds: float) -> int:
    """Let the attack work; return the most memory that the service had meanwhile."""
    watching = asyncio.create_task(_most_memory(at_work))
    try:
        async with asyncio.timeout(seconds + LAST_ANSWERS_SECONDS):
            await family.strike(at_work)
    except TimeoutError:
        at_work.violated("The attack did not come to its end.")
    except ExceptionGroup as group:
        at_work.violated(f"The attack failed: {group.exceptions!r}")
    finally:
        watching.cancel()
        await asyncio.wait([watching])
    return at_work.memory_bytes_seen


async def _most_memory(at_work: Round) -> None:
    while True:
        seen = at_work.target.memory_bytes()
        at_work.memory_bytes_seen = max(at_work.memory_bytes_seen, seen)
        await asyncio.sleep(MEMORY_POLL_SECONDS)


async def _until_back(at_work: Round, before: Vitals) -> Vitals:
    """Wait until the service holds no more than before, or should long have done so."""
    give_up_at = time.monotonic() + at_work.target.answers_within_seconds
    while True:
        after = await at_work.target.vitals()
        if _files(after) <= _files(before) + FILES_SPARE and not after.busy_sessions:
            return after
        if time.monotonic() > give_up_at:
            return after
        await asyncio.sleep(0.1)


def _files(vitals: Vitals) -> int:
    """Return how many files are open beside those that are sessions of the database."""
    return vitals.open_files - vitals.sessions


def _hold_to_vitals(
    at_work: Round, family: Family, before: Vitals, after: Vitals, peak_bytes: int
) -> None:
    if after.pids != before.pids:
        at_work.violated(f"The processes {before.pids} became {after.pids}.")
    if _files(after) > _files(before) + FILES_SPARE:
        at_work.violated(f"{_files(before)} open files became {_files(after)}.")
    if after.busy_sessions or after.sessions > WORKERS * (POOL_SIZE + 1):
        at_work.violated(f"{after.busy_sessions} of {after.sessions} sessions are still busy.")
    grown = (peak_bytes - before.memory_bytes) // MEGABYTE
    if grown > family.memory_megabytes_max:
        at_work.violated(f"The service grew by {grown} MB.")
    left = (after.memory_bytes - before.memory_bytes) // MEGABYTE
    if left > MEGABYTES_LEFT_MAX:
        at_work.violated(f"The service kept {left} MB.")


def _hold_to_canary(at_work: Round, canary: Canary, verdict: Verdict) -> None:
    for outcome, number in Counter(canary.wrong).items():
        messages = dict(canary.attendant.messages)
        at_work.violated(f"The honest caller saw {outcome} {number} times.", came=messages)
    if canary.slowest_seconds > CANARY_SECONDS_MAX:
        at_work.violated(f"The honest caller waited for {canary.slowest_seconds:.1f} s.")
    for each in verdict.judgements:
        if each.violation_count:
            at_work.violated(f"A promise is broken: {each.rule.title}", came=each.examples)
