"""The edges of start, end and clock."""

import msgspec
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
    row,
    stored,
)

from loadtest.history import Campaign, Clock, Line

# In these histories the campaign starts at 100 and, if it does, ends at 200.
OPEN = campaign(start=100)
ENDS = campaign(start=100, end=200)
ENDLESS = campaign()


def clock(error: int = 0, *, ahead: tuple[int, int] | None = None) -> Clock:
    """Return what is known of the callers' clock, and of the database's."""
    return Clock(
        process="caller",
        error_us=error,
        database_ahead_us_min=None if ahead is None else ahead[0],
        database_ahead_us_max=None if ahead is None else ahead[1],
    )


def created(sent: int, answered: int, *, create_time: int) -> Campaign:
    return msgspec.structs.replace(
        ENDLESS, sent_us=sent, answered_us=answered, create_time_us=create_time
    )


def test_a_coupon_issued_at_the_start_keeps_start() -> None:
    assert_keeps("start", [OPEN, issued(1, 90, 110, at=100)])


def test_a_coupon_issued_one_microsecond_before_the_start_breaks_start() -> None:
    early = issued(1, 90, 110, at=99)
    says = "가1 was issued 0.000001 s before the start"
    assert_breaks("start", [OPEN, early], says=says, proof=[early])


def test_a_coupon_shown_at_the_start_keeps_start() -> None:
    assert_keeps("start", [SAME_CLOCK, OPEN, issued(1, 90, 100, at=100)])


def test_a_coupon_shown_one_microsecond_before_the_start_breaks_start() -> None:
    early = issued(1, 90, 99, at=100)
    says = "가1 was shown 0.000001 s before the start, by the caller's clock"
    also = frozenset({"clock"})
    assert_breaks("start", [SAME_CLOCK, OPEN, early], says=says, proof=[early], also=also)


def test_a_coupon_shown_before_the_start_keeps_start_if_the_database_s_clock_may_be_ahead() -> None:
    lines: list[Line] = [clock(ahead=(0, 5)), OPEN, issued(1, 90, 95, at=100)]
    assert_keeps("start", lines)


def test_a_coupon_shown_before_the_start_keeps_start_if_the_caller_s_clock_may_be_behind() -> None:
    lines: list[Line] = [clock(5, ahead=(0, 0)), OPEN, issued(1, 90, 95, at=100)]
    assert_keeps("start", lines)


def test_a_row_issued_at_the_start_keeps_start() -> None:
    assert_keeps("start", [OPEN, lost(90), stored(row(1, at=100))])


def test_a_row_issued_one_microsecond_before_the_start_breaks_start() -> None:
    lines: list[Line] = [OPEN, lost(90), stored(row(1, at=99))]
    says = "가1 is stored as issued at 99, 0.000001 s before the start"
    assert_breaks("start", lines, says=says)


def test_while_the_start_is_moved_to_later_the_earlier_one_may_hold() -> None:
    moved = change(50, 60, start=100)
    assert_keeps("start", [SAME_CLOCK, ENDLESS, moved, issued(1, 60, 70)])


def test_one_microsecond_after_the_start_was_moved_to_later_the_earlier_one_holds_no_more() -> None:
    moved, early = change(50, 60, start=100), issued(1, 61, 70)
    lines: list[Line] = [ENDLESS, moved, early]
    says = "가1 was issued 0.000039 s before the start"
    assert_breaks("start", lines, says=says, proof=[early])


def test_a_start_moved_to_earlier_holds_from_when_the_change_was_sent() -> None:
    moved = change(50, 60, start=0)
    assert_keeps("start", [SAME_CLOCK, OPEN, moved, issued(1, 40, 50, at=45)])
    early = issued(1, 40, 49, at=45)
    says = "가1 was issued 0.000055 s before the start"
    assert_breaks("start", [SAME_CLOCK, OPEN, moved, early], says=says, proof=[early])


def test_without_a_description_start_is_not_checked() -> None:
    lacking = "a line that says when the campaign starts"
    assert_not_checked("start", [issued(1, 10, 20)], lacking=lacking)


def test_without_a_coupon_start_is_not_checked() -> None:
    assert_not_checked("start", [OPEN, lost(10)], lacking="a coupon")
    assert_not_checked("start", [OPEN, stored()], lacking="a coupon")


def test_a_coupon_issued_one_microsecond_before_the_end_keeps_end() -> None:
    assert_keeps("end", [ENDS, issued(1, 190, 210, at=199)])


