"""Measures the service: `python -m bench [ROW ...]`, or `make bench`."""

import importlib.util
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import click

from bench import estimates, report, results
from bench.figures import Figure
from bench.load import LoadFailed, missing_tools
from bench.measures import latency, lifecycle, opening, reading, refusals, storing, throughput
from bench.options import Options
from bench.stand import Stand, stand

MEASURES: dict[str, Callable[[Stand, Options], Iterator[Figure]]] = {
    "a": throughput.against_empty,
    "b": throughput.against_empty_with_users,
    "c": refusals.against_refusing,
    "d": throughput.against_plain,
    "e": storing.against_plain,
    "f": storing.on_large_tables,
    "g": latency.against_empty,
    "h": opening.first_coupon,
    "i": reading.against_driver,
    "j": latency.beside_reads,
    "k": throughput.cost,
    "l": lifecycle.start_and_stop,
    "curve": throughput.against_concurrency,
}
FOLDER = Path("build/bench")
RESULTS = "bench.json"
DEFAULTS = Options()
QUICK = Options(rounds=2, seconds=1, latency_seconds=3, stored_coupons=50_000)
QUICK_WARNING = "Quick runs show that everything runs; their figures mean little."
AT_LEAST_1 = click.IntRange(min=1)


def _listed_rows() -> str:
    """Return the rows for the help, one on a line."""
    lines = [f"  {row:<8}{_said(measure)}" for row, measure in MEASURES.items()]
    return "\b\nROWS:\n" + "\n".join(lines)


def _said(measure: Callable[..., object]) -> str:
    """Return what the first line of a measure's docstring says after "Row x: "."""
    first, *_ = (measure.__doc__ or "").splitlines()
    return first.removesuffix(".").partition(": ")[2] or first


@click.command(epilog=_listed_rows())
@click.argument("rows", nargs=-1, type=click.Choice(list(MEASURES)), metavar="[ROW]...")
@click.option(
    "--rounds",
    type=AT_LEAST_1,
    metavar="N",
    help=f"Rounds of each measure.  [default: {DEFAULTS.rounds}]",
)
@click.option(
    "--seconds",
    type=AT_LEAST_1,
    metavar="N",
    help=f"Seconds of each run.  [default: {DEFAULTS.seconds}]",
)
@click.option(
    "--latency-seconds",
    type=AT_LEAST_1,
    metavar="N",
    help=f"Seconds of each run at a constant rate.  [default: {DEFAULTS.latency_seconds}]",
)
@click.option(
    "--stored-coupons",
    type=AT_LEAST_1,
    metavar="N",
    help=f"Coupons in the large tables.  [default: {DEFAULTS.stored_coupons}]",
)
@click.option("--quick", is_flag=True, help="Few and short runs, to see that everything runs.")
@click.option("--strict", is_flag=True, help="Exit with status 1 if a target is not reached.")
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=FOLDER,
    show_default=True,
    help="Where the results and the charts go.",
)
def main(
    rows: tuple[str, ...],
    output: Path,
    *,
    quick: bool,
    strict: bool,
    **chosen: int | None,
) -> None:
    """Measure the service beside its yardsticks, and print how they compare.

    Without a ROW, everything is measured. Needs wrk and oha. What is measured runs on
    this machine's loopback; do nothing else on it meanwhile.
    """
    if missing := missing_tools():
        raise click.ClickException("\n".join(missing))
    given = {name: value for name, value in chosen.items() if value is not None}
    options = replace(QUICK if quick else DEFAULTS, **given)
    # So that what it started is stopped with it.
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(1))
    run = results.begin(options)
    try:
        _measure(rows or tuple(MEASURES), run, output / RESULTS, quick=quick)
    except LoadFailed as exc:
        raise click.ClickException(str(exc)) from exc
    _finish(run, output, quick=quick)
    sys.exit(exit_status(run.figures, strict=strict))


def exit_status(figures: Iterable[Figure], *, strict: bool) -> int:
    """Return 0, since to have measured is a success; only if `strict`, 1 for a missed target."""
    return int(strict and any(figure.is_reached is False for figure in figures))


def _measure(rows: tuple[str, ...], run: results.Results, path: Path, *, quick: bool) -> None:
    """Measure rows, and save what is known after each."""
    tell = report.progress.print
    whole = estimates.seconds(rows, run.options)
    tell(f"Measuring {', '.join(rows)}: about {estimates.spoken(whole)}.")
    if quick:
        tell(QUICK_WARNING)
    with stand() as here:
        for row in rows:
            seconds = estimates.seconds([row], run.options)
            tell(f"{row}: {_said(MEASURES[row])}; about {estimates.spoken(seconds)}")
            new = list(MEASURES[row](here, run.options))
            if len(rows) > 1:  # otherwise it is all that is printed at the end
                tell(report.table(new), "")
            run.figures.extend(new)
            results.write(run, path)


def _finish(run: results.Results, output: Path, *, quick: bool) -> None:
    """Print all figures, draw the charts, and say where they are."""
    report.console.print(report.table(run.figures))
    report.console.print("", report.summary(run.figures), report.conditions(run), sep="\n")
    if quick:
        report.console.print(QUICK_WARNING)
    paths = [output / RESULTS, *_draw(run, output)]
    report.progress.print("Written:", ", ".join(str(path) for path in paths))


def _draw(run: results.Results, folder: Path) -> list[Path]:
    """Draw the charts if there is what draws them, and return their files."""
    if importlib.util.find_spec("matplotlib") is None:
        report.progress.print("No charts were drawn: matplotlib is missing; make bench brings it.")
        return []
    from bench import charts  # noqa: PLC0415 # only now is it known that it can be imported

    return charts.draw(run.figures, folder)


if __name__ == "__main__":
    main()
