"""Words and numbers as the report has them, in the terminal and on the page."""

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


def verdict_sentence(verdict: Verdict, *, is_whole: bool) -> str:
    """Return the verdict on a history in one sentence."""
    if not is_whole:
        return NO_VERDICT
    if verdict.is_kept:
        return "Every promise that could be checked was kept."
    if not verdict.broken:
        return "Nothing could be checked."
    count = len(verdict.broken)
    return f"{count} {'promise was' if count == 1 else 'promises were'} BROKEN."


def proof(line: Line) -> bytes:
    """Return a line of the history as a proof, without the codes, which may be a million."""
    if isinstance(line, Read):
        line = msgspec.structs.replace(line, codes=[])
    elif isinstance(line, Stored):
        line = msgspec.structs.replace(line, coupons=[])
    return encode(line)
