"""Histories that a service without fault could leave: what the checker must never complain of.

A `Plan` says what clients will do, and `history_of` lets an ideal service answer them. That
service does everything at one instant between the sending of a call and its answer. Times are
microseconds, so few that many of them are equal.
"""

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum

from hypothesis import strategies as st

from loadtest.history import (
    BASIC,
    FULL,
    NO_ANSWER,
    OK,
    Campaign,
    Change,
    Clock,
    Issue,
    Line,
    Read,
    Stored,
    StoredCoupon,
    decode,
    encode,
)

# What a caller may be told that has no coupon, whether or not one was issued to it.
UNCLEAR = (NO_ANSWER, "OUTCOME_UNKNOWN", "deadline_exceeded", "unavailable", "canceled", "unknown")
# What a caller is told to whom nothing was issued, however the campaign stands.
REFUSALS = ("OVERLOADED", "UNAUTHENTICATED", "PERMISSION_DENIED", "INVALID_REQUEST")
USERS = ("", "", "user a", "user b", "user c", "user d")


class Fate(Enum):
    """What becomes of a call of IssueCoupon."""

    ANSWERED = "answered"
    LOST = "done, and the caller does not learn it"
    DROPPED = "not done, and the caller does not learn that"
    REFUSED = "not done, for a reason that has nothing to do with the campaign"
    NO_STORAGE = "the storage could not be reached, or its answer was lost"


@dataclass(frozen=True, kw_only=True, slots=True)
class Ask:
    """A call of IssueCoupon; `word` chooses what it is told if it does not get its answer."""

    user_id: str
    fate: Fate
    word: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """A call of GetCampaign."""

    view: str
    is_lost: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Describe:
    """A call of GetCampaign that is recorded for what it says of the campaign itself."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Alter:
    """An operator's change of one field; times are the database's, as offsets from its epoch."""

    field: str
    value: int
    is_lost: bool


Deed = Ask | Look | Describe | Alter


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """Something that a client does.

    Its transaction begins `begins_after` it was sent, does everything `happens_after` that,
    and is answered `answered_after` that. Who does not get an answer gives up
    `answered_after` the call was sent, or never, if that is 0.
    """

    process: int
    campaign: int
    sent: int
    begins_after: int
    happens_after: int
    answered_after: int
    deed: Deed

    @property
    def begun(self) -> int:
        """Return when its transaction begins."""
        return self.sent + self.begins_after

    @property
    def instant(self) -> int:
        """Return when it happens."""
        return self.begun + self.happens_after

    @property
    def answered(self) -> int:
        """Return when its answer arrives, if it does."""
        return self.instant + self.answered_after

    @property
    def given_up(self) -> int | None:
        """Return when a caller without an answer stops waiting."""
        return self.sent + self.answered_after if self.answered_after else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Opening:
    """A campaign to be; times are the database's, as offsets from its epoch."""

    limit: int
    start: int
    open_for: int | None
    is_created: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class ClientClock:
    """A process's clock: how far off it may be, how far off it is, and what it says of another."""

    error: int
    off: int
    database_margin: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """All that decides a history. `final` is FULL for a read in the end, or "stored"."""

    ahead: int
    clocks: tuple[ClientClock, ...]
    openings: tuple[Opening, ...]
    steps: tuple[Step, ...]
    final: str | None


