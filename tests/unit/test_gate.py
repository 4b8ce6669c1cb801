"""The gate refuses only what the database would certainly refuse, and soon forgets."""

import dataclasses
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coupon_service.domain import Campaign, CampaignState, Sighting
from coupon_service.errors import (
    CampaignEnded,
    CampaignNotStarted,
    CampaignPaused,
    CampaignSoldOut,
    IssueRefused,
)
from coupon_service.gate import (
    CAMPAIGNS_MAX,
    CLOCK_MARGIN_SECONDS,
    Gate,
    open_until,
    refusal_seen,
    refusal_since,
)

CAMPAIGN_ID = UUID(int=1)
READ_TIME = datetime(2030, 1, 31, 20, 0, tzinfo=UTC)
SECONDS_MAX = 8.0
MARGIN = timedelta(seconds=CLOCK_MARGIN_SECONDS)
MICROSECOND = timedelta(microseconds=1)
# Seconds of the monotonic clock as floats are exact to less than this.
ROUNDING = timedelta(microseconds=10)

OPEN = Campaign(
    campaign_id=CAMPAIGN_ID,
    name="Launch night",
    coupon_limit=100,
    issued_count=0,
    start_time=READ_TIME - timedelta(days=1),
    end_time=None,
    pause_time=None,
    create_time=READ_TIME - timedelta(days=2),
    claim_epoch=7,
)
SOLD_OUT = dataclasses.replace(OPEN, issued_count=100)


class Clock:
    """A monotonic clock that goes where the test sets it."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def gate(clock: Clock) -> Gate:
    return Gate(seconds_max=SECONDS_MAX, monotonic=clock)


def seen(campaign: Campaign, *, asked_at: float = 999.0, answered_at: float = 1000.0) -> Sighting:
    return Sighting(
        campaign=campaign, read_time=READ_TIME, asked_at=asked_at, answered_at=answered_at
    )


def asked(campaign: Campaign, *, at: float, asked_at: float, answered_at: float) -> object:
    """Return the type of the gate's answer at an instant, having seen a campaign."""
    clock = Clock()
    gate = Gate(seconds_max=SECONDS_MAX, monotonic=clock)
    gate.remember(seen(campaign, asked_at=asked_at, answered_at=answered_at))
    clock.seconds = at
    refusal = gate.refusal(campaign.campaign_id)
    return None if refusal is None else type(refusal)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reading:
    """A reading of the database's clock, and what that clock truly shows later."""

    asked_at: float
    answered_at: float
    at: float
    true_time: datetime


@st.composite
def readings(draw: st.DrawFn) -> Reading:
    """Any round trip, any moment in it at which the clock was read, any drift within the margin."""
    asked_at = draw(st.floats(0, 1e7))
    round_trip = draw(st.floats(0, 20))
    read_at = asked_at + round_trip * draw(st.floats(0, 1))
    answered_at = asked_at + round_trip
    at = answered_at + draw(st.floats(0, 1.25 * SECONDS_MAX))
    margin = MARGIN - ROUNDING
    drift = draw(st.timedeltas(-margin, margin))
    return Reading(
        asked_at=asked_at,
        answered_at=answered_at,
        at=at,
        true_time=READ_TIME + timedelta(seconds=at - read_at) + drift,
    )


# Most often close by, where a wrong bound shows.
SPANS = st.one_of(
    st.just(timedelta(0)),
    st.timedeltas(timedelta(0), timedelta(seconds=1)),
    st.timedeltas(timedelta(0), timedelta(days=30)),
)


