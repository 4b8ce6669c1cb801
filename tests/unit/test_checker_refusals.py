"""The edges of sold_out, ended, not_started and answers."""

import pytest
from support.small_histories import (
    SAME_CLOCK,
    assert_breaks,
    assert_keeps,
    assert_not_checked,
    campaign,
    change,
    issued,
    lost,
    read,
    refused,
    row,
    stored,
)

from loadtest.history import BASIC, Clock, Issue, Line

SOLD_OUT, ENDED, NOT_STARTED = "SOLD_OUT", "CAMPAIGN_ENDED", "CAMPAIGN_NOT_STARTED"
# In these histories the campaign starts at 100 and, if it does, ends at 200.
OPEN = campaign(start=100)
ENDS = campaign(start=100, end=200)
AFTER_SOLD_OUT = (
    "가1 was issued to a call that was sent after a caller had been told that all coupons were gone"
)
AFTER_THE_END = (
    "가1 was issued to a call that was sent after a caller had been told that the campaign had "
    "ended"
)


def test_a_coupon_asked_for_at_the_instant_of_sold_out_keeps_sold_out() -> None:
    assert_keeps("sold_out", [refused(SOLD_OUT, 10, 20), issued(1, 20, 30)])


def test_a_coupon_asked_for_one_microsecond_after_sold_out_breaks_sold_out() -> None:
    told, late = refused(SOLD_OUT, 10, 20), issued(1, 21, 30)
    says = (
        "가1 was issued to a call that was sent after a caller had been told that all coupons "
        "were gone"
    )
    assert_breaks("sold_out", [told, late], says=says, proof=[told, late])


def test_a_coupon_shown_again_after_sold_out_keeps_sold_out() -> None:
    again = issued(1, 30, 40, user="a", at=5, repeat=True)
    assert_keeps("sold_out", [issued(1, 5, 9, user="a"), refused(SOLD_OUT, 10, 20), again])
    assert_keeps("sold_out", [lost(5, user="a"), refused(SOLD_OUT, 10, 20), again])


def test_a_repeat_of_a_call_that_was_lost_after_sold_out_breaks_sold_out() -> None:
    told, again = refused(SOLD_OUT, 10, 20), issued(1, 30, 40, user="a", at=25, repeat=True)
    lines: list[Line] = [told, lost(21, user="a"), again]
    assert_breaks("sold_out", lines, says=AFTER_SOLD_OUT, proof=[told, again])


def test_a_call_refused_before_sold_out_cannot_have_got_a_later_coupon() -> None:
    told, again = refused(SOLD_OUT, 10, 20), issued(1, 30, 40, user="a", at=25, repeat=True)
    lines: list[Line] = [refused("OVERLOADED", 5, 6, user="a"), told, lost(21, user="a"), again]
    assert_breaks("sold_out", lines, says=AFTER_SOLD_OUT, proof=[told, again])


def test_a_row_of_a_lost_call_after_sold_out_proves_nothing() -> None:
    lines: list[Line] = [refused(SOLD_OUT, 10, 20), lost(30), stored(row(1, at=30))]
    assert_keeps("sold_out", lines)


@pytest.mark.parametrize(
    "raised",
    [
        change(5, 10, limit=9),
        change(30, 40, limit=9),
        change(1, 2, limit=9, outcome="NO_ANSWER"),
        change(1, None, limit=9),
    ],
    ids=["until asked", "until issued", "no answer", "never answered"],
)
def test_a_limit_that_may_have_been_raised_in_between_takes_sold_out_back(raised: Line) -> None:
    assert_keeps("sold_out", [refused(SOLD_OUT, 10, 20), raised, issued(1, 25, 30)])


