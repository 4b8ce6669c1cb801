"""`python -m loadtest.broken`: try the broken issuers, and see whether the checker names them."""

import random
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from bench.stand import stand
from loadtest import commands
from loadtest.broken.cases import CASES, SERVICE, SOUND, Case
from loadtest.broken.trial import Stand, Trial, broken_stand, service_stand
from loadtest.history import encode

NAMES = list(dict.fromkeys(case.issuer for case in (*SOUND, *CASES)))
FOLDER = Path("build/broken")

# A pipe has no width of its own.
console = Console(width=None if sys.stdout.isatty() else 160)


@dataclass(kw_only=True, slots=True)
class Row:
    """What became of a case's runs."""

    case: Case
    runs: int = 0
    missed: int = 0
    seconds: float = 0
    named: Counter[str] = field(default_factory=Counter)

    def add(self, trial: Trial) -> None:
        """Count a run."""
        self.runs += 1
        self.missed += not self.case.is_judged_rightly(trial.verdict)
        self.seconds += trial.seconds
        self.named.update(trial.verdict.broken)

    @property
    def rules(self) -> str:
        """Return the rules that had to be named."""
        return ", ".join(sorted(self.case.rules)) or "none"

    @property
    def others(self) -> str:
        """Return the other rules that were named, and how often."""
        others = sorted(self.named.keys() - self.case.rules)
        return ", ".join(f"{rule} {self.named[rule]}" for rule in others)


@click.command()
@click.argument("names", nargs=-1, metavar="[ISSUER]...", type=click.Choice(NAMES))
@click.option(
    "--runs", type=click.IntRange(min=1), default=1, show_default=True, help="Runs of each."
)
@click.option("--seed", type=int, help="Repeat runs: the first one's seed. A new one by default.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=FOLDER,
    show_default=True,
    help="Where the histories go of runs that were not judged rightly.",
)
def main(names: tuple[str, ...], runs: int, seed: int | None, output: Path) -> None:
    """Try issuers that are broken on purpose, and see whether the checker names each mistake.

    Without an ISSUER, all of them, and two that break no rule: the plain one that the others
    are made from, and the service itself. Exits with status 1 if a run was not judged rightly.
    """
    commands.end_all_when_told()
    first = random.SystemRandom().randrange(2**32) if seed is None else seed
    seeds = range(first, first + runs)
    console.print(f"Seed {first}." if runs == 1 else f"Seeds {seeds[0]} to {seeds[-1]}.")
    rows = []
    with (
        stand() as made,
        made.database("loose") as loose,
        service_stand(made.database_url) as sound,
        broken_stand(loose.database_url) as broken,
    ):
        for case in (*SOUND, *CASES):
            if case.issuer in (names or NAMES):
                where = sound if case.issuer == SERVICE else broken
                rows.append(_try_often(case, where, seeds, output))
    console.print(_table(rows))
    sys.exit(1 if any(row.missed for row in rows) else 0)


def _try_often(case: Case, where: Stand, seeds: Iterable[int], output: Path) -> Row:
    row = Row(case=case)
    for place, seed in enumerate(seeds):
        load = case.loads[place % len(case.loads)]
        trial = where.run(load, name=case.issuer, seed=seed)
        row.add(trial)
        if not case.is_judged_rightly(trial.verdict):
            _keep(case, trial, output)
    console.print(f"{case.issuer}: {row.rules} in {row.runs - row.missed} of {row.runs} runs")
    return row


def _keep(case: Case, trial: Trial, output: Path) -> None:
    output.mkdir(parents=True, exist_ok=True)
    path = output / f"{case.issuer}-{trial.seed}.jsonl"
    path.write_bytes(b"".join(encode(line) + b"\n" for line in trial.lines))
    named = ", ".join(sorted(trial.verdict.broken)) or "nothing"
    console.print(f"{case.issuer}, seed {trial.seed}: named {named}; see {path}", style="bold red")


def _table(rows: Iterable[Row]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("Issuer", "Mistake", "Must be named", "Runs", "Also named", "Seconds"):
        table.add_column(heading, justify="right" if heading in {"Runs", "Seconds"} else "left")
    for row in rows:
        table.add_row(
            row.case.issuer,
            row.case.mistake,
            row.rules,
            f"{row.runs - row.missed} of {row.runs}",
            row.others,
            f"{row.seconds / row.runs:.1f}",
            style="bold red" if row.missed else None,
        )
    return table


if __name__ == "__main__":
    main()