@settings(max_examples=1000)
@given(
    reading=readings(),
    open_for=SPANS,
    open_still=st.one_of(st.none(), SPANS),
    coupons_left=st.integers(1, OPEN.coupon_limit),
    was_paused=st.booleans(),
)
def test_a_claim_that_the_database_would_grant_is_never_refused(
    *,
    reading: Reading,
    open_for: timedelta,
    open_still: timedelta | None,
    coupons_left: int,
    was_paused: bool,
) -> None:
    """Whatever was seen, if the campaign is truly open now, the database is asked."""
    true_end = None if open_still is None else reading.true_time + open_still + MICROSECOND
    campaign = dataclasses.replace(
        OPEN,
        start_time=reading.true_time - open_for,
        end_time=true_end,
        issued_count=OPEN.coupon_limit - coupons_left,
        # A pause seen may have been lifted since.
        pause_time=READ_TIME if was_paused else None,
    )
    resumed = dataclasses.replace(campaign, pause_time=None)
    assert resumed.state_at(reading.true_time) is CampaignState.ACTIVE
    answer = asked(
        campaign, at=reading.at, asked_at=reading.asked_at, answered_at=reading.answered_at
    )
    assert answer is None


@settings(max_examples=500)
@given(reading=readings(), to_start=SPANS, to_end=SPANS, issued_count=st.sampled_from([0, 99]))
def test_a_refusal_is_what_the_database_would_say(
    reading: Reading, to_start: timedelta, to_end: timedelta, issued_count: int
) -> None:
    """With no pause and coupons left, only the clock decides; the gate says no other reason."""
    campaign = dataclasses.replace(
        OPEN,
        start_time=READ_TIME + to_start,
        end_time=READ_TIME + to_start + to_end + MICROSECOND,
        issued_count=issued_count,
    )
    truth = {
        CampaignState.SCHEDULED: CampaignNotStarted,
        CampaignState.ACTIVE: None,
        CampaignState.ENDED: CampaignEnded,
    }[campaign.state_at(reading.true_time)]
    answer = asked(
        campaign, at=reading.at, asked_at=reading.asked_at, answered_at=reading.answered_at
    )
    assert answer in {None, truth}


@given(reading=readings(), to_start=SPANS)
def test_the_time_left_is_never_too_short_by_more_than_the_margin(
    reading: Reading, to_start: timedelta
) -> None:
    campaign = dataclasses.replace(OPEN, start_time=reading.true_time + to_start)
    sighting = seen(campaign, asked_at=reading.asked_at, answered_at=reading.answered_at)
    refusal = refusal_since(sighting, reading.at)
    if isinstance(refusal, CampaignNotStarted):
        assert refusal.start_time == campaign.start_time
        assert refusal.time_left > to_start - MARGIN
        assert refusal.time_left > timedelta(0)


@settings(max_examples=1000)
@given(
    reading=readings(),
    to_start=st.timedeltas(-timedelta(seconds=20), timedelta(seconds=20)),
    open_for=st.one_of(st.none(), SPANS),
    coupons_left=st.integers(0, 2),
    was_paused=st.booleans(),
)
def test_before_the_instant_until_which_it_is_open_a_campaign_is_never_refused(
    *,
    reading: Reading,
    to_start: timedelta,
    open_for: timedelta | None,
    coupons_left: int,
    was_paused: bool,
) -> None:
    start_time = READ_TIME + to_start
    campaign = dataclasses.replace(
        OPEN,
        start_time=start_time,
        end_time=None if open_for is None else start_time + open_for + MICROSECOND,
        issued_count=OPEN.coupon_limit - coupons_left,
        pause_time=READ_TIME if was_paused else None,
    )
    sighting = seen(campaign, asked_at=reading.asked_at, answered_at=reading.answered_at)
    if reading.at < open_until(sighting):
        assert refusal_seen(sighting) is None
        assert refusal_since(sighting, reading.at) is None


@pytest.mark.parametrize(
    ("campaign", "until"),
    [
        (OPEN, math.inf),
        (dataclasses.replace(OPEN, end_time=READ_TIME + timedelta(seconds=4)), 1003.0),
        (dataclasses.replace(OPEN, end_time=READ_TIME), -math.inf),
        (SOLD_OUT, -math.inf),
        (dataclasses.replace(OPEN, pause_time=READ_TIME), -math.inf),
        (dataclasses.replace(OPEN, start_time=READ_TIME + MICROSECOND), -math.inf),
    ],
    ids=["no end", "an end", "ended", "sold out", "paused", "not started"],
)
def test_an_open_campaign_is_open_until_the_earliest_time_its_end_can_be(
    campaign: Campaign, until: float
) -> None:
    assert open_until(seen(campaign, asked_at=999.0)) == until