@pytest.mark.parametrize(
    "raised",
    [
        change(5, 9, limit=9),
        change(31, 40, limit=9),
        change(15, 20, limit=9, outcome="PERMISSION_DENIED"),
        change(15, 20, end=999),
    ],
    ids=["before it was asked", "after it was issued", "refused", "not the limit"],
)
def test_any_other_change_does_not_take_sold_out_back(raised: Line) -> None:
    told, late = refused(SOLD_OUT, 10, 20), issued(1, 25, 30)
    lines: list[Line] = [told, raised, late]
    assert_breaks("sold_out", lines, says=AFTER_SOLD_OUT, proof=[told, late])


def test_of_several_refusals_the_one_asked_for_last_counts() -> None:
    before, after = refused(SOLD_OUT, 1, 20), refused(SOLD_OUT, 11, 19)
    late = issued(1, 25, 30)
    lines: list[Line] = [before, after, change(5, 10, limit=9), late]
    assert_breaks("sold_out", lines, says=AFTER_SOLD_OUT, proof=[after, late])
    assert_keeps("sold_out", [before, change(5, 10, limit=9), late])


def test_the_errors_of_two_clocks_are_allowed_for() -> None:
    clock = Clock(process="caller", error_us=2)
    assert_keeps("sold_out", [clock, refused(SOLD_OUT, 10, 20), issued(1, 24, 30)])
    told, late = refused(SOLD_OUT, 10, 20), issued(1, 25, 30)
    lines: list[Line] = [clock, told, late]
    assert_breaks("sold_out", lines, says=AFTER_SOLD_OUT, proof=[told, late])


def test_unless_somebody_is_told_so_nothing_is_checked() -> None:
    for rule, outcome in (("sold_out", SOLD_OUT), ("ended", ENDED), ("not_started", NOT_STARTED)):
        lines: list[Line] = [SAME_CLOCK, campaign(), issued(1, 10, 20)]
        assert_not_checked(rule, lines, lacking=f"a caller who was told {outcome}")


def test_a_coupon_asked_for_at_the_instant_of_ended_keeps_ended() -> None:
    lines: list[Line] = [SAME_CLOCK, ENDS, refused(ENDED, 190, 200), issued(1, 199, 210)]
    assert_keeps("ended", lines)


def test_a_coupon_asked_for_one_microsecond_after_ended_breaks_ended() -> None:
    told, late = refused(ENDED, 10, 20), issued(1, 21, 30)
    says = (
        "가1 was issued to a call that was sent after a caller had been told that the campaign "
        "had ended"
    )
    lines: list[Line] = [SAME_CLOCK, campaign(end=15), told, late]
    also = frozenset({"end"})
    assert_breaks("ended", lines, says=says, proof=[told, late], also=also)


def test_an_end_without_an_answer_takes_ended_back_at_any_time() -> None:
    told, late = refused(ENDED, 10, 20), issued(1, 21, 30)
    lines: list[Line] = [
        SAME_CLOCK,
        campaign(),
        change(1, 2, end=15, outcome="NO_ANSWER"),
        told,
        late,
    ]
    assert_keeps("ended", lines)


def test_an_end_that_was_moved_in_between_takes_ended_back() -> None:
    told, late = refused(ENDED, 15, 20), issued(1, 31, 40)
    lines: list[Line] = [SAME_CLOCK, campaign(end=15), told, change(20, 30, end=99), late]
    assert_keeps("ended", lines)
    lines = [SAME_CLOCK, campaign(end=15), change(1, 14, end=99), told, late]
    says = AFTER_THE_END
    assert_breaks("ended", lines, says=says, proof=[told, late])


def test_ended_told_one_microsecond_before_the_end_breaks_ended() -> None:
    assert_keeps("ended", [SAME_CLOCK, ENDS, refused(ENDED, 190, 200)])
    told = refused(ENDED, 190, 199)
    says = "a caller was told before the end that it had come"
    assert_breaks("ended", [SAME_CLOCK, ENDS, told], says=says, proof=[told])


