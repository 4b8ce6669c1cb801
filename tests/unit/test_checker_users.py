"""The edges of user and own."""

import msgspec
import pytest
from support.small_histories import (
    assert_breaks,
    assert_keeps,
    assert_not_checked,
    campaign,
    issued,
    lost,
    refused,
    row,
    stored,
)

from loadtest.history import Issue, Line

FIRST = issued(1, 10, 20, user="a")


def again(sent: int, answered: int) -> Issue:
    return issued(1, sent, answered, user="a", at=10, repeat=True)


def test_the_same_coupon_on_each_repeat_keeps_user() -> None:
    assert_keeps("user", [FIRST, again(20, 30), again(5, 90), again(100, 110)])


def test_another_coupon_breaks_user() -> None:
    other = issued(2, 11, 20, user="a")
    lines: list[Line] = [FIRST, other]
    assert_breaks("user", lines, says="'a' was shown two coupons, 가1 and 가2", proof=lines)


@pytest.mark.parametrize("outcome", ["SOLD_OUT", "CAMPAIGN_PAUSED"])
def test_a_refusal_one_microsecond_after_the_coupon_was_shown_breaks_user(outcome: str) -> None:
    assert_keeps("user", [FIRST, refused(outcome, 20, 30, user="a")])
    told = refused(outcome, 21, 30, user="a")
    says = f"'a' had a coupon and was told {outcome} when asking again"
    assert_breaks("user", [FIRST, told], says=says, proof=[FIRST, told])


@pytest.mark.parametrize("outcome", ["OVERLOADED", "STORAGE_UNAVAILABLE", "NO_ANSWER"])
def test_a_user_with_a_coupon_may_be_told_that_the_service_cannot_answer(outcome: str) -> None:
    assert_keeps("user", [FIRST, refused(outcome, 100, 110, user="a")])


def test_a_coupon_that_was_never_answered_denies_no_refusal() -> None:
    lines: list[Line] = [issued(1, 10, None, user="a"), refused("SOLD_OUT", 30, 40, user="a")]
    assert_keeps("user", lines)


def test_a_repeat_called_new_breaks_user() -> None:
    second = issued(1, 21, 30, user="a", at=10)
    says = "'a' had a coupon and was told that it is new"
    assert_breaks("user", [FIRST, second], says=says, proof=[FIRST, second])


def test_a_coupon_called_new_twice_at_once_breaks_user() -> None:
    second = issued(1, 11, 30, user="a", at=10)
    says = "가1 was called new more than once"
    assert_breaks("user", [FIRST, second], says=says, proof=[FIRST, second])


def test_an_anonymous_coupon_called_a_repeat_breaks_user() -> None:
    shown = issued(1, 10, 20, repeat=True)
    says = "가1 was called a repeat to an anonymous caller"
    assert_breaks("user", [shown], says=says, proof=[shown])


@pytest.mark.parametrize(
    "call", [lost(30, user="a"), refused("STORAGE_UNAVAILABLE", 5, 9, user="a")]
)
def test_a_repeat_whose_first_call_may_have_been_lost_keeps_user(call: Issue) -> None:
    assert_keeps("user", [call, again(20, 30)])


@pytest.mark.parametrize(
    "calls",
    [
        [],
        [lost(31, user="a")],
        [lost(5, user="b")],
        [lost(5)],
        [refused("OVERLOADED", 5, 9, user="a")],
    ],
    ids=["none", "later", "another user's", "anonymous", "refused"],
)
def test_a_repeat_of_no_other_call_breaks_user(calls: list[Issue]) -> None:
    shown = again(20, 30)
    says = "가1 was called a repeat to 'a', who had no other call that can have got it"
    assert_breaks("user", [*calls, shown], says=says, proof=[shown])


def test_two_rows_of_one_user_break_user() -> None:
    rows = stored(row(1, user="a"), row(2, user="a"))
    assert_breaks("user", [lost(0, user="a"), rows], says="2 coupons are stored for 'a'")


def test_without_a_user_user_is_not_checked() -> None:
    lines: list[Line] = [issued(1, 10, 20), lost(10)]
    assert_not_checked("user", lines, lacking="a call with a user_id")


def test_a_coupon_stored_for_whom_it_was_shown_to_keeps_own() -> None:
    lines: list[Line] = [FIRST, issued(2, 10, 20), stored(row(1, at=10, user="a"), row(2, at=10))]
    assert_keeps("own", lines)


def test_an_answer_for_another_user_breaks_own() -> None:
    shown = msgspec.structs.replace(FIRST, for_user_id="b")
    assert_breaks("own", [shown], says="'a' was answered for 'b'", proof=[shown])


def test_an_answer_for_another_campaign_breaks_own() -> None:
    shown = msgspec.structs.replace(FIRST, for_campaign_id="another")
    says = "a call for the campaign campaign was answered for another"
    assert_breaks("own", [shown], says=says, proof=[shown])


def test_a_coupon_stored_for_another_breaks_own() -> None:
    says = "가1 was shown to 'a' and is stored for 'b'"
    assert_breaks("own", [FIRST, stored(row(1, at=10, user="b"))], says=says, proof=[FIRST])
    says = "가1 was shown to 'a' and is stored for an anonymous caller"
    assert_breaks("own", [FIRST, stored(row(1, at=10))], says=says, proof=[FIRST])


def test_without_a_coupon_own_is_not_checked() -> None:
    assert_not_checked("own", [campaign(), lost(10, user="a")], lacking="a coupon")
