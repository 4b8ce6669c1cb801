"""`python -m loadtest.attack`: all families of attacks again and again, for as long as asked."""

import asyncio
import contextlib
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from coupon_service import migrating
from coupon_service.embedded import EmbeddedPostgres
from loadtest import commands
from loadtest.attack import guessing
from loadtest.attack.families import FAMILIES, Family
from loadtest.attack.report import print_result, write_violations
from loadtest.attack.running import attack
from loadtest.attack.target import SERVERS, Target, running_target
from loadtest.report import terminal

NAMES = {family.name: family for family in FAMILIES}


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """Which attacks are done to which servers, for how long each and all."""

    names: tuple[str, ...]
    minutes: float
    round_seconds: float
    server: str
    tokens: bool
    timing: bool
    seed: int | None
    output: Path

    @property
    def servers(self) -> tuple[str, ...]:
        """Return the servers to attack."""
        return SERVERS if self.server == "both" else (self.server,)


def _names_told() -> str:
    return commands.choices_told(
        "FAMILY", (f"{family.name:12} {family.title}" for family in FAMILIES)
    )


@click.command(context_settings=commands.CONTEXT_SETTINGS, epilog=_names_told())
@click.argument("names", nargs=-1, metavar="[FAMILY]...", type=click.Choice(list(NAMES)))
@commands.minutes
@click.option(
    "--round-seconds",
    type=click.FloatRange(min=0.1),
    default=15.0,
    show_default=True,
    help="How long a family attacks at a time; some take longer to see the end.",
)
@click.option(
    "--server",
    type=click.Choice([*SERVERS, "both"]),
    default="both",
    show_default=True,
    help="What speaks HTTP.",
)
@click.option("--tokens", is_flag=True, help="Begin with the services that have tokens.")
@click.option("--timing", is_flag=True, help="Instead, tell what guessing tokens shows.")
@commands.seed
@commands.output("build/attack", "that goes which repeats a violation")
def main(**options: Any) -> None:  # noqa: ANN401 # click's options
    """Attack the service from raw sockets, and hold what it does to what it promises.

    Without a FAMILY, all of them are done, in an order by chance; every other service has
    tokens. Meanwhile an honest caller must get right answers, and nothing may grow, leak,
    hang or fail. Needs nothing, and calls nothing but this machine's loopback. Exits with
    status 1 if anything was violated.
    """
    commands.end_all_when_told()
    chosen = Options(**options)
    console = terminal.console()
    with _database() as database_url:
        if chosen.timing:
            is_good = guessing.run(console, chosen.servers, database_url)
        else:
            is_good = _attack_all(console, chosen, database_url)
    sys.exit(0 if is_good else 1)


@contextlib.contextmanager
def _database() -> Iterator[str]:
    folder = Path(tempfile.mkdtemp(prefix="coupon-attack-"))
    folder.chmod(0o711)  # for root, PostgreSQL runs under another account
    try:
        with EmbeddedPostgres(folder / "data") as postgres:
            asyncio.run(migrating.migrate(postgres.url))
            yield postgres.url
    finally:
        shutil.rmtree(folder)


def _attack_all(console: Console, options: Options, database_url: str) -> bool:
    """Attack until the time is up; return whether all was well."""
    begun = time.monotonic()
    give_up_at = begun + options.minutes * 60
    chance = random.Random(options.seed)  # noqa: S311 # to be repeated
    sent = bad_count = round_count = 0
    for cycle in count():
        for server in options.servers:
            # By turns, so that every run of both kinds has seen both servers.
            with running_target(
                server, database_url, has_tokens=(cycle + options.tokens) % 2 == 1
            ) as target:
                for family, seed in _rounds(options, chance, is_first=not cycle):
                    if cycle and time.monotonic() >= give_up_at:
                        break
                    result_sent, is_good = _one_round(console, family, target, seed, options)
                    sent += result_sent
                    round_count += 1
                    bad_count += not is_good
            bad_count += not _ended_well(console, target)
        if time.monotonic() >= give_up_at:
            break
    minutes = (time.monotonic() - begun) / 60
    console.print(f"{round_count} rounds, {sent:,} requests and connections, {minutes:.1f} min.")
    if bad_count:
        console.print(f"Rounds that violated a promise: {bad_count}.", style="bold red")
    else:
        console.print("Nothing was violated.", style="bold green")
    return not bad_count


def _rounds(
    options: Options, chance: random.Random, *, is_first: bool
) -> Iterator[tuple[Family, int]]:
    """Yield the families in an order by chance, with seeds."""
    families = [NAMES[name] for name in options.names] or list(FAMILIES)
    for family in chance.sample(families, len(families)):
        seed = chance.randrange(2**32)
        yield family, options.seed if is_first and options.seed is not None else seed


def _one_round(
    console: Console, family: Family, target: Target, seed: int, options: Options
) -> tuple[int, bool]:
    """Do one family and tell how it went; return how much was sent and whether all was well."""
    result = asyncio.run(attack(family, target, seed=seed, seconds=options.round_seconds))
    print_result(console, result)
    if not result.is_good:
        path = write_violations(result, options.output, options.round_seconds)
        console.print(f"{'':24} What repeats it is in {path}.", soft_wrap=True)
    return result.sent, result.is_good


def _ended_well(console: Console, target: Target) -> bool:
    """Tell whether a service that was stopped has ended as it should, and say if not."""
    status = target.service.process.returncode
    wrong = dict(target.log_violations())
    if status:
        wrong[f"It exited with {status}."] = ""
    for sentence, line in wrong.items():
        told = f"{target.name}, at its end: {sentence} {line}"
        console.print(told, style="bold red", soft_wrap=True, markup=False)
    return not wrong


if __name__ == "__main__":
    main()
