"""The edges of snapshot."""

import msgspec
import pytest
from support.small_histories import (
    assert_breaks,
    assert_keeps,
    assert_not_checked,
    code,
    issued,
    judged,
    lost,
    read,
    refused,
    row,
    stored,
)

from loadtest.history import BASIC, FULL, Clock, Line, Read


def showing(codes: list[str], sent: int, answered: int) -> Read:
    """Return a GetCampaign that showed just these codes."""
    return msgspec.structs.replace(read(0, sent, answered), issued_count=len(codes), codes=codes)


@pytest.mark.parametrize("view", [BASIC, FULL])
def test_a_read_sent_at_the_instant_of_an_answer_may_not_count_its_coupon(view: str) -> None:
    assert_keeps("snapshot", [issued(1, 10, 20), read(0, 20, 30, view=view)])


def test_a_read_sent_one_microsecond_after_an_answer_that_does_not_count_it_breaks_snapshot() -> (
    None
):
    shown, late = issued(1, 10, 20), read(0, 21, 30, view=BASIC)
    says = "GetCampaign counted 0 coupons when sequence 1 had been shown"
    assert_breaks("snapshot", [shown, late], says=says, proof=[shown, late])


def test_the_highest_sequence_that_was_shown_is_what_a_read_must_count() -> None:
    highest, late = issued(3, 10, 12), read(2, 21, 30, view=BASIC)
    lines: list[Line] = [issued(1, 10, 20), highest, issued(2, 10, 15), late]
    says = "GetCampaign counted 2 coupons when sequence 3 had been shown"
    assert_breaks("snapshot", lines, says=says, proof=[highest, late])


def test_a_repeat_that_was_shown_counts_as_much() -> None:
    again, late = issued(1, 11, 20, user="a", at=10, repeat=True), read(0, 21, 30, view=BASIC)
    first = issued(1, 10, 99, user="a")
    says = "GetCampaign counted 0 coupons when sequence 1 had been shown"
    assert_breaks("snapshot", [first, again, late], says=says, proof=[first, late])


@pytest.mark.parametrize("view", [BASIC, FULL])
def test_a_read_answered_at_the_instant_of_a_call_may_count_its_coupon(view: str) -> None:
    assert_keeps("snapshot", [read(1, 5, 10, view=view), issued(1, 10, 20)])


@pytest.mark.parametrize("view", [BASIC, FULL])
def test_a_read_answered_one_microsecond_before_a_call_that_counts_it_breaks_snapshot(
    view: str,
) -> None:
    early, shown = read(1, 5, 10, view=view), issued(1, 11, 20)
    says = "GetCampaign counted 1 coupons before the call was sent that got sequence 1"
    assert_breaks("snapshot", [early, shown], says=says, proof=[early, shown])


def test_the_errors_of_two_clocks_are_allowed_for() -> None:
    clocks = [Clock(process="caller", error_us=2), Clock(process="reader", error_us=1)]
    assert_keeps("snapshot", [*clocks, read(1, 5, 10, view=BASIC), issued(1, 13, 20)])
    early, shown = read(1, 5, 10, view=BASIC), issued(1, 14, 20)
    says = "GetCampaign counted 1 coupons before the call was sent that got sequence 1"
    assert_breaks("snapshot", [*clocks, early, shown], says=says, proof=[early, shown])


def test_a_read_of_more_than_are_stored_breaks_snapshot() -> None:
    assert_keeps("snapshot", [lost(0), read(1, 5, 10, view=BASIC), stored(row(1))])
    surplus = read(2, 5, 10, view=BASIC)
    says = "GetCampaign counted 2 coupons, and only 1 are stored"
    assert_breaks("snapshot", [lost(0), surplus, stored(row(1))], says=says, proof=[surplus])


def test_a_full_read_that_counts_other_than_it_shows_breaks_snapshot() -> None:
    wrong = read(1, 5, 10)
    wrong.issued_count = 2
    says = "GetCampaign counted 2 coupons and showed 1 codes"
    assert_breaks("snapshot", [lost(0), wrong], says=says, proof=[wrong])


def test_a_full_read_of_the_first_codes_in_order_keeps_snapshot() -> None:
    calls = [lost(0), lost(0)]
    rows = stored(row(2), row(1))
    assert_keeps("snapshot", [*calls, read(0, 1, 2), read(1, 3, 4), read(2, 5, 6), rows])


def test_a_full_read_in_another_order_breaks_snapshot() -> None:
    swapped, rows = showing([code(2), code(1)], 5, 10), stored(row(1), row(2))
    says = "GetCampaign showed other codes than those that are stored, from number 1 on"
    lines: list[Line] = [lost(0), lost(0), swapped, rows]
    assert_breaks("snapshot", lines, says=says, proof=[swapped, rows])


def test_a_full_read_with_a_code_that_a_later_one_does_not_show_breaks_snapshot() -> None:
    strange, later = showing([code(1), code(9)], 5, 10), read(2, 20, 30)
    says = "GetCampaign showed other codes than a later one, from number 2 on"
    lines: list[Line] = [lost(0), lost(0), strange, later]
    assert_breaks("snapshot", lines, says=says, proof=[strange, later])


def test_of_two_reads_at_once_either_may_show_more() -> None:
    lines: list[Line] = [lost(0), lost(0), read(2, 5, 20), read(1, 10, 20)]
    assert_keeps("snapshot", lines)


def test_a_full_read_without_a_code_that_had_been_shown_breaks_snapshot() -> None:
    shown, lacking = issued(1, 1, 4), showing([code(2)], 5, 10)
    rows = stored(row(1, at=1), row(2))
    says = "GetCampaign lacks 가1, which had been shown before it was sent"
    assert_breaks("snapshot", [lost(0), shown, lacking, rows], says=says, proof=[shown, lacking])


def test_a_full_read_with_the_code_of_a_later_call_breaks_snapshot() -> None:
    shown, early = issued(2, 11, 20), showing([code(2)], 5, 10)
    rows = stored(row(1), row(2, at=11))
    says = "GetCampaign showed 가2 before the call was sent that got it"
    assert_breaks("snapshot", [lost(0), shown, early, rows], says=says, proof=[early, shown])


def test_every_strange_read_is_counted_however_many_there_are() -> None:
    rows = stored(row(1), row(2))
    strange = [showing([code(2)], 5, 10) for _ in range(20)]
    assert judged("snapshot", [lost(0), lost(0), *strange, rows]).violation_count == 20


def test_a_read_sent_when_another_was_answered_may_show_less() -> None:
    lines: list[Line] = [lost(0), read(1, 5, 10, view=BASIC), read(0, 10, 20, view=BASIC)]
    assert_keeps("snapshot", lines)


def test_a_read_sent_one_microsecond_after_another_that_shows_less_breaks_snapshot() -> None:
    more, less = read(1, 5, 10, view=BASIC), read(0, 11, 20, view=BASIC)
    says = "GetCampaign counted 0 coupons after it had counted 1"
    assert_breaks("snapshot", [lost(0), more, less], says=says, proof=[more, less])


def test_a_read_that_was_not_answered_says_nothing() -> None:
    unanswered = read(0, 30, 40)
    unanswered.outcome = "unavailable"
    lines: list[Line] = [issued(1, 10, 20), unanswered]
    assert_not_checked("snapshot", lines, lacking="a GetCampaign that was answered")


def test_without_a_read_snapshot_is_not_checked() -> None:
    lines: list[Line] = [refused("SOLD_OUT", 10, 20)]
    assert_not_checked("snapshot", lines, lacking="a GetCampaign that was answered")
