"""Draws the charts, as SVG to be put into a page that decides on light or dark."""

import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from loadtest.report import series
from loadtest.report.figures import Facts
from loadtest.rush.lines import (
    DEADLINE,
    HUNG_UP,
    ISSUED,
    NOT_STARTED,
    REPEAT,
    SOLD_OUT,
    UNKNOWN,
)

WIDTH_INCHES, HEIGHT_INCHES = 5.6, 3.3
# Colours that nothing else has, each to become a variable of the page's.
INK, QUIET, RULE = "#010203", "#020304", "#030405"
BLUE = "#040506"
VARIABLES = {INK: "--ink", QUIET: "--quiet", RULE: "--rule", BLUE: "--blue"}
# Okabe and Ito's colours, which those who see fewer colours can tell apart; their blue
# depends on what it stands on.
SKY, GREEN, ORANGE, YELLOW, PINK, GREY, RED = (
    "#56B4E9",
    "#009E73",
    "#E69F00",
    "#F0E442",
    "#CC79A7",
    "#9A9A9A",
    "#D55E00",
)
COLOURS = {
    ISSUED: BLUE,
    REPEAT: SKY,
    SOLD_OUT: GREY,
    NOT_STARTED: PINK,
    DEADLINE: ORANGE,
    UNKNOWN: YELLOW,
    HUNG_UP: GREEN,
    series.OTHER: RED,
}
PERCENTILE_COLOURS = {"p50": BLUE, "p90": ORANGE, "p99": RED}
STYLE = {
    "svg.fonttype": "path",  # the page may be read anywhere, and brings no fonts
    "svg.hashsalt": "rush",
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": QUIET,
    "axes.edgecolor": RULE,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.xmargin": 0.01,
    "grid.color": RULE,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "lines.linewidth": 1.8,
    "figure.facecolor": "none",
    "legend.frameon": False,
    "legend.fontsize": 9,
}
_IDS = re.compile(r"""( id="|href="#|url\(#)""")
WHOLE = FuncFormatter(lambda value, _: f"{value:,.0f}")
PLAIN = FuncFormatter(lambda value, _: f"{value:,g}".replace("-", "−"))  # noqa: RUF001 # a minus


def colour(kind: str) -> str:
    """Return the colour of a kind as the page's style has it."""
    chosen = COLOURS.get(kind, COLOURS[series.OTHER])
    return f"var({VARIABLES[chosen]})" if chosen in VARIABLES else chosen


def draw(facts: Facts) -> dict[str, str]:
    """Return every chart as SVG, by its name."""
    charts: dict[str, Callable[[Axes, Facts], None]] = {
        "issued": _issued,
        "opening": _opening,
        "answers": _answers,
        "latency": _latency,
    }
    return {name: _svg(name, chart, facts) for name, chart in charts.items()}


def _svg(name: str, chart: Callable[[Axes, Facts], None], facts: Facts) -> str:
    with _canvas() as (canvas, axes):
        chart(axes, facts)
        buffer = io.StringIO()
        canvas.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    for colour, variable in VARIABLES.items():
        text = text.replace(colour, f"var({variable})")
    # Several stand in one page, whose ids must differ.
    text = _IDS.sub(rf"\g<1>{name}-", text)
    return text.replace("<svg ", '<svg role="img" ', 1)


@contextmanager
def _canvas() -> Iterator[tuple[Canvas, Axes]]:
    with matplotlib.style.context(["default", STYLE]):
        canvas = Canvas(figsize=(WIDTH_INCHES, HEIGHT_INCHES), layout="constrained")
        axes = canvas.add_subplot()
        axes.yaxis.set_major_formatter(WHOLE)
        axes.yaxis.set_major_locator(
            MaxNLocator(nbins="auto", steps=[1, 2, 2.5, 5, 10], integer=True)
        )
        yield canvas, axes