@dataclass(slots=True)
class _Ideal:
    """A campaign of a service without fault."""

    campaign_id: str
    coupon_limit: int
    start_time_us: int
    end_time_us: int | None
    rows: list[StoredCoupon] = field(default_factory=list)

    def issue(self, code: str, user_id: str, begun_us: int) -> tuple[str, StoredCoupon | None]:
        """Return the outcome, and the user's coupon or a new one, at the database's time."""
        own = next((row for row in self.rows if user_id and row.user_id == user_id), None)
        if own is not None:
            return OK, own
        if begun_us < self.start_time_us:
            return "CAMPAIGN_NOT_STARTED", None
        if self.end_time_us is not None and begun_us >= self.end_time_us:
            return "CAMPAIGN_ENDED", None
        if len(self.rows) >= self.coupon_limit:
            return "SOLD_OUT", None
        # Transactions may get the row in another order than they began.
        issue_time_us = max([begun_us, *(row.issue_time_us for row in self.rows[-1:])])
        row = StoredCoupon(code, len(self.rows) + 1, user_id, issue_time_us)
        self.rows.append(row)
        return OK, row

    def alter(self, field_name: str, value: int, now_us: int) -> bool:
        """Set a field, or return False where that is refused."""
        match field_name:
            case "coupon_limit":
                allowed = value >= max(1, len(self.rows))
            case "start_time_us":
                end_us = self.end_time_us
                allowed = now_us < self.start_time_us and (end_us is None or value < end_us)
            case _:
                is_over = self.end_time_us is not None and now_us >= self.end_time_us
                allowed = value > self.start_time_us and not is_over
        if allowed:
            setattr(self, field_name, value)
        return allowed


