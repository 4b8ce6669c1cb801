"""`python -m loadtest.faults`: all faults again and again, for as long as asked."""

import asyncio
import os
import random
import sys
import time
from pathlib import Path

import click
from rich.console import Console

from loadtest.checker.tables import print_verdict
from loadtest.faults.faults import FAULTS, Fault
from loadtest.faults.running import DoesNotHeal, Result, run
from loadtest.history import encode

NAMES = {fault.name: fault for fault in FAULTS}


@click.command()
@click.argument("names", nargs=-1, metavar="[FAULT]...", type=click.Choice(list(NAMES)))
@click.option(
    "--minutes",
    type=click.FloatRange(min=0),
    default=10,
    show_default=True,
    help="Go on for so long; each fault is done at least once.",
)
@click.option(
    "--strikes",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="How often each fault is done to one service.",
)
@click.option(
    "--hold-seconds",
    type=click.FloatRange(min=0.1),
    default=10.0,
    show_default=True,
    help="How long a fault that lasts is to last.",
)
@click.option("--seed", type=int, help="Repeat a run; a new one by default.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("build/faults"),
    show_default=True,
    help="Where the histories of runs with violations go.",
)
def main(
    names: tuple[str, ...],
    minutes: float,
    strikes: int,
    hold_seconds: float,
    seed: int | None,
    output: Path,
) -> None:
    """Do faults to services under load, and check what every caller saw.

    Without a FAULT, all of them, in an order by chance. Prints each run's seed. Exits with
    status 1 if a promise was broken. Needs nothing; runs on this machine's loopback.
    """
    console = Console()
    chance = random.Random(seed)  # noqa: S311 # to be repeated
    chosen = [NAMES[name] for name in names] or list(FAULTS)
    give_up_at = time.monotonic() + minutes * 60
    bad_count = 0
    for number in range(sys.maxsize):
        if number and time.monotonic() >= give_up_at:
            break
        for fault in chosen if names else chance.sample(chosen, len(chosen)):
            if fault.needs_root and os.geteuid() != 0:
                console.print(f"{fault.name:22} not run: only root may mount a small disk")
                continue
            if number and time.monotonic() >= give_up_at:
                break
            run_seed = seed if seed is not None and names else chance.randrange(2**32)
            bad_count += not _one_run(console, fault, run_seed, strikes, hold_seconds, output)
    if bad_count:
        console.print(f"{bad_count} runs broke a promise; their histories are in {output}")
    sys.exit(1 if bad_count else 0)


def _one_run(
    console: Console, fault: Fault, seed: int, strikes: int, hold_seconds: float, output: Path
) -> bool:
    """Run and tell how it went; return whether all promises were kept."""
    begun = time.monotonic()
    try:
        result = asyncio.run(run(fault, seed=seed, strikes=strikes, hold_seconds=hold_seconds))
    except (DoesNotHeal, TimeoutError) as exc:
        console.print(f"{fault.name:22} seed {seed:<10} DOES NOT HEAL: {exc}", style="bold red")
        return False
    seconds = time.monotonic() - begun
    word = "kept" if result.is_good else "BROKEN"
    console.print(
        f"{fault.name:22} seed {seed:<10} {word:7} {result.verdict.operation_count:7,} operations"
        f" {seconds:6.1f} s, issuing again after {max(result.heal_seconds):.2f} s",
        style=None if result.is_good else "bold red",
    )
    console.print(f"{'':22} {_seen(result)}", style="dim")
    if not result.is_good:
        _tell_why(console, result, output)
    return result.is_good


def _seen(result: Result) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in result.verdict.outcomes.items())


def _tell_why(console: Console, result: Result, output: Path) -> None:
    output.mkdir(parents=True, exist_ok=True)
    path = output / f"{result.fault.name}-{result.seed}.jsonl"
    path.write_bytes(b"".join(encode(line) + b"\n" for line in result.lines))
    if result.unexpected:
        console.print(f"callers were not to see {result.unexpected}")
    print_verdict(result.verdict, console)
    console.print(f"The history is in {path}")


if __name__ == "__main__":
    main()