def test_a_coupon_issued_at_the_end_breaks_end() -> None:
    late = issued(1, 190, 210, at=200)
    says = "가1 was issued 0.000000 s after the end"
    assert_breaks("end", [ENDS, late], says=says, proof=[late])


def test_a_coupon_asked_for_one_microsecond_before_the_end_keeps_end() -> None:
    assert_keeps("end", [SAME_CLOCK, ENDS, issued(1, 199, 210, at=199)])


def test_a_coupon_asked_for_at_the_end_breaks_end() -> None:
    late = issued(1, 200, 210, at=199)
    says = "가1 was asked for 0.000000 s after the end, by the caller's clock"
    also = frozenset({"clock"})
    assert_breaks("end", [SAME_CLOCK, ENDS, late], says=says, proof=[late], also=also)


def test_a_coupon_answered_long_after_the_end_keeps_end_if_it_was_asked_for_before() -> None:
    assert_keeps("end", [SAME_CLOCK, ENDS, issued(1, 199, 5000, at=199)])


def test_a_coupon_shown_again_after_the_end_keeps_end() -> None:
    again = issued(1, 300, 310, user="a", at=150, repeat=True)
    assert_keeps("end", [SAME_CLOCK, ENDS, issued(1, 150, 160, user="a"), again])


def test_a_row_issued_at_the_end_breaks_end() -> None:
    assert_keeps("end", [ENDS, lost(90), stored(row(1, at=199))])
    lines: list[Line] = [ENDS, lost(90), stored(row(1, at=200))]
    says = "가1 is stored as issued at 200, 0.000000 s after the end"
    assert_breaks("end", lines, says=says)


def test_a_coupon_asked_for_when_the_campaign_was_ended_keeps_end() -> None:
    ended = change(50, 60, end=40)
    assert_keeps("end", [SAME_CLOCK, ENDLESS, ended, issued(1, 60, 70)])


def test_a_coupon_asked_for_one_microsecond_after_the_campaign_was_ended_breaks_end() -> None:
    ended, late = change(50, 60, end=40), issued(1, 61, 70)
    says = "가1 was issued 0.000021 s after the end"
    assert_breaks("end", [SAME_CLOCK, ENDLESS, ended, late], says=says, proof=[late])


def test_coupons_from_before_an_end_was_set_into_the_past_keep_end() -> None:
    ended = change(50, 60, end=10)
    lines: list[Line] = [SAME_CLOCK, ENDLESS, issued(1, 20, 30), ended, stored(row(1, at=20))]
    assert_keeps("end", lines)


def test_an_end_without_an_answer_may_never_have_been_set() -> None:
    ended = change(50, 60, end=40, outcome="NO_ANSWER")
    assert_keeps("end", [SAME_CLOCK, ENDLESS, ended, issued(1, 61, 70)])


def test_a_campaign_without_an_end_is_not_held_to_one() -> None:
    assert_not_checked("end", [OPEN, issued(1, 100, 110)], lacking="a campaign that ends")
    assert_not_checked("end", [ENDS, lost(110)], lacking="a coupon")


def test_without_a_description_end_is_not_checked() -> None:
    lacking = "a line that says when the campaign ends"
    assert_not_checked("end", [issued(1, 10, 20)], lacking=lacking)


@pytest.mark.parametrize("at", [15, 25])
def test_an_issue_time_within_the_call_keeps_clock(at: int) -> None:
    assert_keeps("clock", [clock(ahead=(5, 5)), issued(1, 10, 20, at=at)])


def test_an_issue_time_one_microsecond_before_the_call_breaks_clock() -> None:
    early = issued(1, 10, 20, at=14)
    says = "가1 was issued 0.000001 s before its call"
    assert_breaks("clock", [clock(ahead=(5, 5)), early], says=says, proof=[early])


def test_an_issue_time_one_microsecond_after_the_answer_breaks_clock() -> None:
    late = issued(1, 10, 20, at=26)
    says = "가1 was issued 0.000001 s after its answer"
    assert_breaks("clock", [clock(ahead=(5, 5)), late], says=says, proof=[late])