class _Simulation:
    """Does the steps of a plan one after the other, in the order of their instants."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._lines: list[Line] = []
        self._campaigns = [
            _Ideal(
                campaign_id=f"campaign {number}",
                coupon_limit=opening.limit,
                start_time_us=plan.ahead + opening.start,
                end_time_us=None
                if opening.open_for is None
                else plan.ahead + opening.start + opening.open_for,
            )
            for number, opening in enumerate(plan.openings)
        ]
        self._code_count = 0

    def run(self) -> list[Line]:
        """Return the history."""
        for number, clock in enumerate(self._plan.clocks):
            self._lines.append(self._described(number, clock))
        for opening, campaign in zip(self._plan.openings, self._campaigns, strict=True):
            if opening.is_created:
                self._create(campaign)
        steps = [*self._plan.steps, *self._final_reads()]
        for step in sorted(steps, key=lambda step: step.instant):
            self._do(step)
        if self._plan.final == "stored":
            end = max((max(step.answered, step.given_up or 0) for step in steps), default=0)
            self._lines += [self._stored(campaign, end) for campaign in self._campaigns]
        return self._lines

    def _described(self, number: int, clock: ClientClock) -> Clock:
        margin, ahead = clock.database_margin, self._plan.ahead
        return Clock(
            process=f"process {number}",
            error_us=clock.error,
            database_ahead_us_min=None if margin is None else ahead - margin,
            database_ahead_us_max=None if margin is None else ahead + margin // 2,
        )

    def _create(self, campaign: _Ideal) -> None:
        off = self._plan.clocks[0].off
        self._lines.append(
            Campaign(
                process="process 0",
                campaign_id=campaign.campaign_id,
                sent_us=off - 7,
                answered_us=off - 3,
                coupon_limit=campaign.coupon_limit,
                start_time_us=campaign.start_time_us,
                end_time_us=campaign.end_time_us,
                create_time_us=self._plan.ahead - 5,
            )
        )

    def _final_reads(self) -> list[Step]:
        """Read everything when all callers have their answers; calls may yet be under way."""
        if self._plan.final != FULL:
            return []
        margin = 2 * max(clock.error for clock in self._plan.clocks) + 1
        last = max((step.answered for step in self._plan.steps if _is_answered(step)), default=0)
        gave_up = max((step.given_up or 0 for step in self._plan.steps), default=0)
        return [
            Step(
                process=0,
                campaign=number,
                sent=max(last, gave_up) + margin,
                begins_after=1,
                happens_after=0,
                answered_after=1,
                deed=Look(view=FULL, is_lost=False),
            )
            for number in range(len(self._campaigns))
        ]

    def _do(self, step: Step) -> None:
        campaign = self._campaigns[step.campaign]
        match step.deed:
            case Ask():
                self._lines.append(self._ask(step, step.deed, campaign))
            case Look():
                self._lines.append(self._look(step, step.deed, campaign))
            case Alter():
                self._lines.append(self._alter(step, step.deed, campaign))
            case Describe():
                self._lines.append(self._describe(step, campaign))

    def _ask(self, step: Step, ask: Ask, campaign: _Ideal) -> Issue:
        line = Issue(
            process=f"process {step.process}",
            campaign_id=campaign.campaign_id,
            sent_us=self._seen(step, step.sent),
            user_id=ask.user_id,
        )
        outcome, row, is_new = OK, None, False
        if _is_done(ask):
            self._code_count += 1
            count = len(campaign.rows)
            outcome, row = campaign.issue(
                f"가{self._code_count:04}", ask.user_id, step.begun + self._plan.ahead
            )
            is_new = len(campaign.rows) > count
        if ask.fate is Fate.ANSWERED:
            line.answered_us = self._seen(step, step.answered)
            line.outcome = outcome
            if row is not None:
                line.code, line.sequence, line.issue_time_us = _shown(row)
                line.already_issued = not is_new
            return line
        if step.given_up is not None:
            line.answered_us = self._seen(step, step.given_up)
        line.outcome = _told(ask)
        return line

    def _look(self, step: Step, look: Look, campaign: _Ideal) -> Read:
        line = Read(
            process=f"process {step.process}",
            campaign_id=campaign.campaign_id,
            sent_us=self._seen(step, step.sent),
            view=look.view,
            outcome=NO_ANSWER,
        )
        if not look.is_lost:
            line.outcome = OK
            line.answered_us = self._seen(step, step.answered)
            line.issued_count = len(campaign.rows)
            if look.view == FULL:
                line.codes = [row.code for row in campaign.rows]
        return line

    def _alter(self, step: Step, alter: Alter, campaign: _Ideal) -> Change:
        value = alter.value
        if alter.field != "coupon_limit":
            value += self._plan.ahead
        is_done = campaign.alter(alter.field, value, step.instant + self._plan.ahead)
        line = Change(
            process=f"process {step.process}",
            campaign_id=campaign.campaign_id,
            sent_us=self._seen(step, step.sent),
            outcome=OK if is_done else "INVALID_REQUEST",
        )
        setattr(line, alter.field, value)
        if not alter.is_lost:
            line.answered_us = self._seen(step, step.answered)
            return line
        line.outcome = NO_ANSWER
        if step.given_up is not None:
            line.answered_us = self._seen(step, step.given_up)
        return line

    def _describe(self, step: Step, campaign: _Ideal) -> Campaign:
        return Campaign(
            process=f"process {step.process}",
            campaign_id=campaign.campaign_id,
            sent_us=self._seen(step, step.sent),
            answered_us=self._seen(step, step.answered),
            coupon_limit=campaign.coupon_limit,
            start_time_us=campaign.start_time_us,
            end_time_us=campaign.end_time_us,
        )

    def _stored(self, campaign: _Ideal, end: int) -> Stored:
        off = self._plan.clocks[0].off
        return Stored(
            process="process 0",
            campaign_id=campaign.campaign_id,
            sent_us=end + 1 + off,
            answered_us=end + 2 + off,
            issued_count=len(campaign.rows),
            coupons=list(campaign.rows),
        )

    def _seen(self, step: Step, instant: int) -> int:
        return instant + self._plan.clocks[step.process].off


def history_of(plan: Plan) -> list[Line]:
    """Return what the clients of an ideal service would write down."""
    return _Simulation(plan).run()


def copied(lines: Iterable[Line]) -> list[Line]:
    """Return lines that may be changed without changing these."""
    return [decode(encode(line)) for line in lines]


def shuffled(lines: Iterable[Line], chance: random.Random) -> list[Line]:
    """Return the same history with its lines in another order."""
    mixed = list(lines)
    chance.shuffle(mixed)
    return mixed


def _is_done(ask: Ask) -> bool:
    if ask.fate is Fate.NO_STORAGE:  # an anonymous call is promised that nothing was issued
        return bool(ask.user_id) and ask.word % 2 == 0
    return ask.fate in {Fate.ANSWERED, Fate.LOST}


def _is_answered(step: Step) -> bool:
    match step.deed:
        case Ask(fate=fate):
            return fate is Fate.ANSWERED
        case Look(is_lost=is_lost) | Alter(is_lost=is_lost):
            return not is_lost
        case Describe():
            return True


def _told(ask: Ask) -> str:
    match ask.fate:
        case Fate.REFUSED:
            return REFUSALS[ask.word % len(REFUSALS)]
        case Fate.NO_STORAGE:
            return "STORAGE_UNAVAILABLE"
        case _:
            return UNCLEAR[ask.word % len(UNCLEAR)]


def _shown(row: StoredCoupon) -> tuple[str, int, int]:
    return row.code, row.sequence, row.issue_time_us


FATES = st.sampled_from([Fate.ANSWERED] * 6 + [fate for fate in Fate if fate is not Fate.ANSWERED])
ASKS = st.builds(Ask, user_id=st.sampled_from(USERS), fate=FATES, word=st.integers(0, 11))
LOOKS = st.builds(
    Look,
    view=st.sampled_from([FULL, FULL, BASIC]),
    is_lost=st.sampled_from([False] * 5 + [True]),
)
ALTERS = st.one_of(
    st.builds(
        Alter,
        field=st.just("coupon_limit"),
        value=st.integers(1, 12),
        is_lost=st.booleans(),
    ),
    st.builds(
        Alter,
        field=st.sampled_from(["start_time_us", "end_time_us"]),
        value=st.integers(-10, 50),
        is_lost=st.booleans(),
    ),
)


DEEDS: st.SearchStrategy[Deed] = st.one_of(
    ASKS, ASKS, ASKS, ASKS, ASKS, LOOKS, LOOKS, ALTERS, st.builds(Describe)
)
FINALS: st.SearchStrategy[str | None] = st.sampled_from([None, FULL, "stored"])
OPENINGS = st.builds(
    Opening,
    limit=st.integers(1, 4),
    start=st.one_of(st.integers(-20, 0), st.integers(-20, 20)),
    open_for=st.one_of(st.none(), st.none(), st.integers(1, 60)),
    is_created=st.sampled_from([True, True, False]),
)


@st.composite
def _clocks(draw: st.DrawFn) -> ClientClock:
    error = draw(st.integers(0, 3))
    return ClientClock(
        error=error,
        off=draw(st.integers(-error, error)),
        database_margin=draw(st.sampled_from([None, None, 0, 5])),
    )


CLOCKS = _clocks()


@st.composite
def plans(
    draw: st.DrawFn,
    *,
    deeds: st.SearchStrategy[Deed] = DEEDS,
    clocks: st.SearchStrategy[ClientClock] = CLOCKS,
    openings: st.SearchStrategy[Opening] = OPENINGS,
    final: st.SearchStrategy[str | None] = FINALS,
) -> Plan:
    """Any plan, or any of those that are made of what is given."""
    made_clocks = draw(st.lists(clocks, min_size=1, max_size=3))
    made_openings = draw(st.lists(openings, min_size=1, max_size=draw(st.sampled_from([1, 1, 2]))))
    few = draw(st.sampled_from([0, 10, 20]))
    steps = st.builds(
        Step,
        process=st.integers(0, len(made_clocks) - 1),
        campaign=st.integers(0, len(made_openings) - 1),
        sent=st.integers(0, 40),
        begins_after=st.integers(0, 4),
        happens_after=st.integers(0, 12),
        answered_after=st.integers(0, 6),
        deed=deeds,
    )
    return Plan(
        ahead=draw(st.integers(-100, 100)),
        clocks=tuple(made_clocks),
        openings=tuple(made_openings),
        steps=tuple(draw(st.lists(steps, min_size=few, max_size=few + 10))),
        final=draw(final),
    )


EXACT_CLOCKS = st.just(ClientClock(error=0, off=0, database_margin=None))
PLAIN_OPENINGS = st.builds(
    Opening,
    limit=st.integers(1, 4),
    start=st.integers(-20, 10),
    open_for=st.one_of(st.none(), st.integers(10, 40)),
    is_created=st.sampled_from([True]),
)
# Nothing changes, and in the end one sees what is stored.
PLAIN = plans(
    deeds=st.one_of(ASKS, ASKS, LOOKS),
    clocks=EXACT_CLOCKS,
    openings=PLAIN_OPENINGS,
    final=st.just("stored"),
)