@pytest.mark.parametrize(("at", "is_open"), [(1000.0, True), (1002.5, True), (1003.0, False)])
def test_a_campaign_seen_open_is_open_to_its_end_and_not_from_then_on(
    gate: Gate, clock: Clock, at: float, *, is_open: bool
) -> None:
    gate.remember(seen(dataclasses.replace(OPEN, end_time=READ_TIME + timedelta(seconds=4))))
    clock.seconds = at
    assert gate.is_open(CAMPAIGN_ID) is is_open


def test_a_campaign_without_an_end_is_open_however_long_ago_it_was_seen(
    gate: Gate, clock: Clock
) -> None:
    gate.remember(seen(OPEN))
    clock.seconds += 10 * SECONDS_MAX
    assert gate.is_open(CAMPAIGN_ID)


def test_a_campaign_that_is_unknown_or_forgotten_or_seen_closed_is_not_open(gate: Gate) -> None:
    heard = [gate.is_open(CAMPAIGN_ID)]
    sold_out = seen(SOLD_OUT, asked_at=1000.0)
    forgetting: list[Callable[[], None]] = [
        lambda: gate.remember(sold_out),
        lambda: gate.forget(CAMPAIGN_ID),
        gate.clear,
    ]
    for forget in forgetting:
        gate.remember(seen(OPEN, asked_at=1000.0))
        heard.append(gate.is_open(CAMPAIGN_ID))
        forget()
        heard.append(gate.is_open(CAMPAIGN_ID))
    assert heard == [False, True, False, True, False, True, False]


def test_a_campaign_that_made_room_is_not_open_and_has_no_epoch(gate: Gate) -> None:
    ids = [UUID(int=i) for i in range(CAMPAIGNS_MAX + 1)]
    for campaign_id in ids:
        gate.remember(seen(dataclasses.replace(OPEN, campaign_id=campaign_id)))
    assert [each for each in ids if not gate.is_open(each)] == ids[:1]
    assert [each for each in ids if gate.claim_epoch(each) is None] == ids[:1]


def test_an_unknown_campaign_is_never_refused(gate: Gate) -> None:
    assert (gate.refusal(CAMPAIGN_ID), gate.claim_epoch(CAMPAIGN_ID)) == (None, None)


def test_a_sold_out_campaign_is_refused(gate: Gate) -> None:
    gate.remember(seen(SOLD_OUT))
    assert type(gate.refusal(CAMPAIGN_ID)) is CampaignSoldOut


def test_an_open_campaign_is_not_refused(gate: Gate) -> None:
    gate.remember(seen(OPEN))
    assert gate.refusal(CAMPAIGN_ID) is None


def test_a_campaign_with_one_coupon_left_is_not_refused(gate: Gate) -> None:
    gate.remember(seen(dataclasses.replace(OPEN, issued_count=99)))
    assert gate.refusal(CAMPAIGN_ID) is None


@pytest.mark.parametrize("to_start", [timedelta(days=-1), timedelta(days=1)])
def test_a_paused_campaign_is_not_refused_because_it_may_have_been_resumed(
    gate: Gate, to_start: timedelta
) -> None:
    paused = dataclasses.replace(OPEN, start_time=READ_TIME + to_start, pause_time=READ_TIME)
    gate.remember(seen(paused))
    assert gate.refusal(CAMPAIGN_ID) is None


