"""Draws the charts: `python -m bench.charts build/bench/bench.json docs/charts`.

The only module that needs matplotlib, which `make bench` installs.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import click
import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from bench import results, series
from bench.figures import Figure
from bench.series import Point, Series

WIDTH_INCHES, HEIGHT_INCHES = 7.6, 4.2
INK, QUIET, RULE = "#222222", "#666666", "#e4e4e4"
STYLE = {
    # Text as outlines: a page that shows the file as an image gives it no fonts.
    "svg.fonttype": "path",
    # Without it the names inside the file are different each time.
    "svg.hashsalt": "coupon-service",
    "font.family": "DejaVu Sans",  # matplotlib brings it
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": QUIET,
    "axes.edgecolor": RULE,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlepad": 28,
    "grid.color": RULE,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "lines.linewidth": 2,
    "lines.markersize": 6,
    "lines.solid_capstyle": "round",
    "figure.facecolor": "white",
}
# Okabe and Ito's colours, which those who see fewer colours can tell apart; the marker
# says it once more.
LOOKS = (("#0072B2", "o"), ("#D55E00", "s"), ("#009E73", "^"), ("#CC79A7", "D"))
YARDSTICK_LOOK = ("#767676", "v")
LINE = "Line: median of the rounds."
BAND = "Band: from the lowest to the highest round."
# The names of the series, as a reader knows them.
NAMES = {
    "empty": "empty RPC",
    "grouped": "this service",
    "issuing": "this service",
    "plain": "one transaction a claim",
    "empty_per_second": "empty tables",
    "coupons a second in the store alone": "tables of this size",
}
WHOLE = FuncFormatter(lambda value, _: f"{value:,.0f}")
NAME_GAP = 0.06  # of the height, between two lines' names


def draw(figures: Sequence[Figure], folder: Path) -> list[Path]:
    """Draw every chart of which there are figures, and return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, chart in CHARTS.items():
        with matplotlib.style.context(["default", STYLE]):
            canvas = chart(figures)
            if canvas is not None:
                written.append(folder / f"{name}.svg")
                canvas.savefig(written[-1], metadata={"Date": None, "Creator": None})
    return written


def concurrency(figures: Sequence[Figure]) -> Canvas | None:
    """Draw throughput against the number of connections."""
    lines = series.along(figures, "curve", "connections")
    if not lines:
        return None
    canvas, axes = _canvas("Throughput of IssueCoupon against concurrency")
    axes.set_xscale("log", base=2)
    axes.set_xlabel("connections, each of which calls again as soon as it is answered")
    axes.set_ylabel("calls a second")
    _draw_lines(axes, lines)
    measured = sorted({point.at for points in lines.values() for point in points})
    axes.set_xticks(measured, [f"{connections:,.0f}" for connections in measured])
    axes.xaxis.set_minor_locator(NullLocator())
    return canvas


def growth(figures: Sequence[Figure]) -> Canvas | None:
    """Draw the store's throughput against the coupons that are stored already."""
    lines = {
        **series.beside(figures, "growth", "stored_coupons", "empty_per_second"),
        **series.along(figures, "growth", "stored_coupons"),
    }
    if not lines:
        return None
    canvas, axes = _canvas("Throughput of the store against its size")
    axes.set_xlabel("coupons stored already")
    axes.set_ylabel("coupons a second")
    axes.xaxis.set_major_formatter(WHOLE)
    _draw_lines(axes, lines)
    return canvas


def latency(figures: Sequence[Figure]) -> Canvas | None:
    """Draw percentiles of latency at a constant rate."""
    lines = series.percentiles(figures, "g")
    if not lines:
        return None
    canvas, axes = _canvas(f"Latency of IssueCoupon at {series.rate_said(figures, 'g')}")
    axes.set_xlabel("percentile of the calls")
    axes.set_ylabel("milliseconds")
    axes.set_yscale("log")
    _draw_lines(axes, {name: [series.by_nines(p) for p in line] for name, line in lines.items()})
    every = sorted({point.at for line in lines.values() for point in line})
    axes.set_xticks([series.nines(at) for at in every], [f"{at:g}%" for at in every])
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.yaxis.set_minor_locator(NullLocator())
    return canvas


CHARTS: dict[str, Callable[[Sequence[Figure]], Canvas | None]] = {
    "concurrency": concurrency,
    "growth": growth,
    "latency": latency,
}


def _canvas(title: str) -> tuple[Canvas, Axes]:
    canvas = Canvas(figsize=(WIDTH_INCHES, HEIGHT_INCHES), layout="constrained")
    axes = canvas.add_subplot()
    axes.set_title(title)
    axes.yaxis.set_major_formatter(WHOLE)
    return canvas, axes


def _draw_lines(axes: Axes, lines: Series) -> None:
    """Draw each series as a line, its spread as a band around it, and its name at its end."""
    looks = _looks(lines)
    has_spread = any(p.lowest < p.highest for points in lines.values() for p in points)
    legend = f"{LINE} {BAND}" if has_spread else LINE
    axes.text(0, 1.03, legend, transform=axes.transAxes, color=QUIET, fontsize=9)
    for name, points in lines.items():
        colour, marker = looks[name]
        at = [point.at for point in points]
        lowest, highest = [p.lowest for p in points], [p.highest for p in points]
        axes.fill_between(at, lowest, highest, color=colour, alpha=0.18, linewidth=0)
        axes.plot(at, [point.median for point in points], color=colour, marker=marker)
    if axes.get_yscale() == "linear":
        axes.set_ylim(bottom=0)
    axes.set_ylim(axes.get_ylim())  # settled, so that the names can be placed by it
    _name_ends(axes, {name: points[-1] for name, points in lines.items()}, looks)


def _looks(names: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Return a colour and a marker for each name: the yardstick that does nothing is grey."""
    others = iter(LOOKS)
    return {name: YARDSTICK_LOOK if name.startswith("empty") else next(others) for name in names}


def _name_ends(axes: Axes, ends: dict[str, Point], looks: dict[str, tuple[str, str]]) -> None:
    """Write each line's name beside its end, as far from the others as it takes to read it."""
    shares = [_share_of_height(axes, end) for end in ends.values()]
    for (name, end), share in zip(ends.items(), series.apart(shares, NAME_GAP), strict=True):
        axes.annotate(
            NAMES.get(name, name),
            (end.at, share),
            xycoords=("data", "axes fraction"),
            xytext=(10, 0),
            textcoords="offset points",
            va="center",
            color=looks[name][0],
            fontweight="bold",
        )


def _share_of_height(axes: Axes, point: Point) -> float:
    """Return how far up a point is, from 0 to 1."""
    to_share = axes.transData + axes.transAxes.inverted()
    return float(to_share.transform((point.at, point.median))[1])


@click.command()
@click.argument("path", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def main(path: Path, folder: Path) -> None:
    """Draw the charts of the results in PATH, a bench.json, into FOLDER."""
    for written in draw(results.read(path).figures, folder):
        click.echo(str(written))


if __name__ == "__main__":
    main()
