"""Nothing before the start, nothing after the end, by the database's clock and by the callers'."""

from collections.abc import Iterator

from loadtest.checker.facts import Facts
from loadtest.checker.verdict import Findings, Rule
from loadtest.history import Issue


def _none_before_the_start(facts: Facts, found: Findings) -> None:
    start_time_us = min(facts.start_times_us(), default=None)
    if start_time_us is None:
        return found.lacks("a line that says when the campaign starts")
    for code, issue_time_us, issue in _issue_times(facts):
        found.checked()
        early_us = start_time_us - issue_time_us
        if early_us > 0:
            proof = () if issue is None else (issue,)
            found.violated(f"{code} was issued {_seconds(early_us)} before the start", *proof)
    for coupon in facts.coupons.values():
        found.checked()
        # However far the database's clock was ahead, it had not come to the start.
        early_us = start_time_us - (coupon.answered_us + facts.clock.ahead_us_max)
        if early_us > 0:
            found.violated(
                f"{coupon.code} was shown {_seconds(early_us)} before the start, by the caller's "
                "clock",
                coupon.first,
            )
    return None


def _none_after_the_end(facts: Facts, found: Findings) -> None:
    ends = facts.end_times_us()
    if not facts.is_sure_to_end():
        return found.lacks("a campaign that ends")
    end_time_us = max(ends)
    for code, issue_time_us, issue in _issue_times(facts):
        found.checked()
        late_us = issue_time_us - end_time_us
        if late_us >= 0:
            proof = () if issue is None else (issue,)
            found.violated(f"{code} was issued {_seconds(late_us)} after the end", *proof)
    for coupon in facts.coupons.values():
        found.checked()
        late_us = coupon.sent_us + facts.clock.ahead_us_min - end_time_us
        if late_us >= 0:
            found.violated(
                f"{coupon.code} was asked for {_seconds(late_us)} after the end, by the caller's "
                "clock",
                coupon.first,
            )
    return None


def _issue_times_lie_within_their_calls(facts: Facts, found: Findings) -> None:
    """The transaction that issues a coupon begins after its call was sent, and then ends."""
    clock = facts.clock
    if clock.ahead_us_min > clock.ahead_us_max:
        return found.violated(
            "the readings of the database's clock contradict each other: it was stepped, or "
            "is not one clock"
        )
    for coupon in facts.coupons.values():
        if not coupon.is_fresh:
            continue
        found.checked()
        issue = coupon.first
        early_us = issue.sent_us + clock.ahead_us_min - issue.issue_time_us
        late_us = issue.issue_time_us - (coupon.answered_us + clock.ahead_us_max)
        if early_us > 0:
            found.violated(f"{issue.code} was issued {_seconds(early_us)} before its call", issue)
        elif late_us > 0:
            found.violated(f"{issue.code} was issued {_seconds(late_us)} after its answer", issue)
    return None


def _issue_times(facts: Facts) -> Iterator[tuple[str, int, Issue | None]]:
    """Yield the issue times that callers were told, and those that are stored."""
    for coupon in facts.coupons.values():
        for issue in coupon.answers:
            yield issue.code, issue.issue_time_us, issue
    if facts.stored is not None:
        for row in facts.stored.coupons:
            yield row.code, row.issue_time_us, None


def _seconds(microseconds: float) -> str:
    return f"{microseconds / 1e6:.6f} s"


RULES = (
    Rule(name="start", title="None before the start", look=_none_before_the_start),
    Rule(name="end", title="None after the end", look=_none_after_the_end),
    Rule(
        name="clock",
        title="Issue times are the database's, within their calls",
        look=_issue_times_lie_within_their_calls,
    ),
)
