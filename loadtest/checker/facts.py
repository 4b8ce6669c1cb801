"""What a history says of one campaign, put in the order that the rules ask for it."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from loadtest.checker.outcomes import may_have_happened
from loadtest.history import FULL, OK, Campaign, Change, Clock, Issue, Operation, Read, Stored

NEVER_US = 2**62


@dataclass(eq=False, slots=True)
class Coupon:
    """A coupon that was acknowledged, and when it can have been issued.

    It was issued after `sent_us`, when the first call that can have caused it was sent,
    and before `answered_us`, when the first answer that showed it arrived.
    """

    code: str
    sequence: int
    first: Issue
    sent_us: int
    answered_us: int
    answers: list[Issue]

    @property
    def is_fresh(self) -> bool:
        """Tell whether the answer that issued it is known, and not only a repeat."""
        return not self.first.already_issued


@dataclass(frozen=True, kw_only=True, slots=True)
class DatabaseClock:
    """Between how much and how much the database's clock was ahead of the callers'."""

    ahead_us_min: float = -math.inf
    ahead_us_max: float = math.inf

    def narrowed(self, ahead_us_min: float | None, ahead_us_max: float | None) -> "DatabaseClock":
        """Return what is known with a further measurement."""
        return DatabaseClock(
            ahead_us_min=self.ahead_us_min
            if ahead_us_min is None
            else max(self.ahead_us_min, ahead_us_min),
            ahead_us_max=self.ahead_us_max
            if ahead_us_max is None
            else min(self.ahead_us_max, ahead_us_max),
        )


@dataclass(eq=False, slots=True)
class Facts:
    """What a history says of one campaign.

    `issues` and `reads` are in the order in which they were sent. Of the operations' times
    only those that allow for the processes' clocks are left: each was sent a little earlier
    and answered a little later than its process believed.
    """

    campaign_id: str
    clock: DatabaseClock
    campaigns: list[Campaign] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)
    reads: list[Read] = field(default_factory=list)
    stored: Stored | None = None
    coupons: dict[str, Coupon] = field(default_factory=dict)
    answers_of_user: dict[str, list[Issue]] = field(default_factory=dict)
    # The codes in order of issue, as far as anybody was shown them, and who showed them.
    order: list[str] = field(default_factory=list)
    shown_by: Stored | Read | None = None
    codes_elsewhere: set[str] = field(default_factory=set)

    def limits(self) -> list[int]:
        """Return every limit that the campaign may have had."""
        return [campaign.coupon_limit for campaign in self.campaigns] + [
            change.coupon_limit for change in self.changes if change.coupon_limit is not None
        ]

    def start_times_us(self) -> list[int]:
        """Return every start that the campaign may have had."""
        return [campaign.start_time_us for campaign in self.campaigns] + [
            change.start_time_us for change in self.changes if change.start_time_us is not None
        ]

    def end_times_us(self) -> list[int]:
        """Return every end that the campaign may have had."""
        return [
            described.end_time_us
            for described in (*self.campaigns, *self.changes)
            if described.end_time_us is not None
        ]

    def is_sure_to_end(self) -> bool:
        """Tell whether the campaign certainly had an end when it was last heard of."""
        described = any(campaign.end_time_us is not None for campaign in self.campaigns)
        return described or any(
            change.end_time_us is not None and change.outcome == OK for change in self.changes
        )

    def is_complete(self) -> bool:
        """Tell whether `order` shows every coupon: it was read when no call was under way."""
        if self.shown_by is None:
            return False
        last = max((_last_instant(issue) for issue in self.issues), default=0)
        return self.shown_by.sent_us >= last or isinstance(self.shown_by, Stored)


def _last_instant(issue: Issue) -> int:
    return issue.sent_us if issue.answered_us is None else issue.answered_us


def gather(lines: Iterable[Clock | Operation]) -> list[Facts]:
    """Return the facts of each campaign of a history."""
    clocks: dict[str, Clock] = {}
    operations: list[Operation] = []
    for line in lines:
        if isinstance(line, Clock):
            clocks[line.process] = line
        else:
            operations.append(line)
    _allow_for_errors(operations, clocks)
    operations.sort(key=lambda operation: operation.sent_us)
    clock = _database_clock(operations, clocks.values())
    all_facts: dict[str, Facts] = {}
    for operation in operations:
        facts = all_facts.get(operation.campaign_id)
        if facts is None:
            facts = all_facts[operation.campaign_id] = Facts(operation.campaign_id, clock)
        _sort_in(operation, facts)
    for facts in all_facts.values():
        _collect_coupons(facts)
        _find_order(facts)
    _find_shared_codes(list(all_facts.values()))
    return list(all_facts.values())


def _allow_for_errors(operations: list[Operation], clocks: dict[str, Clock]) -> None:
    """Move each operation's times apart by as much as its process's clock may be off."""
    errors = {process: clock.error_us for process, clock in clocks.items() if clock.error_us}
    if not errors:
        return
    for operation in operations:
        if error_us := errors.get(operation.process):
            operation.sent_us -= error_us
            if operation.answered_us is not None:
                operation.answered_us += error_us


def _database_clock(operations: list[Operation], clocks: Iterable[Clock]) -> DatabaseClock:
    """Put together the measurements: those recorded, and the campaigns that were created.

    A campaign's create_time is a reading of the database's clock between the sending and
    the answer of its CreateCampaign.
    """
    known = DatabaseClock()
    for clock in clocks:
        known = known.narrowed(clock.database_ahead_us_min, clock.database_ahead_us_max)
    for operation in operations:
        if not isinstance(operation, Campaign) or operation.create_time_us is None:
            continue
        if operation.answered_us is not None:
            known = known.narrowed(
                operation.create_time_us - operation.answered_us,
                operation.create_time_us - operation.sent_us,
            )
    return known


def _sort_in(operation: Operation, facts: Facts) -> None:
    match operation:
        case Issue():
            facts.issues.append(operation)
        case Read():
            facts.reads.append(operation)
        case Campaign():
            facts.campaigns.append(operation)
        case Change() if may_have_happened(operation):
            facts.changes.append(operation)
        case Change():
            pass  # it was refused, so nothing changed
        case Stored():
            facts.stored = operation


def _collect_coupons(facts: Facts) -> None:
    first_sent_of_user: dict[str, int] = {}
    for issue in facts.issues:
        if issue.user_id:
            first_sent_of_user.setdefault(issue.user_id, issue.sent_us)
            facts.answers_of_user.setdefault(issue.user_id, []).append(issue)
        if issue.outcome == OK:
            _add_answer(facts, issue)
    for coupon in facts.coupons.values():
        if not coupon.is_fresh:
            coupon.sent_us = first_sent_of_user.get(coupon.first.user_id, coupon.sent_us)


def _add_answer(facts: Facts, issue: Issue) -> None:
    answered_us = NEVER_US if issue.answered_us is None else issue.answered_us
    coupon = facts.coupons.get(issue.code)
    if coupon is None:
        facts.coupons[issue.code] = Coupon(
            issue.code, issue.sequence, issue, issue.sent_us, answered_us, [issue]
        )
        return
    coupon.answers.append(issue)
    coupon.answered_us = min(coupon.answered_us, answered_us)
    if not issue.already_issued and not coupon.is_fresh:
        coupon.first, coupon.sent_us = issue, issue.sent_us


def _find_order(facts: Facts) -> None:
    if facts.stored is not None:
        rows = sorted(facts.stored.coupons, key=lambda coupon: coupon.sequence)
        facts.order = [row.code for row in rows]
        facts.shown_by = facts.stored
        return
    full = [read for read in facts.reads if read.outcome == OK and read.view == FULL]
    if full:
        # The one sent last; what is wrong with an earlier and longer one is for a rule to say.
        facts.shown_by = full[-1]
        facts.order = full[-1].codes


def _find_shared_codes(all_facts: list[Facts]) -> None:
    """Note in each campaign which of its codes another one has too."""
    owner: dict[str, Facts] = {}
    for facts in all_facts:
        for code in facts.coupons.keys() | set(facts.order):
            other = owner.setdefault(code, facts)
            if other is not facts:
                facts.codes_elsewhere.add(code)
