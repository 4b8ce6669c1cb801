"""Words and numbers as the report has them, in the terminal and on the page."""

from collections.abc import Sequence

import msgspec

from loadtest.checker import Verdict
from loadtest.history import Line, Read, Stored, encode


def milliseconds(value: float) -> str:
    """Return a number of milliseconds to about three digits."""
    if value < 10:
        return f"{value:,.2f}"
    return f"{value:,.1f}" if value < 100 else f"{value:,.0f}"


def percent_name(percent: float) -> str:
    """Return what a percentile is called: p99.9."""
    return f"p{percent:g}"


NO_VERDICT = "No verdict: a part of the history is missing."
WHY_NO_VERDICT = (
    "A coupon whose answer is missing looks like one that nobody asked for, so what follows "
    "proves nothing."
)
WHAT_COUNTS = (
    "Operations are all calls, the campaign, each time it was read, and its rows. Latencies are "
    "those of calls that were due from the start on and were answered: the early ones, those "
    "whose callers had gone, and those after the burst are left out. A coupon whose caller had "
    "gone is one of the coupons that were issued, but its call does not count as issued."
)
GOOD, WARN, BAD = "good", "warn", "bad"


def banner(verdict: Verdict, problems: Sequence[str], *, is_whole: bool) -> tuple[str, str]:
    """Return how the verdict on a run looks, and the verdict in one sentence.

    `problems` are why the run has failed even if it broke no promise.
    """
    if not is_whole:
        return BAD, NO_VERDICT
    if verdict.broken:
        count = len(verdict.broken)
        return BAD, f"{count} {'promise was' if count == 1 else 'promises were'} BROKEN."
    if not verdict.is_kept:
        return WARN, "Nothing could be checked."
    if problems:
        return WARN, f"No rule is broken, but: {'; '.join(problems)}."
    return GOOD, "Every promise that could be checked was kept."


def proof(line: Line) -> bytes:
    """Return a line of the history as a proof, without the codes, which may be a million."""
    if isinstance(line, Read):
        line = msgspec.structs.replace(line, codes=[])
    elif isinstance(line, Stored):
        line = msgspec.structs.replace(line, coupons=[])
    return encode(line)
