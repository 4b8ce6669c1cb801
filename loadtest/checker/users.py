"""One coupon a user, and each caller its own."""

from collections import Counter

from loadtest.checker.facts import Coupon, Facts, answered
from loadtest.checker.outcomes import DENIALS, may_have_issued
from loadtest.checker.verdict import Findings, Rule
from loadtest.history import OK, Issue


def _one_coupon_a_user(facts: Facts, found: Findings) -> None:
    if not facts.answers_of_user:
        found.lacks("a call with a user_id")
    found.checked(len(facts.answers_of_user))
    for user_id, issues in facts.answers_of_user.items():
        _look_at_user(user_id, issues, found)
    for coupon in facts.coupons.values():
        _look_at_coupon(facts, coupon, found)
    if facts.stored is not None:
        owners = Counter(row.user_id for row in facts.stored.coupons if row.user_id)
        for user_id, count in owners.items():
            if count > 1:
                found.violated(f"{count} coupons are stored for {user_id!r}")


def _look_at_user(user_id: str, issues: list[Issue], found: Findings) -> None:
    shown = [issue for issue in issues if issue.outcome == OK]
    if not shown:
        return
    other = next((issue for issue in shown if issue.code != shown[0].code), None)
    if other is not None:
        found.violated(
            f"{user_id!r} was shown two coupons, {shown[0].code} and {other.code}", shown[0], other
        )
    first = min(shown, key=answered)
    for issue in issues:
        if issue.sent_us <= answered(first):
            continue
        if issue.outcome in DENIALS:
            found.violated(
                f"{user_id!r} had a coupon and was told {issue.outcome} when asking again",
                first,
                issue,
            )
        if issue.outcome == OK and not issue.already_issued:
            found.violated(f"{user_id!r} had a coupon and was told that it is new", first, issue)


def _look_at_coupon(facts: Facts, coupon: Coupon, found: Findings) -> None:
    fresh = [answer for answer in coupon.answers if not answer.already_issued]
    user_id = coupon.first.user_id
    if len(fresh) > 1:
        found.violated(f"{coupon.code} was called new more than once", *fresh[:2])
    if fresh:
        return
    if not user_id:
        found.violated(f"{coupon.code} was called a repeat to an anonymous caller", coupon.first)
    elif not any(
        may_have_issued(call) and call.sent_us <= coupon.answered_us
        for call in facts.answers_of_user[user_id]
    ):
        found.violated(
            f"{coupon.code} was called a repeat to {user_id!r}, who had no other call that can "
            "have got it",
            coupon.first,
        )


def _each_caller_its_own(facts: Facts, found: Findings) -> None:
    if not facts.coupons:
        return found.lacks("a coupon")
    for coupon in facts.coupons.values():
        found.checked(len(coupon.answers))
        for issue in coupon.answers:
            if issue.for_user_id is not None:
                found.violated(
                    f"{_caller(issue.user_id)} was answered for {_caller(issue.for_user_id)}", issue
                )
            if issue.for_campaign_id is not None:
                found.violated(
                    f"a call for the campaign {issue.campaign_id} was answered for "
                    f"{issue.for_campaign_id}",
                    issue,
                )
    if facts.stored is not None:
        for row in facts.stored.coupons:
            owner = facts.coupons.get(row.code)
            if owner is not None and owner.first.user_id != row.user_id:
                found.violated(
                    f"{row.code} was shown to {_caller(owner.first.user_id)} and is stored for "
                    f"{_caller(row.user_id)}",
                    owner.first,
                )
    return None


def _caller(user_id: str) -> str:
    return repr(user_id) if user_id else "an anonymous caller"


RULES = (
    Rule(name="user", title="One coupon a user, the same on each repeat", look=_one_coupon_a_user),
    Rule(name="own", title="Each caller is shown its own coupon", look=_each_caller_its_own),
)
