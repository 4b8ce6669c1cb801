"""Nothing before the start, nothing after the end, by the database's clock and by the callers'."""

from collections.abc import Iterator

from loadtest.checker.facts import Coupon, Facts
from loadtest.checker.settings import NEVER_US
from loadtest.checker.verdict import Findings, Rule


def _none_before_the_start(facts: Facts, found: Findings) -> None:
    starts = facts.start_times_us
    if not facts.has_coupons:
        return found.lacks("a coupon")
    if not starts.is_known:
        return found.undecided("a line that says when the campaign starts")
    found.checked(len(facts.coupons))
    for coupon in facts.coupons.values():
        _is_issued_from_the_start_on(facts, found, coupon)
    for code, issue_time_us, from_us in _stored_issue_times(facts):
        found.checked()
        if (early_us := starts.least(from_us, NEVER_US) - issue_time_us) > 0:
            found.violated(
                f"{code} is stored as issued at {issue_time_us}, {_seconds(early_us)} before "
                "the start"
            )
    return None


def _is_issued_from_the_start_on(facts: Facts, found: Findings, coupon: Coupon) -> None:
    start_time_us = facts.start_times_us.least(coupon.sent_us, coupon.answered_us)
    for answer in coupon.answers:
        if (early_us := start_time_us - answer.issue_time_us) > 0:
            found.violated(
                f"{coupon.code} was issued {_seconds(early_us)} before the start", answer
            )
    # However far the database's clock was ahead, it had not come to the start.
    unseen_us = start_time_us - (coupon.answered_us + facts.clock.ahead_us_max)
    if unseen_us > 0:
        found.violated(
            f"{coupon.code} was shown {_seconds(unseen_us)} before the start, by the caller's "
            "clock",
            coupon.first,
        )


def _none_after_the_end(facts: Facts, found: Findings) -> None:
    ends = facts.end_times_us
    if not facts.has_coupons:
        return found.lacks("a coupon")
    if not ends.is_known:
        return found.undecided("a line that says when the campaign ends")
    if min(ends.values) == NEVER_US:
        return found.lacks("a campaign that ends")
    found.checked(len(facts.coupons))
    for coupon in facts.coupons.values():
        _is_issued_before_the_end(facts, found, coupon)
    for code, issue_time_us, from_us in _stored_issue_times(facts):
        found.checked()
        if (late_us := issue_time_us - ends.most(from_us, NEVER_US)) >= 0:
            found.violated(
                f"{code} is stored as issued at {issue_time_us}, {_seconds(late_us)} after the end"
            )
    return None


def _is_issued_before_the_end(facts: Facts, found: Findings, coupon: Coupon) -> None:
    end_time_us = facts.end_times_us.most(coupon.sent_us, coupon.answered_us)
    for answer in coupon.answers:
        if (late_us := answer.issue_time_us - end_time_us) >= 0:
            found.violated(f"{coupon.code} was issued {_seconds(late_us)} after the end", answer)
    over_us = coupon.sent_us + facts.clock.ahead_us_min - end_time_us
    if over_us >= 0:
        found.violated(
            f"{coupon.code} was asked for {_seconds(over_us)} after the end, by the caller's clock",
            coupon.first,
        )


def _stored_issue_times(facts: Facts) -> Iterator[tuple[str, int, float]]:
    """Yield what the rows say, and from when on each can have been stored.

    The issue time is when the transaction began, which may then have waited for long.
    """
    if facts.stored is not None:
        for row in facts.stored.coupons:
            yield row.code, row.issue_time_us, row.issue_time_us - facts.clock.ahead_us_max


def _issue_times_lie_within_their_calls(facts: Facts, found: Findings) -> None:
    """The transaction that issues a coupon begins after its call was sent, and then ends."""
    if not facts.clock.is_one:
        found.violated(
            "the readings of the database's clock contradict each other: it was stepped, or "
            "is not one clock"
        )
    if not facts.coupons:
        return found.lacks("a coupon")
    for coupon in facts.coupons.values():
        _is_issued_within_its_call(facts, found, coupon)
    _stored_times_are_those_shown(facts, found)
    if not facts.clock.is_known:
        return found.undecided("a reading of the database's clock")
    found.checked(len(facts.coupons))
    return None


def _is_issued_within_its_call(facts: Facts, found: Findings, coupon: Coupon) -> None:
    issue, clock = coupon.first, facts.clock
    early_us = coupon.sent_us + clock.ahead_us_min - issue.issue_time_us
    late_us = issue.issue_time_us - (coupon.answered_us + clock.ahead_us_max)
    if early_us > 0:
        found.violated(f"{coupon.code} was issued {_seconds(early_us)} before its call", issue)
    elif late_us > 0:
        found.violated(f"{coupon.code} was issued {_seconds(late_us)} after its answer", issue)
    for answer in coupon.answers:
        if answer.issue_time_us != issue.issue_time_us:
            found.violated(
                f"{coupon.code} has two issue times, {issue.issue_time_us} and "
                f"{answer.issue_time_us}",
                issue,
                answer,
            )


def _stored_times_are_those_shown(facts: Facts, found: Findings) -> None:
    if facts.stored is None:
        return
    for row in facts.stored.coupons:
        coupon = facts.coupons.get(row.code)
        if coupon is not None and coupon.first.issue_time_us != row.issue_time_us:
            found.violated(
                f"{row.code} was shown with the issue time {coupon.first.issue_time_us} and is "
                f"stored with {row.issue_time_us}",
                coupon.first,
            )


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