def test_a_paused_campaign_is_refused_when_it_is_sold_out_or_ended() -> None:
    sold_out = dataclasses.replace(SOLD_OUT, pause_time=READ_TIME)
    ended = dataclasses.replace(OPEN, pause_time=READ_TIME, end_time=READ_TIME - MARGIN)
    answers = [type(refusal_since(seen(campaign), 1000.0)) for campaign in (sold_out, ended)]
    assert answers == [CampaignSoldOut, CampaignEnded]


@pytest.mark.parametrize(
    ("past_the_bound", "answer"), [(-MICROSECOND, type(None)), (timedelta(0), CampaignEnded)]
)
def test_ended_is_certain_a_margin_after_the_earliest_time_it_can_be(
    past_the_bound: timedelta, answer: type
) -> None:
    # Read at the latest just before the answer, 4 s ago: 4 s later than read_time at least.
    earliest = READ_TIME + timedelta(seconds=4)
    end_time = earliest - MARGIN - past_the_bound
    sighting = seen(dataclasses.replace(OPEN, end_time=end_time), asked_at=998.0)
    assert type(refusal_since(sighting, 1004.0)) is answer


@pytest.mark.parametrize(
    ("past_the_bound", "answer"), [(timedelta(0), type(None)), (MICROSECOND, CampaignNotStarted)]
)
def test_not_started_is_certain_a_margin_before_the_latest_time_it_can_be(
    past_the_bound: timedelta, answer: type
) -> None:
    # Read at the earliest when it was asked, 6 s ago: 6 s later than read_time at most.
    latest = READ_TIME + timedelta(seconds=6)
    start_time = latest + MARGIN + past_the_bound
    sighting = seen(dataclasses.replace(OPEN, start_time=start_time), asked_at=998.0)
    assert type(refusal_since(sighting, 1004.0)) is answer


def test_the_margin_is_a_quarter_of_a_second() -> None:
    assert CLOCK_MARGIN_SECONDS == 0.25


def test_not_started_tells_the_start_and_the_longest_time_left(gate: Gate, clock: Clock) -> None:
    start_time = READ_TIME + timedelta(seconds=60)
    gate.remember(seen(dataclasses.replace(OPEN, start_time=start_time)))
    clock.seconds = 1004.0
    refusal = gate.refusal(CAMPAIGN_ID)
    assert isinstance(refusal, CampaignNotStarted)
    assert (refusal.start_time, refusal.time_left) == (start_time, timedelta(seconds=56))


@pytest.mark.parametrize(
    ("campaign", "answer"),
    [
        (OPEN, type(None)),
        (SOLD_OUT, CampaignSoldOut),
        (dataclasses.replace(OPEN, pause_time=READ_TIME), CampaignPaused),
        (dataclasses.replace(OPEN, start_time=READ_TIME + MICROSECOND), CampaignNotStarted),
        (dataclasses.replace(OPEN, start_time=READ_TIME), type(None)),
        (dataclasses.replace(OPEN, end_time=READ_TIME), CampaignEnded),
        (dataclasses.replace(OPEN, end_time=READ_TIME + MICROSECOND), type(None)),
        (dataclasses.replace(SOLD_OUT, end_time=READ_TIME), CampaignEnded),
    ],
)
def test_what_was_seen_is_judged_by_the_time_it_was_read(
    campaign: Campaign, answer: type[IssueRefused]
) -> None:
    assert type(refusal_seen(seen(campaign))) is answer


def test_what_was_seen_not_started_tells_the_exact_time_left() -> None:
    start_time = READ_TIME + timedelta(milliseconds=1500)
    refusal = refusal_seen(seen(dataclasses.replace(OPEN, start_time=start_time)))
    assert isinstance(refusal, CampaignNotStarted)
    assert (refusal.start_time, refusal.time_left) == (start_time, timedelta(milliseconds=1500))


@pytest.mark.parametrize(
    ("age", "answer"), [(0.0, CampaignSoldOut), (8.0, CampaignSoldOut), (8.125, type(None))]
)
def test_a_sighting_is_used_for_seconds_max_since_its_answer_and_no_longer(
    gate: Gate, clock: Clock, age: float, answer: type
) -> None:
    gate.remember(seen(SOLD_OUT))
    clock.seconds = 1000.0 + age
    assert type(gate.refusal(CAMPAIGN_ID)) is answer


