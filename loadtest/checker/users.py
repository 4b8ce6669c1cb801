"""One coupon a user, and each caller its own."""

from collections import Counter

from loadtest.checker.facts import Facts
from loadtest.checker.outcomes import DENIALS
from loadtest.checker.verdict import Findings, Rule
from loadtest.history import OK, Issue


def _one_coupon_a_user(facts: Facts, found: Findings) -> None:
    for user_id, issues in facts.answers_of_user.items():
        found.checked()
        _look_at_user(user_id, issues, found)
    for coupon in facts.coupons.values():
        fresh = [answer for answer in coupon.answers if not answer.already_issued]
        if len(fresh) > 1:
            found.violated(f"{coupon.code} was called new more than once", *fresh[:2])
        if not coupon.first.user_id and coupon.first.already_issued:
            found.violated(
                f"{coupon.code} was called a repeat to an anonymous caller", coupon.first
            )
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
        found.violated(f"{user_id!r} was shown two coupons", shown[0], other)
    first = min(shown, key=_answered)
    for issue in issues:
        if issue.outcome in DENIALS and issue.sent_us > _answered(first):
            found.violated(
                f"{user_id!r} had a coupon and was told {issue.outcome} when asking again",
                first,
                issue,
            )
        if not issue.already_issued and issue.outcome == OK and issue.sent_us > _answered(first):
            found.violated(f"{user_id!r} had a coupon and was told that it is new", first, issue)


def _answered(issue: Issue) -> int:
    return issue.sent_us if issue.answered_us is None else issue.answered_us


def _each_caller_its_own(facts: Facts, found: Findings) -> None:
    for issue in facts.issues:
        if issue.outcome != OK:
            continue
        found.checked()
        if issue.for_user_id is not None:
            found.violated(f"{issue.user_id!r} was answered for {issue.for_user_id!r}", issue)
        if issue.for_campaign_id is not None:
            found.violated(f"the answer is for the campaign {issue.for_campaign_id}", issue)
    if facts.stored is not None:
        for row in facts.stored.coupons:
            coupon = facts.coupons.get(row.code)
            if coupon is not None and coupon.first.user_id != row.user_id:
                found.violated(
                    f"{row.code} was shown to {coupon.first.user_id!r} and is stored for "
                    f"{row.user_id!r}",
                    coupon.first,
                )


RULES = (
    Rule(name="user", title="One coupon a user, the same on each repeat", look=_one_coupon_a_user),
    Rule(name="own", title="Each caller is shown its own coupon", look=_each_caller_its_own),
)
