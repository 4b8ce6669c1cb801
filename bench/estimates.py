"""How long it takes to measure: estimates from the number and the length of the runs."""

from collections.abc import Callable, Iterable

from bench.options import Options

SERVERS_SECONDS = 4  # the servers of a row, until they are ready and until they have stopped
RUN_SECONDS = 0.5  # what a run takes beside its load
STORE_RUN_SECONDS = 1.5  # the same in the store alone, where it is a warm-up
FILLED_PER_SECOND = 40_000

Estimate = Callable[[Options], float]


def _runs(count: int, *, beside_seconds: float = RUN_SECONDS) -> Estimate:
    """Return an estimate for so many runs a round."""
    return lambda options: options.rounds * count * (options.seconds + beside_seconds)


def _latency_runs(count: int, *, seconds_max: float) -> Estimate:
    """Return an estimate for so many runs a round at a constant rate."""
    return lambda options: (
        options.rounds * count * (min(options.latency_seconds, seconds_max) + RUN_SECONDS)
    )


SECONDS: dict[str, Estimate] = {
    "a": _runs(4),
    "b": _runs(4),
    "c": _runs(12, beside_seconds=2),
    "d": _runs(4),
    "e": _runs(3, beside_seconds=STORE_RUN_SECONDS),
    "f": lambda options: (
        # filled to a tenth, to a half and whole, from nothing each time
        1.6 * options.stored_coupons / FILLED_PER_SECOND
        + _runs(8, beside_seconds=STORE_RUN_SECONDS)(options)
    ),
    "g": _latency_runs(2, seconds_max=float("inf")),
    "h": lambda _: 50,
    "i": lambda options: 1_000_000 / FILLED_PER_SECOND + 6 * options.rounds,
    "j": _latency_runs(3, seconds_max=10),
    "k": _runs(2),
    "l": lambda options: 8 + 6 * options.rounds,
    "curve": _runs(18),
}


def seconds(rows: Iterable[str], options: Options) -> float:
    """Return how many seconds measuring some rows will take, roughly."""
    return sum(SERVERS_SECONDS + SECONDS[row](options) for row in rows)


def spoken(seconds: float) -> str:
    """Return a duration as people say it."""
    if seconds < 90:
        return f"{max(10, round(seconds / 10) * 10)} seconds"
    return f"{round(seconds / 60)} minutes"
