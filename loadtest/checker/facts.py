"""What a history says of one campaign, put in the order that the rules ask for it."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from loadtest.checker.outcomes import may_have_happened, may_have_issued
from loadtest.checker.settings import NEVER_US, Settings, settings_of
from loadtest.history import FULL, OK, Campaign, Change, Clock, Issue, Operation, Read, Stored


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
    """Between how much and how much the database's clock was ahead of the callers'.

    Readings that contradict each other say nothing, except that it `is_one` no longer.
    """

    ahead_us_min: float = -math.inf
    ahead_us_max: float = math.inf
    is_one: bool = True

    @property
    def is_known(self) -> bool:
        """Tell whether anything was measured."""
        return self.ahead_us_min > -math.inf or self.ahead_us_max < math.inf


@dataclass(eq=False, slots=True)
class Facts:
    """What a history says of one campaign.

    `issues` and `reads` are in the order in which they were sent; of the reads, changes
    and descriptions only those are here that were answered, or may have happened. While a
    history is checked, the operations' times allow for the processes' clocks: each was sent
    a little earlier and answered a little later than its process believed.
    """

    campaign_id: str
    clock: DatabaseClock
    campaigns: list[Campaign] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)
    reads: list[Read] = field(default_factory=list)
    stored: Stored | None = None
    limits: Settings = field(default_factory=Settings)
    start_times_us: Settings = field(default_factory=Settings)
    end_times_us: Settings = field(default_factory=Settings)
    coupons: dict[str, Coupon] = field(default_factory=dict)
    answers_of_user: dict[str, list[Issue]] = field(default_factory=dict)
    # The codes in order of issue, as far as anybody was shown them, and who showed them.
    order: list[str] = field(default_factory=list)
    shown_by: Stored | Read | None = None
    codes_elsewhere: set[str] = field(default_factory=set)

    @property
    def has_coupons(self) -> bool:
        """Tell whether any coupon is known, shown or stored."""
        return bool(self.coupons) or (self.stored is not None and bool(self.stored.coupons))

    def must_show(self, coupon: Coupon) -> bool:
        """Tell whether a coupon must be in `order`: it was answered before that was read."""
        match self.shown_by:
            case None:
                return False
            case Stored():
                return True
            case Read(sent_us=sent_us):
                return coupon.answered_us < sent_us


def answered(operation: Operation) -> int:
    """Return when an operation was answered, or the caller stopped waiting, if it ever did."""
    return NEVER_US if operation.answered_us is None else operation.answered_us


def gather(operations: Iterable[Operation], clocks: Iterable[Clock]) -> list[Facts]:
    """Return the facts of each campaign of a history."""
    in_order = sorted(operations, key=lambda operation: operation.sent_us)
    clock = _database_clock(in_order, clocks)
    all_facts: dict[str, Facts] = {}
    for operation in in_order:
        facts = all_facts.get(operation.campaign_id)
        if facts is None:
            facts = all_facts[operation.campaign_id] = Facts(operation.campaign_id, clock)
        _sort_in(operation, facts)
    for facts in all_facts.values():
        _find_settings(facts)
        _collect_coupons(facts)
        _find_order(facts)
    _find_shared_codes(list(all_facts.values()))
    return list(all_facts.values())


def _database_clock(operations: Iterable[Operation], clocks: Iterable[Clock]) -> DatabaseClock:
    """Put together the measurements: those recorded, and the campaigns that were created.

    A campaign's create_time is a reading of the database's clock between the sending and
    the answer of its CreateCampaign.
    """
    at_least: list[float] = [-math.inf]
    at_most: list[float] = [math.inf]
    for clock in clocks:
        if clock.database_ahead_us_min is not None:
            at_least.append(clock.database_ahead_us_min)
        if clock.database_ahead_us_max is not None:
            at_most.append(clock.database_ahead_us_max)
    for operation in operations:
        match operation:
            case Campaign(outcome="OK", create_time_us=int(create_time_us)):
                at_least.append(create_time_us - answered(operation))
                at_most.append(create_time_us - operation.sent_us)
    if max(at_least) > min(at_most):
        return DatabaseClock(is_one=False)
    return DatabaseClock(ahead_us_min=max(at_least), ahead_us_max=min(at_most))


def _sort_in(operation: Operation, facts: Facts) -> None:
    match operation:
        case Issue():
            facts.issues.append(operation)
        case Change():
            if may_have_happened(operation):
                facts.changes.append(operation)
        case Read(outcome="OK"):
            facts.reads.append(operation)
        case Campaign(outcome="OK"):
            facts.campaigns.append(operation)
        case Stored(outcome="OK"):
            facts.stored = operation
        case _:
            pass  # it was not answered, so it says nothing


def _find_settings(facts: Facts) -> None:
    described, changes = facts.campaigns, facts.changes
    facts.limits = settings_of(
        [(campaign, campaign.coupon_limit) for campaign in described],
        [(change, change.coupon_limit) for change in changes],
    )
    facts.start_times_us = settings_of(
        [(campaign, campaign.start_time_us) for campaign in described],
        [(change, change.start_time_us) for change in changes],
    )
    facts.end_times_us = settings_of(
        [
            (campaign, NEVER_US if campaign.end_time_us is None else campaign.end_time_us)
            for campaign in described
        ],
        [(change, change.end_time_us) for change in changes],
    )


def _collect_coupons(facts: Facts) -> None:
    for issue in facts.issues:
        if issue.user_id:
            facts.answers_of_user.setdefault(issue.user_id, []).append(issue)
        if issue.outcome == OK:
            _add_answer(facts, issue)
    for coupon in facts.coupons.values():
        if not coupon.is_fresh:
            coupon.sent_us = _first_possible_cause(facts, coupon).sent_us


def _add_answer(facts: Facts, issue: Issue) -> None:
    coupon = facts.coupons.get(issue.code)
    if coupon is None:
        facts.coupons[issue.code] = Coupon(
            issue.code, issue.sequence, issue, issue.sent_us, answered(issue), [issue]
        )
        return
    coupon.answers.append(issue)
    coupon.answered_us = min(coupon.answered_us, answered(issue))
    if not issue.already_issued and not coupon.is_fresh:
        coupon.first, coupon.sent_us = issue, issue.sent_us


def _first_possible_cause(facts: Facts, coupon: Coupon) -> Issue:
    """Return the first call that can have got a coupon of which only repeats were answered."""
    calls = facts.answers_of_user.get(coupon.first.user_id, [coupon.first])
    return next((call for call in calls if may_have_issued(call)), calls[0])


def _find_order(facts: Facts) -> None:
    if facts.stored is not None:
        rows = sorted(facts.stored.coupons, key=lambda coupon: coupon.sequence)
        facts.order = [row.code for row in rows]
        facts.shown_by = facts.stored
        return
    full = [read for read in facts.reads if read.view == FULL]
    if full:
        # The one sent last; what is wrong with an earlier and longer one is for a rule to say.
        facts.shown_by = max(full, key=lambda read: (read.sent_us, len(read.codes)))
        facts.order = facts.shown_by.codes


def _find_shared_codes(all_facts: list[Facts]) -> None:
    """Note in each campaign which of its codes another one has too."""
    if len(all_facts) == 1:
        return
    owner: dict[str, Facts] = {}
    for facts in all_facts:
        for code in facts.coupons.keys() | set(facts.order):
            other = owner.setdefault(code, facts)
            if other is not facts:
                facts.codes_elsewhere.add(code)
