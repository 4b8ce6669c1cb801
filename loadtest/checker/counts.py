"""How many coupons there are, which ones, and whether they are those that callers got."""

import re
from collections import Counter

from loadtest.checker.facts import Coupon, Facts, answered
from loadtest.checker.outcomes import may_have_issued
from loadtest.checker.verdict import Findings, Rule
from loadtest.history import FULL, Issue, Read, StoredCoupon

SOLD_OUT = "SOLD_OUT"
# Composed syllables and digits, at least one of each, at most 10 characters in all.
_SHAPE = re.compile(r"(?=.*[가-힣])(?=.*[0-9])[가-힣0-9]{1,10}")


def _never_more_than_the_limit(facts: Facts, found: Findings) -> None:
    if not (facts.coupons or facts.reads or facts.stored):
        return found.lacks("a coupon, or a GetCampaign that was answered")
    if not facts.limits.is_known:
        return found.undecided("a line that says what the campaign's limit is")
    _hands_out_no_more(facts, found)
    for read in facts.reads:
        found.checked()
        limit = facts.limits.most(read.sent_us, answered(read))
        count = max(read.issued_count, len(read.codes))
        if count > limit:
            found.violated(f"GetCampaign showed {count} coupons; the limit is {limit}", read)
    if facts.stored is not None:
        found.checked()
        limit = facts.limits.most(facts.stored.sent_us, answered(facts.stored))
        count = max(facts.stored.issued_count, len(facts.stored.coupons))
        if count > limit:
            found.violated(f"{count} coupons are stored; the limit is {limit}", count=count - limit)
    return None


def _hands_out_no_more(facts: Facts, found: Findings) -> None:
    limit_max = max(facts.limits.values)
    found.checked(len(facts.coupons))
    if len(facts.coupons) > limit_max:
        by_time = sorted(facts.coupons.values(), key=lambda coupon: coupon.sent_us)
        surplus = by_time[limit_max:]
        found.violated(
            f"{len(by_time)} coupons were handed out; the limit is {limit_max}",
            *(coupon.first for coupon in surplus[:3]),
            count=len(surplus),
        )
    for coupon in facts.coupons.values():
        limit = facts.limits.most(coupon.sent_us, coupon.answered_us)
        if coupon.sequence > limit:
            found.violated(
                f"sequence {coupon.sequence} was handed out; the limit is {limit}", coupon.first
            )


def _exactly_the_limit(facts: Facts, found: Findings) -> None:
    """Somebody was told that nothing is left, so all of the limit must have been issued."""
    told = [issue for issue in facts.issues if issue.outcome == SOLD_OUT]
    if not told:
        return found.lacks("a caller who was told that the campaign is sold out")
    if not facts.limits.is_known:
        return found.undecided("a line that says what the campaign's limit is")
    refusal = min(told, key=answered)
    later = [read for read in facts.reads if read.sent_us > answered(refusal)]
    for read in later:
        _is_all(
            facts, found, f"GetCampaign then showed {_count(read)}", _count(read), refusal, read
        )
    if facts.stored is not None:
        count = len(facts.stored.coupons)
        _is_all(facts, found, f"{count} are stored", count, refusal)
    elif not later:
        return found.undecided("the codes read or stored after a caller was told SOLD_OUT")
    if len(set(facts.limits.values)) > 1:
        return found.undecided("one limit that the campaign had all the time")
    return None


def _is_all(facts: Facts, found: Findings, what: str, count: int, *proof: Issue | Read) -> None:
    found.checked()
    least, most = min(facts.limits.values), max(facts.limits.values)
    if not least <= count <= most:
        limit = str(least) if least == most else f"{least} to {most}"
        found.violated(f"a caller was told that all are gone, and {what} of {limit}", *proof)


def _count(read: Read) -> int:
    return len(read.codes) if read.view == FULL else read.issued_count


def _acknowledged_are_stored(facts: Facts, found: Findings) -> None:
    if not facts.coupons:
        return found.lacks("a coupon")
    held = [coupon for coupon in facts.coupons.values() if facts.must_show(coupon)]
    found.checked(len(held))
    times_stored = Counter(facts.order)
    for coupon in held:
        count = times_stored[coupon.code]
        if count != 1:
            times = "not" if count == 0 else f"{count} times"
            found.violated(
                f"the code {coupon.code} was handed out and is {times} stored", coupon.first
            )
    if len(held) < len(facts.coupons):
        return found.undecided("the codes read or stored after the last answer")
    return None


