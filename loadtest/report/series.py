"""What the charts show, as numbers against seconds since the start."""

from collections import Counter, defaultdict
from dataclasses import dataclass

from loadtest.report.figures import SECOND_US, Facts, percentile
from loadtest.rush.lines import KINDS, Arrival

OTHER = "error"
# So wide is a step of the charts, for bursts up to so many seconds.
_STEPS = ((15, 0.25), (60, 0.5), (300, 2.0))
_WIDEST = 10.0
ZOOM_SECONDS = (-0.05, 0.25)
# A chart shows no more than so many points of a curve.
POINTS_MAX = 800


@dataclass(frozen=True, slots=True)
class Steps:
    """Values for each step; `at` are the steps' beginnings in seconds since the start."""

    width: float
    at: list[float]
    values: dict[str, list[float]]


def step_width(seconds: float) -> float:
    """Return how many seconds a step of the charts stands for."""
    return next((width for most, width in _STEPS if seconds <= most), _WIDEST)


def issued(facts: Facts) -> tuple[list[float], list[int]]:
    """Return when coupons were issued, and how many there were then."""
    counted = [(us / SECOND_US, count) for count, us in enumerate(facts.issue_us, 1)]
    return _columns(_thinned(counted))


def opening(facts: Facts) -> tuple[list[float], list[int]]:
    """Return the same for the time around the start, in milliseconds."""
    near_us = ZOOM_SECONDS[1] * SECOND_US
    counted = [(us / 1000, count) for count, us in enumerate(facts.issue_us, 1) if us <= near_us]
    return _columns(_thinned(counted))


def _columns(counted: list[tuple[float, int]]) -> tuple[list[float], list[int]]:
    return [at for at, _ in counted], [count for _, count in counted]


def _thinned(points: list[tuple[float, int]]) -> list[tuple[float, int]]:
    """Return so many of the points as a chart can show, the first and the last among them."""
    step = -(-len(points) // POINTS_MAX) or 1
    return points[::step] + points[-1:] if step > 1 else points


def answers(facts: Facts) -> Steps:
    """Return how many calls a second came to each kind of end."""
    ended = [(_seconds(facts, line), line.kind) for line in facts.arrivals]
    width = step_width(_span(ended))
    counts: dict[int, Counter[str]] = defaultdict(Counter)
    for seconds, kind in ended:
        counts[int(seconds // width)][kind if kind in KINDS else OTHER] += 1
    steps = range(min(counts, default=0), max(counts, default=-1) + 1)
    kinds = [k for k in (*KINDS, OTHER) if any(counts[step][k] for step in steps)]
    return Steps(
        width,
        [step * width for step in steps],
        {kind: [counts[step][kind] / width for step in steps] for kind in kinds},
    )


def latency(facts: Facts) -> Steps:
    """Return percentiles of the latencies of the calls that were due in each step."""
    taken = [
        ((line.due_us - facts.start_us) / SECOND_US, line.latency_us)
        for line in facts.arrivals
        if line.due_us is not None and line.latency_us is not None
    ]
    width = step_width(_span(taken))
    groups: dict[int, list[int]] = defaultdict(list)
    for seconds, latency_us in taken:
        groups[int(seconds // width)].append(latency_us)
    steps = sorted(groups)
    for group in groups.values():
        group.sort()
    return Steps(
        width,
        [step * width for step in steps],
        {
            f"p{percent}": [percentile(groups[step], percent) / 1000 for step in steps]
            for percent in (50, 90, 99)
        },
    )


def _seconds(facts: Facts, line: Arrival) -> float:
    ended_us = line.sent_us if line.answered_us is None else line.answered_us
    return (ended_us - facts.start_us) / SECOND_US


def _span(points: list[tuple[float, str]] | list[tuple[float, int]]) -> float:
    times = [point[0] for point in points]
    return max(times) - min(times) if times else 0.0