@pytest.mark.parametrize(("at", "is_kept"), [(6, False), (7, True), (23, True), (24, False)])
def test_the_error_of_the_caller_s_clock_is_allowed_for(at: int, *, is_kept: bool) -> None:
    lines: list[Line] = [clock(3, ahead=(0, 0)), issued(1, 10, 20, at=at)]
    if is_kept:
        assert_keeps("clock", lines)
        return
    when = "before its call" if at < 10 else "after its answer"
    says = f"가1 was issued 0.000001 s {when}"
    assert_breaks("clock", lines, says=says, proof=lines[1:])


def test_of_two_errors_of_one_clock_the_greater_is_allowed_for() -> None:
    call = issued(1, 10, 20, at=7)
    assert_keeps("clock", [clock(3, ahead=(0, 0)), clock(1), call])
    assert_keeps("clock", [clock(1, ahead=(0, 0)), clock(3), call])


@pytest.mark.parametrize(("at", "is_kept"), [(4, False), (5, True), (30, True), (31, False)])
def test_a_create_time_is_a_reading_of_the_database_s_clock(at: int, *, is_kept: bool) -> None:
    # It was 5 behind to 10 ahead.
    lines: list[Line] = [created(-20, -5, create_time=-10), issued(1, 10, 20, at=at)]
    if is_kept:
        assert_keeps("clock", lines)
        return
    when = "before its call" if at < 10 else "after its answer"
    says = f"가1 was issued 0.000001 s {when}"
    assert_breaks("clock", lines, says=says, proof=lines[1:])


def test_readings_of_the_database_s_clock_that_touch_keep_clock() -> None:
    lines: list[Line] = [
        clock(ahead=(10, 20)),
        created(-20, -5, create_time=-10),
        issued(1, 10, 20, at=20),
    ]
    assert_keeps("clock", lines)


def test_readings_that_contradict_each_other_by_one_microsecond_break_clock() -> None:
    says = (
        "the readings of the database's clock contradict each other: it was stepped, or is not "
        "one clock"
    )
    lines: list[Line] = [clock(ahead=(11, 20)), created(-20, -5, create_time=-10)]
    assert_breaks("clock", lines, says=says)


def test_readings_that_contradict_each_other_prove_nothing_else() -> None:
    says = (
        "the readings of the database's clock contradict each other: it was stepped, or is not "
        "one clock"
    )
    lines: list[Line] = [
        ENDS,
        clock(ahead=(500, 600)),
        clock(ahead=(-600, -500)),
        issued(1, 150, 160),
    ]
    assert_breaks("clock", lines, says=says)


def test_a_repeat_with_another_issue_time_breaks_clock() -> None:
    first = issued(1, 10, 20, user="a", at=15)
    again = issued(1, 30, 40, user="a", at=16, repeat=True)
    lines: list[Line] = [SAME_CLOCK, first, again]
    says = "가1 has two issue times, 15 and 16"
    assert_breaks("clock", lines, says=says, proof=[first, again])


def test_a_row_with_another_issue_time_breaks_clock() -> None:
    shown = issued(1, 10, 20, at=15)
    assert_keeps("clock", [SAME_CLOCK, shown, stored(row(1, at=15))])
    lines: list[Line] = [SAME_CLOCK, shown, stored(row(1, at=16))]
    says = "가1 was shown with the issue time 15 and is stored with 16"
    assert_breaks("clock", lines, says=says, proof=[shown])


def test_a_coupon_of_which_only_repeats_were_answered_was_issued_since_the_first_lost_call() -> (
    None
):
    calls = [lost(10, user="a"), issued(1, 30, 40, user="a", at=10, repeat=True)]
    assert_keeps("clock", [SAME_CLOCK, *calls])
    early = issued(1, 30, 40, user="a", at=9, repeat=True)
    says = "가1 was issued 0.000001 s before its call"
    assert_breaks("clock", [SAME_CLOCK, calls[0], early], says=says, proof=[early])


def test_without_a_reading_of_the_database_s_clock_clock_is_not_checked() -> None:
    lacking = "a reading of the database's clock"
    assert_not_checked("clock", [clock(3), issued(1, 10, 20)], lacking=lacking)


def test_a_campaign_whose_creation_was_not_answered_is_no_reading_of_the_clock() -> None:
    unanswered = created(-20, -5, create_time=-10)
    unanswered.outcome = "NO_ANSWER"
    lacking = "a reading of the database's clock"
    assert_not_checked("clock", [unanswered, issued(1, 10, 20)], lacking=lacking)


def test_without_a_coupon_clock_is_not_checked() -> None:
    assert_not_checked("clock", [SAME_CLOCK, lost(10)], lacking="a coupon")
