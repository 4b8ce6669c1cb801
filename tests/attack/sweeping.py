"""Every family of attacks, for seconds each: nothing of what is promised gives."""

import secrets

import pytest

from loadtest.attack.families import FAMILIES, Family
from loadtest.attack.running import attack
from loadtest.attack.target import Target

SECONDS = 1.0

each_family = pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)


async def hold_promises_under(family: Family, target: Target) -> None:
    """Attack a service for a while, and hold it to all that it promises."""
    seed = secrets.randbits(32)
    print(f"{family.name} {target.name}: seed {seed}")  # noqa: T201 # to repeat a failing run
    result = await attack(family, target, seed=seed, seconds=SECONDS)
    broken = [(each.sentence, each.sent[:500], each.came) for each in result.violations]
    assert not broken, broken
    assert result.verdict.is_kept
    assert result.sent > 0
