"""What callers are told when they get nothing is the truth."""

from bisect import bisect_left
from itertools import accumulate

from loadtest.checker.facts import Facts, answered
from loadtest.checker.outcomes import KNOWN, is_certain
from loadtest.checker.settings import NEVER_US
from loadtest.checker.verdict import Findings, Rule
from loadtest.history import Change, Issue

SOLD_OUT, ENDED, NOT_STARTED = "SOLD_OUT", "CAMPAIGN_ENDED", "CAMPAIGN_NOT_STARTED"


def _sold_out_is_the_truth(facts: Facts, found: Findings) -> None:
    changes = [change for change in facts.changes if change.coupon_limit is not None]
    _nothing_after(facts, found, SOLD_OUT, "all coupons were gone", changes)


def _ended_is_the_truth(facts: Facts, found: Findings) -> None:
    changes = [change for change in facts.changes if change.end_time_us is not None]
    _nothing_after(facts, found, ENDED, "the campaign had ended", changes)
    told = _told(facts, ENDED)
    if not told:
        return None
    if not facts.end_times_us.is_known:
        return found.undecided("a line that says when the campaign ends")
    end_time_us = min(facts.end_times_us.values)
    for issue in told:
        if end_time_us == NEVER_US:
            found.violated("a caller was told of an end that the campaign does not have", issue)
        elif answered(issue) + facts.clock.ahead_us_max < end_time_us:
            found.violated("a caller was told before the end that it had come", issue)
    if not facts.clock.is_known:
        return found.undecided("a reading of the database's clock")
    return None


def _nothing_after(
    facts: Facts, found: Findings, outcome: str, what: str, changes: list[Change]
) -> None:
    """No new coupon to a call that was sent after an answer that there is none any more.

    A change takes back the answers that had been asked for before the change was over.
    """
    told = sorted(_told(facts, outcome), key=answered)
    found.checked(len(told))
    if not told:
        return found.lacks(f"a caller who was told {outcome}")
    answered_us = [answered(issue) for issue in told]
    # For each, of the answers that came no later, the one that was asked for last.
    latest = list(accumulate(told, _asked_later))
    for coupon in facts.coupons.values():
        place = bisect_left(answered_us, coupon.sent_us)
        if place == 0:
            continue
        refusal = latest[place - 1]
        if not any(_is_between(change, refusal, coupon.answered_us) for change in changes):
            found.violated(
                f"{coupon.code} was issued to a call that was sent after a caller had been told "
                f"that {what}",
                refusal,
                coupon.first,
            )
    return None


def _asked_later(one: Issue, other: Issue) -> Issue:
    return one if one.sent_us >= other.sent_us else other


def _is_between(change: Change, refusal: Issue, answered_us: int) -> bool:
    """Tell whether a change can have come between a refusal and a later coupon."""
    over_us = answered(change) if is_certain(change) else NEVER_US
    return over_us >= refusal.sent_us and change.sent_us <= answered_us


def _not_started_is_the_truth(facts: Facts, found: Findings) -> None:
    told = _told(facts, NOT_STARTED)
    found.checked(len(told))
    if not told:
        return found.lacks(f"a caller who was told {NOT_STARTED}")
    first = min(facts.coupons.values(), key=lambda coupon: coupon.answered_us, default=None)
    start_time_us = max(facts.start_times_us.values, default=NEVER_US)
    for issue in told:
        late_us = issue.sent_us + facts.clock.ahead_us_min - start_time_us
        if late_us >= 0:
            found.violated(
                f"a call sent {late_us / 1e6:.6f} s after the start was told that it had not come",
                issue,
            )
        elif first is not None and first.answered_us < issue.sent_us:
            found.violated(
                "a call sent after the first coupon had been shown was told that the campaign "
                "had not started",
                first.first,
                issue,
            )
    if not facts.start_times_us.is_known:
        return found.undecided("a line that says when the campaign starts")
    if not facts.clock.is_known:
        return found.undecided("a reading of the database's clock")
    return None


def _answers_are_known(facts: Facts, found: Findings) -> None:
    if not facts.issues:
        return found.lacks("a call of IssueCoupon")
    found.checked(len(facts.issues))
    for issue in facts.issues:
        if issue.outcome not in KNOWN:
            found.violated(f"{issue.outcome} is not an answer that callers were promised", issue)
    return None


def _told(facts: Facts, outcome: str) -> list[Issue]:
    return [issue for issue in facts.issues if issue.outcome == outcome]


RULES = (
    Rule(name="sold_out", title="Sold out is the truth", look=_sold_out_is_the_truth),
    Rule(name="ended", title="Ended is the truth", look=_ended_is_the_truth),
    Rule(name="not_started", title="Not started is the truth", look=_not_started_is_the_truth),
    Rule(name="answers", title="Every answer is one that was promised", look=_answers_are_known),
)
