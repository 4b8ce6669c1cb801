"""`python -m loadtest.faults`: all faults again and again, for as long as asked."""

import asyncio
import os
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from loadtest import commands
from loadtest.checker.tables import print_verdict
from loadtest.faults.faults import FAULTS, Fault
from loadtest.faults.running import DoesNotHeal, Result, run
from loadtest.history import encode
from loadtest.report import terminal

NAMES = {fault.name: fault for fault in FAULTS}


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """How often each fault is done to one service, how long each lasts, and how long all do."""

    names: tuple[str, ...]
    minutes: float
    strikes: int
    hold_seconds: float
    seed: int | None
    output: Path


def _names_told() -> str:
    return commands.choices_told(
        "FAULT",
        (
            f"{fault.name:22} {fault.title}{' (takes root)' if fault.needs_root else ''}"
            for fault in FAULTS
        ),
    )


@click.command(context_settings=commands.CONTEXT_SETTINGS, epilog=_names_told())
@click.argument("names", nargs=-1, metavar="[FAULT]...", type=click.Choice(list(NAMES)))
@commands.minutes
@click.option(
    "--strikes",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="How often a fault is done to the same service.",
)
@click.option(
    "--hold-seconds",
    type=click.FloatRange(min=0.1),
    default=10.0,
    show_default=True,
    help="How long a fault lasts, if it is one that lasts.",
)
@commands.seed
@commands.output("build/faults", "the histories of runs that broke a promise go")
def main(**options: Any) -> None:  # noqa: ANN401 # click's options
    """Do faults to a service under load, and hold what every caller saw to the rules.

    Without a FAULT, all of them are done, in an order by chance. Needs nothing, and calls
    nothing but this machine's loopback. Exits with status 1 if a promise was broken.
    """
    commands.end_all_when_told()
    chosen = Options(**options)
    console = terminal.console()
    bad_count = sum(not _one_run(console, fault, seed, chosen) for fault, seed in _plan(chosen))
    if bad_count:
        console.print(f"Runs that broke a promise: {bad_count}.", style="bold red")
        sys.exit(1)
    console.print("Every promise was kept.", style="bold green")


def _plan(options: Options) -> Iterator[tuple[Fault, int]]:
    """Yield faults and seeds until the time is up, and each fault at least once."""
    chance = random.Random(options.seed)  # noqa: S311 # to be repeated
    give_up_at = time.monotonic() + options.minutes * 60
    faults = [NAMES[name] for name in options.names] or list(FAULTS)
    possible = [fault for fault in faults if not fault.needs_root or os.geteuid() == 0]
    for fault in (fault for fault in faults if fault not in possible):
        click.echo(f"{fault.name} is left out: only root may mount a small disk.")
    for cycle in count():
        for fault in chance.sample(possible, len(possible)):
            if cycle and time.monotonic() >= give_up_at:
                return
            is_repeat = options.seed is not None and not cycle
            yield fault, options.seed if is_repeat else chance.randrange(2**32)  # type: ignore[misc]
        if time.monotonic() >= give_up_at:
            return


def _one_run(console: Console, fault: Fault, seed: int, options: Options) -> bool:
    """Do one fault and tell how it went; return whether all promises were kept."""
    begun = time.monotonic()
    doing = run(fault, seed=seed, strikes=options.strikes, hold_seconds=options.hold_seconds)
    try:
        result = asyncio.run(doing)
    except (DoesNotHeal, TimeoutError) as exc:
        why = str(exc) or "it did not answer in time"
        console.print(f"{fault.name:22} seed {seed:<10} DOES NOT HEAL: {why}", style="bold red")
        return False
    seconds = time.monotonic() - begun
    console.print(
        f"{fault.name:22} seed {seed:<10} {'kept' if result.is_good else 'BROKEN':6}"
        f" {seconds:5.1f} s {result.verdict.operation_count:7,} operations;"
        f" issuing again after {max(result.heal_seconds):.2f} s",
        style="default" if result.is_good else "bold red",
        soft_wrap=True,
    )
    console.print(f"{'':22} {_seen(result)}", style="dim", soft_wrap=True)
    if not result.is_good:
        _tell_why(console, result, options.output)
    return result.is_good


def _seen(result: Result) -> str:
    return ", ".join(f"{name} {number:,}" for name, number in result.verdict.outcomes.items())


def _tell_why(console: Console, result: Result, output: Path) -> None:
    output.mkdir(parents=True, exist_ok=True)
    path = output / f"{result.fault.name}-{result.seed}.jsonl"
    path.write_bytes(b"".join(encode(line) + b"\n" for line in result.lines))
    if result.unexpected:
        seen = ", ".join(f"{name} {number:,}" for name, number in result.unexpected.items())
        console.print(f"Callers saw what they were not to see: {seen}.")
    print_verdict(result.verdict, console)
    console.print(f"The history is in {path}.")


if __name__ == "__main__":
    main()
