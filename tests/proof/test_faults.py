"""Every fault, under load: nothing acknowledged is lost, and the service heals by itself."""

import os
import random
from pathlib import Path

import pytest

from loadtest.faults.faults import FAULTS, Fault
from loadtest.faults.running import run

# A small disk can be mounted by root alone.
POSSIBLE = [fault for fault in FAULTS if not fault.needs_root or os.geteuid() == 0]
HOLD_SECONDS = 0.5
# Enough to leave some of two processors to the tests beside it.
PAUSE_SECONDS = 0.05


@pytest.mark.parametrize("fault", POSSIBLE, ids=lambda fault: fault.name)
async def test_no_promise_is_broken_by(fault: Fault) -> None:
    seed = random.randrange(2**32)
    print(f"{fault.name}: seed {seed}")  # noqa: T201 # to repeat a failing run
    result = await run(
        fault, seed=seed, strikes=1, hold_seconds=HOLD_SECONDS, pause_seconds=PAUSE_SECONDS
    )
    broken = [each for each in result.verdict.judgements if each.violation_count]
    assert [(each.rule.name, each.examples) for each in broken] == []
    assert result.unexpected == {}
    assert result.verdict.is_kept


def test_every_fault_is_in_the_table_of_the_operations_page() -> None:
    page = Path(__file__).parents[2].joinpath("docs", "operations.md").read_text()
    for fault in FAULTS:
        assert f"| `{fault.name}`: {fault.title} |" in page
