"""When the callers of a stream arrive: by the clock, whatever becomes of those before them."""

import random
from collections.abc import Iterator


def arrivals(
    chance: random.Random, *, from_us: int, start_us: int, early_rate: float, rate: float
) -> Iterator[int]:
    """Yield for ever the instants at which callers arrive, in microseconds.

    They come at random (a Poisson process), `early_rate` a second before `start_us` and
    `rate` a second from then on.
    """
    due = float(from_us)
    while due < start_us:
        due += _gap_us(chance, early_rate)
        if due < start_us:
            yield int(due)
    due = float(max(from_us, start_us))
    while True:
        due += _gap_us(chance, rate)
        yield int(due)


def _gap_us(chance: random.Random, rate: float) -> float:
    return chance.expovariate(rate) * 1e6