def _stored_are_accounted_for(facts: Facts, found: Findings) -> None:
    """What was shown to nobody was issued to callers who did not get their answers."""
    found.lacks("a stored coupon")
    if facts.shown_by is None:
        what = "the codes read or stored"
        return found.undecided(what) if facts.coupons else found.lacks(what)
    found.checked(len(facts.order))
    if facts.stored is None:
        codes = [code for code in facts.order if code not in facts.coupons]
        _account_for_codes(facts, found, codes, answered(facts.shown_by))
        if any(_is_under_way(issue, facts.shown_by.sent_us) for issue in facts.issues):
            return found.undecided("the codes read or stored after the last call")
    else:
        rows = [row for row in facts.stored.coupons if row.code not in facts.coupons]
        _account_for_users(facts, found, [row for row in rows if row.user_id])
        _account_for_anonymous(facts, found, [row for row in rows if not row.user_id])
    return None


def _is_under_way(issue: Issue, read_us: int) -> bool:
    """Tell whether a call was waited for when the codes were read, or not even sent."""
    last_us = issue.sent_us if issue.answered_us is None else issue.answered_us
    return last_us >= read_us


def _account_for_codes(facts: Facts, found: Findings, codes: list[str], answered_us: int) -> None:
    """Without the rows, all one can say is how many callers may have missed their answer."""
    uncertain = [
        issue for issue in facts.issues if issue.sent_us <= answered_us and may_have_issued(issue)
    ]
    served = {coupon.first.user_id for coupon in facts.coupons.values()} - {""}
    users = {issue.user_id for issue in uncertain} - {""} - served
    count_max = len(users) + sum(not issue.user_id for issue in uncertain)
    if len(codes) > count_max:
        found.violated(
            f"stored codes that were shown to nobody: {len(codes)} (such as {codes[0]}); "
            f"callers who may have missed their answers: {count_max}",
            *uncertain[:3],
            count=len(codes) - count_max,
        )


def _account_for_users(facts: Facts, found: Findings, rows: list[StoredCoupon]) -> None:
    for row in rows:
        calls = facts.answers_of_user.get(row.user_id, [])
        sent_us_max = row.issue_time_us - facts.clock.ahead_us_min
        if not any(may_have_issued(call) and call.sent_us <= sent_us_max for call in calls):
            found.violated(
                f"{row.code} is stored for {row.user_id!r}, who was not shown it and has no "
                "call with an unknown outcome that was sent before it was issued",
                *calls[:3],
            )


def _account_for_anonymous(facts: Facts, found: Findings, rows: list[StoredCoupon]) -> None:
    """Each coupon needs a call of its own that was sent before it was issued.

    With both in order of time, the n-th coupon needs the n-th call to be one.
    """
    rows = sorted(rows, key=lambda row: row.issue_time_us)
    calls = [issue for issue in facts.issues if not issue.user_id and may_have_issued(issue)]
    for place, row in enumerate(rows):
        if place >= len(calls) or (
            calls[place].sent_us + facts.clock.ahead_us_min > row.issue_time_us
        ):
            found.violated(
                f"{row.code} is stored and was shown to nobody, and too few calls with an unknown "
                "outcome were sent before it was issued",
                *calls[place : place + 1],
            )


def _codes_are_unique_and_shaped(facts: Facts, found: Findings) -> None:
    codes = facts.coupons.keys() | set(facts.order)
    if not codes:
        return found.lacks("a code")
    found.checked(len(codes))
    for code in codes:
        if not _SHAPE.fullmatch(code):
            found.violated(
                f"{code!r} is not 1 to 10 Hangul syllables and digits, some of each",
                *_first_answers(facts, code),
            )
    for code, count in Counter(facts.order).items():
        if count > 1:
            found.violated(f"{code} is stored {count} times", *_first_answers(facts, code))
    for coupon in facts.coupons.values():
        if clash := _given_twice(coupon):
            found.violated(f"{coupon.code} was handed out to two claims", *clash)
    for code in codes & facts.codes_elsewhere:
        found.violated(f"{code} belongs to another campaign too", *_first_answers(facts, code))
    return None


def _first_answers(facts: Facts, code: str) -> list[Issue]:
    coupon = facts.coupons.get(code)
    return [] if coupon is None else [coupon.first]


def _given_twice(coupon: Coupon) -> tuple[Issue, Issue] | None:
    """Return two answers with the same code that are not a user's own repeats."""
    for other in coupon.answers[1:]:
        if not other.user_id or other.user_id != coupon.answers[0].user_id:
            return coupon.answers[0], other
    return None


RULES = (
    Rule(name="limit", title="Never more coupons than the limit", look=_never_more_than_the_limit),
    Rule(name="exact", title="Exactly the limit, once it is sold out", look=_exactly_the_limit),
    Rule(
        name="stored",
        title="Every acknowledged coupon is stored, once",
        look=_acknowledged_are_stored,
    ),
    Rule(
        name="accounted",
        title="Every stored coupon was acknowledged, or may have been",
        look=_stored_are_accounted_for,
    ),
    Rule(
        name="codes",
        title="Codes are unique over all campaigns, and of the promised shape",
        look=_codes_are_unique_and_shaped,
    ),
)
