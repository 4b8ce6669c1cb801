"""What the charts show, taken from the figures: series of points with their spread."""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from bench.figures import Figure

# A percentile of a latency beside a figure: empty_p50_ms, issuing_p99.9_ms. Its spread,
# where that is given, is empty_p50_lowest_ms and empty_p50_highest_ms.
PERCENTILE = re.compile(r"(?P<stem>(?P<name>\w+)_p(?P<percentile>[\d.]+))_ms")

RATE = re.compile(r"([\d,]+)/s")


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """A median at a place, between the lowest and the highest round."""

    at: float
    lowest: float
    median: float
    highest: float


Series = dict[str, list[Point]]


def along(figures: Iterable[Figure], row: str, quantity: str) -> Series:
    """Return a row's figures as points along a quantity beside them, by name.

    The name is what the title says before its first comma.
    """
    found: Series = {}
    for figure in figures:
        if figure.row == row and quantity in figure.beside:
            found.setdefault(figure.title.partition(",")[0], []).append(
                Point(
                    at=figure.beside[quantity],
                    lowest=min(figure.values),
                    median=figure.median,
                    highest=max(figure.values),
                )
            )
    return {name: sorted(points, key=lambda point: point.at) for name, points in found.items()}


def beside(figures: Iterable[Figure], row: str, quantity: str, name: str) -> Series:
    """Return what stands beside a row's figures under a name, along another such quantity."""
    points = [
        Point(
            at=figure.beside[quantity],
            lowest=figure.beside[name],
            median=figure.beside[name],
            highest=figure.beside[name],
        )
        for figure in figures
        if figure.row == row and {quantity, name} <= figure.beside.keys()
    ]
    return {name: sorted(points, key=lambda point: point.at)} if points else {}


def percentiles(figures: Iterable[Figure], row: str) -> Series:
    """Return the latencies beside a row's figures as points along their percentiles, by name."""
    told = {k: v for figure in figures if figure.row == row for k, v in figure.beside.items()}
    found: Series = {}
    for key, median in told.items():
        if match := PERCENTILE.fullmatch(key):
            found.setdefault(match["name"], []).append(
                Point(
                    at=float(match["percentile"]),
                    lowest=told.get(f"{match['stem']}_lowest_ms", median),
                    median=median,
                    highest=told.get(f"{match['stem']}_highest_ms", median),
                )
            )
    return {name: sorted(points, key=lambda point: point.at) for name, points in found.items()}


def rate_said(figures: Iterable[Figure], row: str) -> str:
    """Return the rate of calls that the titles of a row speak of."""
    titles = (figure.title for figure in figures if figure.row == row)
    found = next((match for title in titles if (match := RATE.search(title))), None)
    return f"{found[1]} calls a second" if found else "a constant rate"


def nines(percentile: float) -> float:
    """Return where a percentile stands when 90, 99 and 99.9 are to be equally far apart."""
    return -math.log10(1 - percentile / 100)


def by_nines(point: Point) -> Point:
    """Return a point at its percentile's nines."""
    return replace(point, at=nines(point.at))


def apart(heights: Sequence[float], gap: float) -> list[float]:
    """Return heights in the same order, moved up where they are less than a gap apart."""
    moved = list(heights)
    by_height = sorted(range(len(heights)), key=heights.__getitem__)
    for lower, upper in pairwise(by_height):
        moved[upper] = max(moved[upper], moved[lower] + gap)
    return moved
