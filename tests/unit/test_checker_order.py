"""The edges of order and sequences."""

import msgspec
from support.small_histories import (
    assert_breaks,
    assert_keeps,
    assert_not_checked,
    campaign,
    issued,
    lost,
    read,
    row,
    stored,
)

from loadtest.history import Clock, Line


def test_whoever_asks_at_the_instant_of_another_s_answer_may_be_served_before() -> None:
    assert_keeps("order", [issued(2, 10, 20), issued(1, 20, 30)])


def test_whoever_asks_one_microsecond_after_another_s_answer_is_served_after() -> None:
    first, second = issued(2, 10, 20), issued(1, 21, 30)
    says = "sequence 2 had been answered when the call was sent that got 1"
    assert_breaks("order", [first, second], says=says, proof=[first, second])
    assert_keeps("order", [issued(1, 10, 20), issued(2, 21, 30)])


def test_those_who_ask_at_once_may_be_served_in_any_order() -> None:
    assert_keeps("order", [issued(1, 10, 99), issued(3, 11, 12), issued(2, 12, 50)])


def test_the_first_answer_of_any_later_sequence_counts() -> None:
    quick = issued(3, 10, 20)
    lines: list[Line] = [issued(2, 10, 99), quick, issued(4, 5, 99), issued(1, 21, 30)]
    says = "sequence 3 had been answered when the call was sent that got 1"
    assert_breaks("order", lines, says=says, proof=[quick, lines[3]])


def test_the_errors_of_two_clocks_are_allowed_for() -> None:
    clock = Clock(process="caller", error_us=2)
    assert_keeps("order", [clock, issued(2, 10, 20), issued(1, 24, 30)])
    first, second = issued(2, 10, 20), issued(1, 25, 30)
    says = "sequence 2 had been answered when the call was sent that got 1"
    assert_breaks("order", [clock, first, second], says=says, proof=[first, second])


def test_a_coupon_of_a_caller_who_hung_up_is_issued_whenever_it_is() -> None:
    hung_up = lost(0, user="a")
    other = issued(1, 20, 30)
    again = issued(2, 40, 50, user="a", at=35, repeat=True)
    assert_keeps("order", [hung_up, other, again])
    early = issued(1, 40, 50, user="a", at=5, repeat=True)
    assert_keeps("order", [hung_up, issued(2, 20, 30), early])


def test_a_repeat_that_was_answered_before_the_first_answer_counts() -> None:
    first = issued(2, 10, 99, user="a")
    again = issued(2, 11, 20, user="a", at=10, repeat=True)
    second = issued(1, 21, 30)
    says = "sequence 2 had been answered when the call was sent that got 1"
    assert_breaks("order", [first, again, second], says=says, proof=[first, second])


def test_a_coupon_that_was_never_answered_is_before_nobody() -> None:
    assert_keeps("order", [issued(2, 10, None), issued(1, 20, 30)])


def test_two_with_one_sequence_are_in_no_order() -> None:
    first = issued(1, 10, 20)
    second = msgspec.structs.replace(issued(2, 30, 40), sequence=1)
    says = "sequence 1 was handed out twice"
    assert_breaks("sequences", [first, second], says=says, proof=[first, second])
    assert_breaks("sequences", [second, first], says=says, proof=[first, second])


def test_one_coupon_is_in_no_order() -> None:
    assert_not_checked("order", [issued(1, 10, 20)], lacking="two coupons")


def test_sequences_that_are_the_places_keep_sequences() -> None:
    lines: list[Line] = [issued(1, 10, 20), issued(2, 10, 20), stored(row(2, at=10), row(1, at=10))]
    assert_keeps("sequences", lines)


def test_a_sequence_of_zero_breaks_sequences() -> None:
    shown = msgspec.structs.replace(issued(1, 10, 20), sequence=0)
    assert_breaks("sequences", [shown], says="가1 has the sequence 0", proof=[shown])


def test_a_repeat_with_another_sequence_breaks_sequences() -> None:
    first = issued(1, 10, 20, user="a")
    again = msgspec.structs.replace(issued(1, 30, 40, user="a", at=10, repeat=True), sequence=2)
    says = "가1 has two sequences, 1 and 2"
    assert_breaks("sequences", [first, again], says=says, proof=[first, again])


def test_a_gap_among_the_rows_breaks_sequences() -> None:
    lines: list[Line] = [lost(0), lost(0), stored(row(1), row(3))]
    assert_breaks("sequences", lines, says="among the stored sequences, 3 comes as number 2")


def test_a_sequence_stored_twice_breaks_sequences() -> None:
    twice = msgspec.structs.replace(row(2), sequence=1)
    lines: list[Line] = [lost(0), lost(0), stored(row(1), twice)]
    assert_breaks("sequences", lines, says="among the stored sequences, 1 comes as number 2")


def test_a_count_that_is_not_that_of_the_rows_breaks_sequences() -> None:
    wrong = stored(row(1))
    wrong.issued_count = 2
    says = "the campaign says 2 were issued, and 1 are stored"
    assert_breaks("sequences", [lost(0), wrong], says=says)


def test_a_sequence_that_is_not_the_place_among_the_rows_breaks_sequences() -> None:
    shown = msgspec.structs.replace(issued(1, 10, 20), sequence=2)
    says = "가1 was handed out with sequence 2 and is number 1 in order of issue"
    lines: list[Line] = [lost(0), shown, stored(row(1, at=10), row(2, at=10))]
    assert_breaks("sequences", lines, says=says, proof=[shown])


def test_a_sequence_that_is_not_the_place_in_a_read_breaks_sequences() -> None:
    shown = msgspec.structs.replace(issued(1, 10, 20), sequence=2)
    says = "가1 was handed out with sequence 2 and is number 1 in order of issue"
    lines: list[Line] = [lost(0), shown, read(2, 30, 40)]
    assert_breaks("sequences", lines, says=says, proof=[shown])


def test_a_sequence_beyond_those_read_leaves_sequences_undecided() -> None:
    lacking = "the codes read or stored after the last answer"
    assert_not_checked("sequences", [issued(2, 10, 20)], lacking=lacking)
    lines: list[Line] = [lost(0), issued(2, 10, 20), read(1, 11, 12)]
    assert_not_checked("sequences", lines, lacking=lacking)
    assert_keeps("sequences", [lost(0), issued(2, 10, 20), read(2, 11, 12)])


def test_without_a_coupon_sequences_are_not_checked() -> None:
    assert_not_checked("sequences", [campaign(), lost(10)], lacking="a coupon")
