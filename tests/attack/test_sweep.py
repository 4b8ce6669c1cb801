"""Every family of attacks, for seconds each, on both servers: nothing of what is promised gives."""

import secrets

import pytest

from loadtest.attack.families import FAMILIES, Family
from loadtest.attack.running import attack
from loadtest.attack.target import Target

SECONDS = 1.5


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
async def test_no_promise_gives_under(family: Family, target: Target) -> None:
    seed = secrets.randbits(32)
    print(f"{family.name} {target.name}: seed {seed}")  # noqa: T201 # to repeat a failing run
    result = await attack(family, target, seed=seed, seconds=SECONDS)
    assert [(each.sentence, each.sent[:500], each.came) for each in result.violations] == []
    assert result.verdict.is_kept
    assert result.sent > 0
