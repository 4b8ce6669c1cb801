"""How the rush goes, in one line that is written anew each second."""

import shutil
from collections import Counter
from typing import TextIO

from loadtest.rush.lines import ISSUED, KINDS, REFUSALS, REPEAT
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
    """Return the line: the last second's rate and latencies, and what calls came to so far.

    What matters most comes first, since a terminal may be too narrow for all of it. Those
    who went without an answer, as a rush lets them, are left to the report.
    """
    parts = [
        f"T{seconds:+.0f}s",
        f"{last.sent:,}/s",
        f"{kinds[ISSUED]:,} of {coupons:,} issued",
        f"{errors(kinds):,} errors{_which(kinds)}",
    ]
    p50, p99 = last.milliseconds(50), last.milliseconds(99)
    if p50 is not None and p99 is not None:
        parts.append(f"p50 {_short(p50)} p99 {_short(p99)} ms")
    refused = sum(kinds[kind] for kind in REFUSALS)
    counts = {"repeat": kinds[REPEAT], "refused": refused}
    parts += [f"{count:,} {name}" for name, count in counts.items() if count]
    return "  ".join(parts)


def _which(kinds: Counter[str]) -> str:
    found = [f"{kinds[kind]:,} {kind}" for kind in sorted(kinds.keys() - set(KINDS)) if kinds[kind]]
    return f" ({', '.join(found)})" if found else ""


def _short(milliseconds: float) -> str:
    return f"{milliseconds:.1f}" if milliseconds < 100 else f"{milliseconds:,.0f}"


def errors(kinds: Counter[str]) -> int:
    """Return how many calls came to an end that a rush does not provoke."""
    return sum(count for kind, count in kinds.items() if kind not in KINDS)