def test_the_epoch_is_told_however_long_ago_it_was_seen(gate: Gate, clock: Clock) -> None:
    gate.remember(seen(SOLD_OUT))
    clock.seconds += 10 * SECONDS_MAX
    assert gate.claim_epoch(CAMPAIGN_ID) == 7


def test_a_newer_sighting_replaces_the_older(gate: Gate) -> None:
    gate.remember(seen(SOLD_OUT))
    gate.remember(seen(dataclasses.replace(OPEN, claim_epoch=8)))
    assert (gate.refusal(CAMPAIGN_ID), gate.claim_epoch(CAMPAIGN_ID)) == (None, 8)


def test_a_changed_campaign_is_forgotten_and_no_other(gate: Gate) -> None:
    other_id = UUID(int=2)
    gate.remember(seen(SOLD_OUT))
    gate.remember(seen(dataclasses.replace(SOLD_OUT, campaign_id=other_id)))
    gate.forget(CAMPAIGN_ID)
    assert (gate.refusal(CAMPAIGN_ID), gate.claim_epoch(CAMPAIGN_ID)) == (None, None)
    assert type(gate.refusal(other_id)) is CampaignSoldOut


@pytest.mark.parametrize("forget_all", [True, False])
def test_what_was_asked_before_a_change_is_not_believed_after_it(
    gate: Gate, clock: Clock, *, forget_all: bool
) -> None:
    """The notification may overtake an answer that was read before the change."""
    clock.seconds = 999.5
    if forget_all:
        gate.clear()
    else:
        gate.forget(CAMPAIGN_ID)
    clock.seconds = 1000.0
    gate.remember(seen(SOLD_OUT, asked_at=999.25))
    assert gate.refusal(CAMPAIGN_ID) is None
    gate.remember(seen(SOLD_OUT, asked_at=999.75))
    assert type(gate.refusal(CAMPAIGN_ID)) is CampaignSoldOut


def test_an_unknown_campaign_can_be_forgotten(gate: Gate) -> None:
    gate.remember(seen(SOLD_OUT))
    gate.forget(UUID(int=2))
    assert type(gate.refusal(CAMPAIGN_ID)) is CampaignSoldOut


def test_everything_is_forgotten_when_changes_may_have_been_missed(gate: Gate) -> None:
    ids = [UUID(int=i) for i in range(3)]
    for campaign_id in ids:
        gate.remember(seen(dataclasses.replace(SOLD_OUT, campaign_id=campaign_id)))
    gate.clear()
    assert [(gate.refusal(each), gate.claim_epoch(each)) for each in ids] == [(None, None)] * 3


def test_the_campaign_kept_longest_makes_room_when_10_000_are_known(gate: Gate) -> None:
    ids = [UUID(int=i) for i in range(CAMPAIGNS_MAX + 1)]
    for campaign_id in ids[:-1]:
        gate.remember(seen(dataclasses.replace(SOLD_OUT, campaign_id=campaign_id)))
    gate.remember(seen(dataclasses.replace(SOLD_OUT, campaign_id=ids[0])))  # seen anew
    gate.remember(seen(dataclasses.replace(SOLD_OUT, campaign_id=ids[-1])))
    unknown = [each for each in ids if gate.refusal(each) is None]
    assert (CAMPAIGNS_MAX, unknown) == (10_000, [ids[1]])


def test_a_known_campaign_seen_anew_displaces_no_other(gate: Gate) -> None:
    ids = [UUID(int=i) for i in range(CAMPAIGNS_MAX)]
    for campaign_id in [*ids, ids[5]]:
        gate.remember(seen(dataclasses.replace(SOLD_OUT, campaign_id=campaign_id)))
    assert [each for each in ids if gate.refusal(each) is None] == []
