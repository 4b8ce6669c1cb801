"""How many coupons there are, which ones, and whether they are those that callers got."""

import re
from collections import Counter

from loadtest.checker.facts import Coupon, Facts
from loadtest.checker.outcomes import STORAGE_UNAVAILABLE, may_have_issued
from loadtest.checker.verdict import Findings, Rule
from loadtest.history import Issue, StoredCoupon

SOLD_OUT = "SOLD_OUT"
# Composed syllables and digits, at least one of each, at most 10 characters in all.
_SHAPE = re.compile(r"(?=.*[가-힣])(?=.*[0-9])[가-힣0-9]{1,10}")


def _never_more_than_the_limit(facts: Facts, found: Findings) -> None:
    limits = facts.limits()
    if not limits:
        return found.lacks("a line that says what the campaign's limit is")
    limit = max(limits)
    what = f"the limit is {limit}"
    found.checked(len(facts.coupons) + len(facts.reads))
    if len(facts.coupons) > limit:
        surplus = sorted(facts.coupons.values(), key=lambda coupon: coupon.sent_us)[limit:]
        found.violated(
            f"{len(facts.coupons)} coupons were handed out; {what}",
            *(coupon.first for coupon in surplus[:3]),
            count=len(surplus),
        )
    for coupon in facts.coupons.values():
        if coupon.sequence > limit:
            found.violated(f"sequence {coupon.sequence} was handed out; {what}", coupon.first)
    for read in facts.reads:
        if max(read.issued_count, len(read.codes)) > limit:
            count = max(read.issued_count, len(read.codes))
            found.violated(f"GetCampaign showed {count} coupons; {what}", read)
    if facts.stored is not None:
        found.checked(len(facts.stored.coupons))
        count = max(facts.stored.issued_count, len(facts.stored.coupons))
        if count > limit:
            found.violated(f"{count} coupons are stored; {what}", count=count - limit)
    return None


def _exactly_the_limit(facts: Facts, found: Findings) -> None:
    """Somebody was told that nothing is left, so all of the limit must have been issued."""
    limits = set(facts.limits())
    refusal = next((issue for issue in facts.issues if issue.outcome == SOLD_OUT), None)
    if refusal is None:
        return found.lacks("a caller who was told that the campaign is sold out")
    if len(limits) != 1 or not facts.is_complete():
        return found.lacks("one limit, and the codes read or stored after the last call")
    found.checked()
    (limit,) = limits
    if len(facts.order) != limit:
        found.violated(
            f"a caller was told that all are gone, but {len(facts.order)} of {limit} are stored",
            refusal,
        )
    return None


def _acknowledged_are_stored(facts: Facts, found: Findings) -> None:
    if not facts.is_complete():
        return found.lacks("the codes read or stored after the last call")
    times_stored = Counter(facts.order)
    for coupon in facts.coupons.values():
        found.checked()
        count = times_stored[coupon.code]
        if count != 1:
            times = "not" if count == 0 else f"{count} times"
            found.violated(
                f"the code {coupon.code} was handed out and is {times} stored", coupon.first
            )
    return None


def _stored_are_accounted_for(facts: Facts, found: Findings) -> None:
    if not facts.is_complete():
        return found.lacks("the codes read or stored after the last call")
    found.checked(len(facts.order))
    if facts.stored is None:
        codes = [code for code in facts.order if code not in facts.coupons]
        _account_for_codes(facts, found, codes)
    else:
        rows = [row for row in facts.stored.coupons if row.code not in facts.coupons]
        _account_for_rows(facts, found, rows)
    return None


def _account_for_codes(facts: Facts, found: Findings, codes: list[str]) -> None:
    """Without the rows, all one can say is how many callers may have missed their answer."""
    uncertain = [issue for issue in facts.issues if may_have_issued(issue)]
    served = {coupon.first.user_id for coupon in facts.coupons.values()} - {""}
    users = {issue.user_id for issue in uncertain} - {""} - served
    count_max = len(users) + sum(not issue.user_id for issue in uncertain)
    if len(codes) > count_max:
        found.violated(
            f"{len(codes)} stored codes (such as {codes[0]}) were shown to nobody, and only "
            f"{count_max} callers may have missed their answers",
            *uncertain[:3],
            count=len(codes) - count_max,
        )


def _account_for_rows(facts: Facts, found: Findings, rows: list[StoredCoupon]) -> None:
    for row in rows:
        if row.user_id and not _asked_in_time(facts, row):
            found.violated(
                f"{row.code} is stored for {row.user_id!r}, who was not shown it and has no "
                "call with an unknown outcome"
            )
    anonymous = sorted(row.issue_time_us for row in rows if not row.user_id)
    sent = [
        issue.sent_us
        for issue in facts.issues
        if not issue.user_id and issue.outcome != STORAGE_UNAVAILABLE and may_have_issued(issue)
    ]
    # Each coupon needs a call of its own that was sent before it was issued. Both are in
    # order, so the n-th coupon needs the n-th call to be one.
    for place, issue_time_us in enumerate(anonymous):
        if place >= len(sent) or sent[place] + facts.clock.ahead_us_min > issue_time_us:
            code = next(row.code for row in rows if row.issue_time_us == issue_time_us)
            found.violated(
                f"{code} is stored and was shown to nobody, and too few calls with an unknown "
                "outcome were sent before it was issued"
            )


def _asked_in_time(facts: Facts, row: StoredCoupon) -> bool:
    return any(
        may_have_issued(issue) and issue.sent_us + facts.clock.ahead_us_min <= row.issue_time_us
        for issue in facts.answers_of_user.get(row.user_id, ())
    )


def _codes_are_unique_and_shaped(facts: Facts, found: Findings) -> None:
    codes = facts.coupons.keys() | set(facts.order)
    found.checked(len(codes))
    for code in codes:
        if not _SHAPE.fullmatch(code):
            coupon = facts.coupons.get(code)
            proof = () if coupon is None else (coupon.first,)
            found.violated(
                f"{code!r} is not 1 to 10 Hangul syllables and digits, some of each", *proof
            )
    for code, count in Counter(facts.order).items():
        if count > 1:
            found.violated(f"{code} is stored {count} times")
    for coupon in facts.coupons.values():
        if clash := _given_twice(coupon):
            found.violated(f"{coupon.code} was handed out to two claims", *clash)
    for code in codes & facts.codes_elsewhere:
        coupon = facts.coupons.get(code)
        found.violated(
            f"{code} belongs to another campaign too", *(() if coupon is None else (coupon.first,))
        )


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
