"""Histories of a few lines, and what the checker says of them.

Times are microseconds. Where a history has no other, coupon n has the n-th code and the
sequence n, and was issued when its call was sent.
"""

from collections.abc import Sequence

from loadtest.checker import Status, check
from loadtest.checker.verdict import Judgement
from loadtest.history import (
    FULL,
    NO_ANSWER,
    Campaign,
    Change,
    Clock,
    Issue,
    Line,
    Read,
    Stored,
    StoredCoupon,
)

# The database's clock is exactly that of the callers.
SAME_CLOCK = Clock(process="database", database_ahead_us_min=0, database_ahead_us_max=0)


def code(number: int) -> str:
    """Return the code of the n-th coupon."""
    return f"가{number}"


def campaign(  # what differs from an open campaign of three coupons
    limit: int = 3, *, start: int = 0, end: int | None = None, campaign_id: str = "campaign"
) -> Campaign:
    """Return the description of a campaign, from before everything else."""
    return Campaign(
        process="operator",
        campaign_id=campaign_id,
        sent_us=-20,
        answered_us=-10,
        coupon_limit=limit,
        start_time_us=start,
        end_time_us=end,
    )


def issued(  # what differs from the usual
    number: int,
    sent: int,
    answered: int | None,
    *,
    user: str = "",
    at: int | None = None,
    repeat: bool = False,
    campaign_id: str = "campaign",
) -> Issue:
    """Return a call that got the n-th coupon."""
    return Issue(
        process="caller",
        campaign_id=campaign_id,
        sent_us=sent,
        answered_us=answered,
        user_id=user,
        code=code(number),
        sequence=number,
        issue_time_us=sent if at is None else at,
        already_issued=repeat,
    )


def refused(outcome: str, sent: int, answered: int | None, *, user: str = "") -> Issue:
    """Return a call that got no coupon in its answer."""
    return Issue(
        process="caller",
        campaign_id="campaign",
        sent_us=sent,
        answered_us=answered,
        user_id=user,
        outcome=outcome,
    )


def lost(sent: int, *, user: str = "") -> Issue:
    """Return a call without an answer."""
    return refused(NO_ANSWER, sent, sent, user=user)


def read(count: int, sent: int, answered: int | None, *, view: str = FULL) -> Read:
    """Return a GetCampaign that showed the first so many coupons."""
    return Read(
        process="reader",
        campaign_id="campaign",
        sent_us=sent,
        answered_us=answered,
        view=view,
        issued_count=count,
        codes=[code(number) for number in range(1, count + 1)] if view == FULL else [],
    )


def row(number: int, *, at: int = 0, user: str = "") -> StoredCoupon:
    """Return the n-th coupon as it is stored."""
    return StoredCoupon(code(number), number, user, at)


def stored(*rows: StoredCoupon) -> Stored:
    """Return what is stored in the end."""
    return Stored(
        process="reader",
        campaign_id="campaign",
        sent_us=1000,
        answered_us=1001,
        issued_count=len(rows),
        coupons=list(rows),
    )


def change(
    sent: int,
    answered: int | None,
    *,
    outcome: str = "OK",
    limit: int | None = None,
    start: int | None = None,
    end: int | None = None,
) -> Change:
    """Return what an operator changed."""
    return Change(
        process="operator",
        campaign_id="campaign",
        sent_us=sent,
        answered_us=answered,
        outcome=outcome,
        coupon_limit=limit,
        start_time_us=start,
        end_time_us=end,
    )


def judged(rule: str, lines: Sequence[Line]) -> Judgement:
    """Return what the checker says of a history by one rule."""
    (found,) = (each for each in check(lines).judgements if each.rule.name == rule)
    return found


def assert_breaks(
    rule: str,
    lines: Sequence[Line],
    *,
    says: str,
    proof: Sequence[Line] = (),
    also: frozenset[str] = frozenset(),
) -> None:
    """Assert that this rule is broken, with these words and lines, and of the others only these."""
    assert check(lines).broken == {rule} | also
    examples = judged(rule, lines).examples
    assert says in [example.sentence for example in examples]
    (found,) = (example.proof for example in examples if example.sentence == says)
    assert [id(line) for line in found] == [id(line) for line in proof]


def assert_keeps(rule: str, lines: Sequence[Line]) -> None:
    """Assert that this rule is kept, and no other is broken."""
    assert check(lines).broken == set()
    assert judged(rule, lines).status is Status.KEPT


def assert_not_checked(rule: str, lines: Sequence[Line], *, lacking: str) -> None:
    """Assert that this rule cannot be decided, for want of something, and no other is broken."""
    assert check(lines).broken == set()
    found = judged(rule, lines)
    assert (found.status, found.lacking) == (Status.NOT_CHECKED, lacking)
