"""How the rush goes, in one line that is written anew each second."""

import shutil
from collections import Counter
from collections.abc import Iterable
from typing import TextIO

from loadtest.rush.lines import ISSUED, KINDS
from loadtest.rush.tally import Tally

_CLEAR_TO_END = "\x1b[K"


class Progress:
    """Writes the line; on a terminal over the one before."""

    def __init__(self, stream: TextIO, coupons: int) -> None:
        self._stream = stream
        self._coupons = coupons
        self._kinds: Counter[str] = Counter()
        self._is_terminal = stream.isatty()

    def show(self, tally: Tally, seconds: float) -> None:
        """Write what is known `seconds` after the start, and what the last second brought."""
        self._kinds += tally.kinds
        text = describe(tally, self._kinds, seconds, self._coupons)
        if self._is_terminal:
            width = shutil.get_terminal_size().columns
            self._stream.write(f"\r{text[: width - 1]}{_CLEAR_TO_END}")
        else:
            self._stream.write(f"{text}\n")
        self._stream.flush()

    def end(self) -> None:
        """Leave the last line standing."""
        if self._is_terminal:
            self._stream.write("\n")
            self._stream.flush()


def describe(last: Tally, kinds: Counter[str], seconds: float, coupons: int) -> str:
    """Return the line: the last second's rate and latencies, and all kinds of ends so far."""
    parts = [
        f"T{seconds:+.0f}s",
        f"{last.sent:,}/s sent",
        f"{kinds[ISSUED]:,} of {coupons:,} issued",
        *(f"{kinds[kind]:,} {kind}" for kind in _seen(kinds)),
        f"{errors(kinds):,} errors",
    ]
    p50, p99 = last.milliseconds(50), last.milliseconds(99)
    if p50 is not None and p99 is not None:
        parts.append(f"p50 {p50:.1f} ms p99 {p99:.1f} ms")
    return "  ".join(parts)


def _seen(kinds: Counter[str]) -> Iterable[str]:
    others = sorted(kinds.keys() - set(KINDS))
    return (kind for kind in (*KINDS[1:], *others) if kinds[kind])


def errors(kinds: Counter[str]) -> int:
    """Return how many calls came to an end that a rush does not provoke."""
    return sum(count for kind, count in kinds.items() if kind not in KINDS)
