"""What a round was like, in a line for people and in a file that repeats it."""

import json
from pathlib import Path
from typing import Any

from rich.console import Console

from loadtest.attack.running import MEGABYTE, Result

OUTCOMES_SHOWN = 9
SENTENCES_SHOWN = 8


def print_result(console: Console, result: Result) -> None:
    """Print a line about a round, one about its answers, and one for each violation."""
    before, peak, after = (number // MEGABYTE for number in result.memory_bytes)
    console.print(
        f"{result.family.name:12} {result.target_name:15} seed {result.seed:<10} "
        f"{'well' if result.is_good else 'VIOLATED':8} {result.sent:7,} sent; "
        f"canary {result.canary_slowest_seconds * 1000:5.0f} ms at most; "
        f"memory {before} < {peak} > {after} MB",
        style="default" if result.is_good else "bold red",
        soft_wrap=True,
    )
    seen = result.outcomes.most_common(OUTCOMES_SHOWN)
    told = ", ".join(f"{name}: {number:,}" for name, number in seen)
    console.print(f"{'':24} {told}", style="dim", soft_wrap=True, highlight=False)
    for each in _different(result)[:SENTENCES_SHOWN]:
        console.print(f"{'':24} {each[:400]}", style="red", soft_wrap=True, markup=False)


def _different(result: Result) -> list[str]:
    """Return each sentence about a violation once."""
    return list(dict.fromkeys(each.sentence for each in result.violations))


def write_violations(result: Result, folder: Path, seconds: float) -> Path:
    """Write down what was violated and what led to it; return where."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{result.family.name}-{result.target_name}-{result.seed}.json"
    path.write_text(json.dumps(_described(result, seconds), indent=1), "utf-8")
    return path


def _described(result: Result, seconds: float) -> dict[str, Any]:
    server = result.target_name.replace("+", " --")
    command = f"python -m loadtest.attack {result.family.name} --minutes 0 --server {server}"
    return {
        "repeat": f"{command} --seed {result.seed} --round-seconds {seconds:g}",
        "target": result.target_name,
        "violation_count": result.violation_count,
        "violations": [
            # Each byte sent is one character of these.
            {
                "sentence": each.sentence,
                "sent_as_latin_1": each.sent.decode("latin-1"),
                "came": each.came,
            }
            for each in result.violations
        ],
    }