def test_ended_told_of_a_campaign_without_an_end_breaks_ended() -> None:
    told = refused(ENDED, 190, 200)
    says = "a caller was told of an end that the campaign does not have"
    assert_breaks("ended", [SAME_CLOCK, OPEN, told], says=says, proof=[told])
    assert_keeps("ended", [SAME_CLOCK, OPEN, change(150, 160, end=155), told])


def test_without_the_end_or_the_clock_ended_is_not_checked() -> None:
    told = refused(ENDED, 190, 200)
    lacking = "a line that says when the campaign ends"
    assert_not_checked("ended", [SAME_CLOCK, told], lacking=lacking)
    assert_not_checked("ended", [ENDS, told], lacking="a reading of the database's clock")


def test_not_started_told_to_a_call_sent_one_microsecond_before_the_start_keeps_it() -> None:
    assert_keeps("not_started", [SAME_CLOCK, OPEN, refused(NOT_STARTED, 99, 500)])


def test_not_started_told_to_a_call_sent_at_the_start_breaks_not_started() -> None:
    told = refused(NOT_STARTED, 100, 110)
    says = "a call sent 0.000000 s after the start was told that it had not come"
    assert_breaks("not_started", [SAME_CLOCK, OPEN, told], says=says, proof=[told])


def test_not_started_is_the_truth_until_the_latest_start_that_there_was() -> None:
    told = refused(NOT_STARTED, 120, 130)
    assert_keeps("not_started", [SAME_CLOCK, OPEN, change(50, 60, start=121), told])


def test_not_started_told_at_the_instant_of_the_first_coupon_keeps_not_started() -> None:
    slow = Clock(process="database", database_ahead_us_min=0, database_ahead_us_max=9)
    lines: list[Line] = [slow, OPEN, issued(1, 90, 95, at=100), refused(NOT_STARTED, 95, 110)]
    assert_keeps("not_started", lines)


def test_not_started_told_one_microsecond_after_the_first_coupon_breaks_not_started() -> None:
    slow = Clock(process="database", database_ahead_us_min=0, database_ahead_us_max=9)
    first, told = issued(1, 90, 95, at=100), refused(NOT_STARTED, 96, 110)
    says = (
        "a call sent after the first coupon had been shown was told that the campaign had not "
        "started"
    )
    assert_breaks("not_started", [slow, OPEN, first, told], says=says, proof=[first, told])


def test_without_the_start_or_the_clock_not_started_is_not_checked() -> None:
    told = refused(NOT_STARTED, 90, 95)
    lacking = "a line that says when the campaign starts"
    assert_not_checked("not_started", [SAME_CLOCK, told], lacking=lacking)
    lacking = "a reading of the database's clock"
    assert_not_checked("not_started", [OPEN, told], lacking=lacking)


@pytest.mark.parametrize(
    "call",
    [
        *(refused(outcome, 10, 20) for outcome in ("SOLD_OUT", "CAMPAIGN_PAUSED", "OVERLOADED")),
        *(refused(outcome, 10, 20) for outcome in ("OUTCOME_UNKNOWN", "STORAGE_UNAVAILABLE")),
        *(refused(outcome, 10, 20) for outcome in ("deadline_exceeded", "unavailable")),
        issued(1, 10, 20),
        lost(10),
    ],
    ids=lambda call: str(call.outcome),
)
def test_an_answer_that_was_promised_keeps_answers(call: Issue) -> None:
    assert_keeps("answers", [call])


@pytest.mark.parametrize("outcome", ["internal", "not_found", "SOMETHING_ELSE", ""])
def test_any_other_answer_breaks_answers(outcome: str) -> None:
    told = refused(outcome, 10, 20)
    says = f"{outcome} is not an answer that callers were promised"
    assert_breaks("answers", [told], says=says, proof=[told])


def test_without_a_call_answers_are_not_checked() -> None:
    lines: list[Line] = [campaign(), read(0, 10, 20, view=BASIC)]
    assert_not_checked("answers", lines, lacking="a call of IssueCoupon")
