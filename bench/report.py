"""What a person reads of the figures: a table for the terminal, and one in Markdown.

`python -m bench.report build/bench/bench.json` prints the Markdown.
"""

import math
import re
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from bench import results
from bench.figures import Figure

console = Console(highlight=False)
progress = Console(highlight=False, stderr=True)

WIDE_COLUMNS = 100
SHORT_UNIT = 4  # characters
HEADINGS = ("row", "measure", "median", "spread", "target", "")
VERDICTS = {None: "", True: "reached", False: "missed"}
STYLES = {None: "", True: "green", False: "bold red"}
# What the names of the figures beside a figure end with, and the unit that it stands for.
PERCENTILE = re.compile(r"_(p[\d.]+)_")
UNITS = {
    "_per_second": "/s",
    "_microseconds": "µs",
    "_us": "µs",
    "_ms": "ms",
    "_seconds": "s",
    "_mb": "MB",
}


def number(value: float, unit: str = "", *, decimals: int | None = None) -> str:
    """Return a value with its unit, to three significant digits unless told otherwise."""
    places = _decimals([value]) if decimals is None else decimals
    separator = " " if unit and not unit.startswith("/") else ""
    return f"{value:,.{places}f}{separator}{unit}"


def _decimals(values: Sequence[float]) -> int:
    """Return how many decimals show three significant digits of the largest value."""
    largest = max(abs(value) for value in values)
    if all(float(value).is_integer() for value in values):
        return 0
    return max(0, min(4, 2 - math.floor(math.log10(largest))))


def spread(figure: Figure) -> str:
    """Return the lowest and the highest round of a figure, without their unit."""
    decimals = _decimals([figure.median]) or _decimals(figure.values)
    lowest, highest = min(figure.values), max(figure.values)
    return f"{number(lowest, decimals=decimals)} to {number(highest, decimals=decimals)}"


def target(figure: Figure) -> str:
    """Return what a figure is to reach, with its unit."""
    return f"{figure.target} {_short_unit(figure)}".rstrip() if figure.target else ""


def title(figure: Figure) -> str:
    """Return what a figure is called, with its unit if that is too long to stand by a number."""
    return figure.title if figure.unit == _short_unit(figure) else f"{figure.title} ({figure.unit})"


def _short_unit(figure: Figure) -> str:
    return figure.unit if len(figure.unit) <= SHORT_UNIT else ""


def beside(figure: Figure) -> str:
    """Return the figures beside a figure, but for those that its title leaves nothing to say of."""
    told = (_named(*item) for item in figure.beside.items() if _is_news(*item, figure.title))
    return ", ".join(told)


def _named(name: str, value: float) -> str:
    suffix = _suffix(name)
    label = name.removesuffix(suffix).replace("_", " ")
    return f"{label} {number(value, UNITS.get(suffix, ''))}"


def _suffix(name: str) -> str:
    return next((end for end in UNITS if name.endswith(end)), "")


def _is_news(name: str, value: float, title: str) -> bool:
    """Tell whether the title neither says this already nor is about another percentile."""
    words = [word.rstrip(",") for word in title.split()]
    percentile = PERCENTILE.search(name)
    if percentile and any(PERCENTILE.search(f"_{word}_") for word in words):
        return percentile[1] in words and not name.endswith(("_lowest_ms", "_highest_ms"))
    return bool(_suffix(name)) or not {number(value), f"{value:g}"} & set(words)


def table(figures: Iterable[Figure]) -> Table:
    """Return the figures as a table for the terminal, grouped by row."""
    gap = 2 if console.width >= WIDE_COLUMNS else 1
    grid = Table(box=None, pad_edge=False, padding=(0, gap, 0, 0))
    for heading in HEADINGS:
        is_number = heading in {"median", "spread", "target"}
        grid.add_column(
            heading, justify="right" if is_number else "left", no_wrap=heading != "measure"
        )
    for place, (row, group) in enumerate(groupby(figures, key=lambda figure: figure.row)):
        if place:
            grid.add_row()
        for number_in_row, figure in enumerate(group):
            _add(grid, "" if number_in_row else row, figure)
    return grid


def _add(grid: Table, row: str, figure: Figure) -> None:
    more = f"\n[dim]{text}[/]" if (text := beside(figure)) else ""
    style = STYLES[figure.is_reached]
    verdict = VERDICTS[figure.is_reached]
    grid.add_row(
        row,
        title(figure) + more,
        number(figure.median, _short_unit(figure)),
        spread(figure),
        target(figure),
        f"[{style}]{verdict}[/]" if style else "",
    )


def summary(figures: Iterable[Figure]) -> str:
    """Return one sentence about how many targets were reached, and which were not."""
    aimed = [figure for figure in figures if figure.target is not None]
    missed = [f"{figure.row} ({figure.title})" for figure in aimed if not figure.is_reached]
    reached = f"{len(aimed) - len(missed)} of {len(aimed)} targets reached"
    return f"{reached}; not reached: {'; '.join(missed)}" if missed else f"{reached}."


def as_markdown(run: results.Results) -> str:
    """Return results as a table in Markdown, with what they were measured on below it."""
    lines = [
        "| row | measure | median | spread | target | | beside |",
        "|---|---|--:|--:|--:|---|---|",
    ]
    for figure in run.figures:
        cells = (
            figure.row,
            title(figure),
            number(figure.median, _short_unit(figure)),
            spread(figure),
            target(figure),
            VERDICTS[figure.is_reached],
            beside(figure),
        )
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join([*lines, "", summary(run.figures), "", conditions(run), ""])


def conditions(run: results.Results) -> str:
    """Return one sentence about how, when and on what was measured."""
    on = run.machine
    return (
        f"Medians of {run.options.rounds} rounds of {run.options.seconds} s, measured on "
        f"{run.measured_at[:10]}: {on['system']}, {on['processors']} processors, "
        f"{on['memory_gb']} GB of memory, Python {on['python']}."
    )


@click.command()
@click.argument("path", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def main(path: Path) -> None:
    """Print the results in PATH, a bench.json, as Markdown."""
    click.echo(as_markdown(results.read(path)), nl=False)


if __name__ == "__main__":
    main()
