"""Measures the service: `python -m bench [ROW ...]`, or `make bench`."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from bench import report
from bench.figures import Figure
from bench.load import LoadFailed, missing_tools
from bench.measures import throughput
from bench.options import Options
from bench.stand import Stand, stand

MEASURES: dict[str, Callable[[Stand, Options], Iterator[Figure]]] = {
    "a": throughput.against_empty,
    "b": throughput.against_empty_with_users,
    "d": throughput.against_plain,
    "k": throughput.cost,
    "curve": throughput.against_concurrency,
}
REPORT = Path("build/bench")


@click.command()
@click.argument("rows", nargs=-1, type=click.Choice(list(MEASURES)))
@click.option("--rounds", default=5, show_default=True, help="Rounds of each measure.")
@click.option("--seconds", default=3, show_default=True, help="Seconds of each run.")
def main(rows: tuple[str, ...], rounds: int, seconds: int) -> None:
    """Measure the ROWS, or everything, and print how they compare."""
    if missing := missing_tools():
        raise click.ClickException(" ".join(missing))
    options = Options(rounds=rounds, seconds=seconds)
    figures: list[Figure] = []
    try:
        with stand() as here:
            for row in rows or MEASURES:
                new = list(MEASURES[row](here, options))
                report.console.print(report.table(new))
                figures += new
                report.write(figures, REPORT / "bench.json")
    except LoadFailed as exc:
        raise click.ClickException(str(exc)) from exc
    report.console.print("\n", report.table(figures), sep="")
    sys.exit(any(figure.is_reached is False for figure in figures))


if __name__ == "__main__":
    main()