def _issued(axes: Axes, facts: Facts) -> None:
    """Coupons issued against time."""
    at, count = series.issued(facts)
    last = at[-1] if at else 1.0
    axes.axhline(facts.limit, color=QUIET, linewidth=1, linestyle=(0, (4, 3)))
    axes.annotate(
        f"{facts.limit:,} coupons",
        (1, facts.limit),
        xycoords=("axes fraction", "data"),
        xytext=(0, 4),
        textcoords="offset points",
        ha="right",
        color=QUIET,
    )
    _mark_start(axes)
    axes.step([0, *at], [0, *count], where="post", color=BLUE)
    axes.fill_between([0, *at], [0, *count], step="post", color=BLUE, alpha=0.15, linewidth=0)
    axes.set_xlim(-0.06 * last, last * 1.08)
    axes.set_ylim(0, facts.limit * 1.12)
    axes.xaxis.set_major_formatter(PLAIN)
    axes.set_xlabel("seconds since the start")


def _opening(axes: Axes, facts: Facts) -> None:
    """The same, around the start."""
    first, last = (1000 * seconds for seconds in series.ZOOM_SECONDS)
    at, count = series.opening(facts)
    _mark_start(axes)
    if at:
        axes.step([0, *at], [0, *count], where="post", color=BLUE, alpha=0.5)
        axes.scatter(at, count, s=7, color=BLUE, linewidth=0, zorder=3)
        _point_at_first(axes, at[0], count[0])
    axes.set_xlim(first, last)
    axes.set_ylim(0, max(10, *count[-1:], 0) * 1.12)
    axes.set_xlabel("milliseconds since the start, by the database's clock")


def _point_at_first(axes: Axes, milliseconds: float, count: int) -> None:
    axes.annotate(
        f"first coupon\nafter {milliseconds:,.2f} ms",
        (milliseconds, count),
        xycoords="data",
        xytext=(0.3, 0.8),
        textcoords="axes fraction",
        ha="center",
        va="center",
        fontweight="bold",
        arrowprops={"arrowstyle": "-", "color": QUIET, "shrinkB": 3},
    )


def _answers(axes: Axes, facts: Facts) -> None:
    """Answers a second by kind, stacked."""
    steps = series.answers(facts)
    if not steps.values:
        return _say(axes, "no call was sent")
    floor = [0.0] * len(steps.at)
    for kind, values in steps.values.items():
        axes.bar(
            steps.at,
            values,
            width=steps.width,
            bottom=floor,
            align="edge",
            color=COLOURS[kind],
            linewidth=0,
            label=kind,
        )
        floor = [low + value for low, value in zip(floor, values, strict=True)]
    axes.set_ylim(0, max(floor, default=1) * 1.08 or 1)
    _mark_start(axes)
    axes.xaxis.set_major_formatter(PLAIN)
    axes.set_xlabel("seconds since the start")
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(-0.09, 1.0),
        ncols=4,
        handlelength=0.8,
        handleheight=0.8,
        columnspacing=1.2,
        handletextpad=0.5,
        borderaxespad=0.2,
    )
    return None


def _latency(axes: Axes, facts: Facts) -> None:
    """Percentiles of latency against time."""
    steps = series.latency(facts)
    if not steps.at:
        return _say(axes, "no call was answered")
    middle = [at + steps.width / 2 for at in steps.at]
    for name, values in steps.values.items():
        axes.plot(middle, values, color=PERCENTILE_COLOURS[name], label=name)
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(PLAIN)
    axes.yaxis.set_minor_locator(NullLocator())
    _mark_start(axes)
    axes.xaxis.set_major_formatter(PLAIN)
    axes.set_xlabel("seconds since the start, by when calls were due")
    axes.set_ylabel("milliseconds")
    axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=3, borderaxespad=0.2)
    return None


def _say(axes: Axes, why: str) -> None:
    """Say why there is nothing to draw, instead of axes that measure nothing."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, why, transform=axes.transAxes, ha="center", va="center", color=QUIET)


def _mark_start(axes: Axes) -> None:
    axes.axvline(0, color=INK, linewidth=1)
    axes.annotate(
        "start",
        (0, 0.86),
        xycoords=("data", "axes fraction"),
        xytext=(-3, 0),
        textcoords="offset points",
        ha="right",
        va="top",
        color=QUIET,
        rotation=90,
        fontsize=9,
    )
