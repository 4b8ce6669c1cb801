"""The edges of limit, exact, stored, accounted and codes."""

import msgspec
import pytest
from support.small_histories import (
    SAME_CLOCK,
    assert_breaks,
    assert_keeps,
    assert_not_checked,
    campaign,
    change,
    code,
    issued,
    judged,
    lost,
    read,
    refused,
    row,
    stored,
)

from loadtest.history import BASIC, Issue, Line


def with_code(text: str) -> Issue:
    return msgspec.structs.replace(issued(1, 10, 20), code=text)


def test_as_many_coupons_as_the_limit_keep_limit() -> None:
    assert_keeps("limit", [campaign(2), issued(1, 10, 20), issued(2, 10, 20)])


def test_one_coupon_more_than_the_limit_breaks_limit() -> None:
    extra = issued(3, 30, 40)
    lines: list[Line] = [campaign(2), issued(1, 10, 20), issued(2, 10, 20), extra]
    says = "3 coupons were handed out; the limit is 2"
    assert_breaks("limit", lines, says=says, proof=[extra])


def test_a_sequence_above_the_limit_breaks_limit() -> None:
    extra = issued(3, 10, 20)
    says = "sequence 3 was handed out; the limit is 2"
    assert_breaks("limit", [campaign(2), extra], says=says, proof=[extra])


@pytest.mark.parametrize("count", [0, 2])
def test_a_read_of_no_more_than_the_limit_keeps_limit(count: int) -> None:
    assert_keeps("limit", [campaign(2), read(count, 10, 20, view=BASIC)])


def test_a_read_of_more_than_the_limit_breaks_limit() -> None:
    extra = read(3, 10, 20, view=BASIC)
    says = "GetCampaign showed 3 coupons; the limit is 2"
    assert_breaks("limit", [campaign(2), extra], says=says, proof=[extra])


def test_one_stored_coupon_more_than_the_limit_breaks_limit() -> None:
    calls = [lost(0), lost(0), lost(0)]
    assert_keeps("limit", [campaign(2), *calls, stored(row(1), row(2))])
    says = "3 coupons are stored; the limit is 2"
    lines: list[Line] = [campaign(2), *calls, stored(row(1), row(2), row(3))]
    assert_breaks("limit", lines, says=says)
    assert judged("limit", lines).violation_count == 1


def test_a_stored_count_above_the_limit_breaks_limit() -> None:
    counted = stored(row(1))
    counted.issued_count = 3
    says = "3 coupons are stored; the limit is 2"
    also = frozenset({"sequences"})
    assert_breaks("limit", [campaign(2), lost(0), counted], says=says, also=also)


def test_a_coupon_answered_when_the_limit_was_being_raised_keeps_limit() -> None:
    lines: list[Line] = [campaign(2), change(20, 30, limit=3), issued(3, 10, 20)]
    assert_keeps("limit", lines)


def test_a_coupon_answered_one_microsecond_before_the_limit_was_raised_breaks_limit() -> None:
    early = issued(3, 10, 19)
    lines: list[Line] = [campaign(2), change(20, 30, limit=3), early]
    says = "sequence 3 was handed out; the limit is 2"
    assert_breaks("limit", lines, says=says, proof=[early])


@pytest.mark.parametrize("outcome", ["NO_ANSWER", "STORAGE_UNAVAILABLE", "unavailable"])
def test_a_change_without_an_answer_may_have_raised_the_limit_at_any_time_since(
    outcome: str,
) -> None:
    change_lost = change(10, 20, limit=3, outcome=outcome)
    assert_keeps("limit", [campaign(2), change_lost, issued(3, 100, 110)])


def test_a_change_that_was_refused_has_not_raised_the_limit() -> None:
    extra = issued(3, 100, 110)
    lines: list[Line] = [campaign(2), change(10, 20, limit=3, outcome="INVALID_REQUEST"), extra]
    says = "sequence 3 was handed out; the limit is 2"
    assert_breaks("limit", lines, says=says, proof=[extra])


def test_of_two_limits_the_later_holds_from_its_answer_on() -> None:
    changes = [change(10, 20, limit=9), change(21, 30, limit=2)]
    assert_keeps("limit", [campaign(2), *changes, issued(3, 30, 40)])
    extra = issued(3, 31, 40)
    says = "sequence 3 was handed out; the limit is 2"
    assert_breaks("limit", [campaign(2), *changes, extra], says=says, proof=[extra])


def test_of_two_changes_at_once_either_may_be_the_later() -> None:
    changes = [change(10, 20, limit=9), change(20, 30, limit=2)]
    assert_keeps("limit", [campaign(2), *changes, issued(3, 100, 110)])


def test_without_a_description_the_limit_is_not_checked() -> None:
    lacking = "a line that says what the campaign's limit is"
    assert_not_checked("limit", [issued(1, 10, 20)], lacking=lacking)


def test_a_description_from_after_a_change_does_not_say_what_the_limit_was_before() -> None:
    lines: list[Line] = [change(-40, -30, limit=3), campaign(3, start=-99), issued(9, -60, -50)]
    lacking = "a line that says what the campaign's limit is"
    assert_not_checked("limit", lines, lacking=lacking)


def test_without_a_coupon_the_limit_is_not_checked() -> None:
    lacking = "a coupon, or a GetCampaign that was answered"
    assert_not_checked("limit", [campaign(), lost(10)], lacking=lacking)


def test_all_of_the_limit_stored_keeps_exact() -> None:
    lines: list[Line] = [
        campaign(1),
        issued(1, 10, 20),
        refused("SOLD_OUT", 10, 20),
        stored(row(1, at=10)),
    ]
    assert_keeps("exact", lines)


def test_one_stored_coupon_too_few_breaks_exact() -> None:
    told = refused("SOLD_OUT", 10, 20)
    lines: list[Line] = [campaign(2), issued(1, 10, 20), told, stored(row(1, at=10))]
    says = "a caller was told that all are gone, and 1 are stored of 2"
    assert_breaks("exact", lines, says=says, proof=[told])


def test_a_read_one_microsecond_after_sold_out_that_shows_too_few_breaks_exact() -> None:
    told, too_few = refused("SOLD_OUT", 10, 20), read(1, 21, 30, view=BASIC)
    says = "a caller was told that all are gone, and GetCampaign then showed 1 of 2"
    assert_breaks("exact", [campaign(2), told, too_few], says=says, proof=[told, too_few])


def test_the_first_who_is_told_sold_out_decides_from_when_on_all_must_be_there() -> None:
    told, too_few = refused("SOLD_OUT", 10, 20), read(1, 21, 30, view=BASIC)
    lines: list[Line] = [campaign(2), refused("SOLD_OUT", 5, 99), told, too_few]
    says = "a caller was told that all are gone, and GetCampaign then showed 1 of 2"
    assert_breaks("exact", lines, says=says, proof=[told, too_few])


def test_a_read_sent_at_the_instant_of_sold_out_decides_nothing() -> None:
    lines: list[Line] = [campaign(2), refused("SOLD_OUT", 10, 20), read(1, 20, 30, view=BASIC)]
    lacking = "the codes read or stored after a caller was told SOLD_OUT"
    assert_not_checked("exact", lines, lacking=lacking)


def test_with_two_limits_fewer_than_the_smaller_break_exact() -> None:
    told, too_few = refused("SOLD_OUT", 10, 20), read(1, 40, 50, view=BASIC)
    lines: list[Line] = [campaign(2), told, change(20, 30, limit=3), too_few]
    says = "a caller was told that all are gone, and GetCampaign then showed 1 of 2 to 3"
    assert_breaks("exact", lines, says=says, proof=[told, too_few])


def test_with_two_limits_exact_is_not_checked() -> None:
    lines: list[Line] = [
        campaign(2),
        refused("SOLD_OUT", 10, 20),
        change(20, 30, limit=3),
        read(2, 40, 50, view=BASIC),
    ]
    assert_not_checked("exact", lines, lacking="one limit that the campaign had all the time")


def test_without_a_description_exact_is_not_checked() -> None:
    lacking = "a line that says what the campaign's limit is"
    assert_not_checked("exact", [refused("SOLD_OUT", 10, 20)], lacking=lacking)


def test_unless_somebody_is_told_sold_out_exact_is_not_checked() -> None:
    lines: list[Line] = [campaign(2), issued(1, 10, 20), stored(row(1, at=10))]
    lacking = "a caller who was told that the campaign is sold out"
    assert_not_checked("exact", lines, lacking=lacking)


def test_an_acknowledged_coupon_that_is_stored_keeps_stored() -> None:
    assert_keeps("stored", [issued(1, 10, 20), stored(row(1, at=10))])


def test_an_acknowledged_coupon_that_is_not_stored_breaks_stored() -> None:
    shown = issued(1, 10, 20)
    says = "the code 가1 was handed out and is not stored"
    assert_breaks("stored", [shown, stored()], says=says, proof=[shown])


def test_an_acknowledged_coupon_that_is_stored_twice_breaks_stored() -> None:
    shown = issued(1, 10, 20)
    twice = stored(row(1, at=10), row(1, at=10))
    says = "the code 가1 was handed out and is 2 times stored"
    also = frozenset({"codes", "sequences"})
    assert_breaks("stored", [shown, twice], says=says, proof=[shown], also=also)


def test_a_coupon_answered_one_microsecond_before_a_read_that_lacks_it_breaks_stored() -> None:
    shown = issued(1, 10, 19)
    says = "the code 가1 was handed out and is not stored"
    also = frozenset({"snapshot"})
    assert_breaks("stored", [shown, read(0, 20, 30)], says=says, proof=[shown], also=also)


def test_a_coupon_answered_when_the_codes_are_read_is_not_checked() -> None:
    lacking = "the codes read or stored after the last answer"
    assert_not_checked("stored", [issued(1, 10, 20), read(0, 20, 30)], lacking=lacking)


def test_one_coupon_answered_after_the_last_read_leaves_stored_undecided() -> None:
    lines: list[Line] = [issued(1, 10, 20), read(1, 30, 40), issued(2, 30, 40)]
    lacking = "the codes read or stored after the last answer"
    assert_not_checked("stored", lines, lacking=lacking)


def test_without_codes_stored_is_not_checked() -> None:
    lines: list[Line] = [issued(1, 10, 20), read(1, 30, 40, view=BASIC)]
    lacking = "the codes read or stored after the last answer"
    assert_not_checked("stored", lines, lacking=lacking)


def test_a_coupon_whose_answer_never_came_is_in_no_read_for_certain() -> None:
    lines: list[Line] = [issued(1, 10, None), read(0, 30, 40)]
    lacking = "the codes read or stored after the last answer"
    assert_not_checked("stored", lines, lacking=lacking)


@pytest.mark.parametrize(
    "call",
    [lost(30), lost(30, user="a"), refused("STORAGE_UNAVAILABLE", 20, 30, user="a")],
    ids=["anonymous", "user", "user without storage"],
)
def test_a_code_for_a_call_that_was_sent_when_it_was_read_keeps_accounted(call: Issue) -> None:
    after = read(1, 31, 32)
    assert_keeps("accounted", [call, after])


def test_a_code_for_a_call_sent_one_microsecond_after_it_was_read_breaks_accounted() -> None:
    says = (
        "stored codes that were shown to nobody: 1 (such as 가1); "
        "callers who may have missed their answers: 0"
    )
    assert_breaks("accounted", [lost(33), read(1, 31, 32)], says=says)


@pytest.mark.parametrize(
    "calls",
    [
        [],
        [refused("STORAGE_UNAVAILABLE", 10, 20)],
        [refused("OVERLOADED", 10, 20, user="a")],
        [refused("SOLD_OUT", 10, 20)],
    ],
    ids=["none", "anonymous without storage", "overloaded", "sold out"],
)
def test_a_code_for_a_call_that_was_promised_nothing_breaks_accounted(calls: list[Line]) -> None:
    says = (
        "stored codes that were shown to nobody: 1 (such as 가1); "
        "callers who may have missed their answers: 0"
    )
    assert_breaks("accounted", [*calls, read(1, 31, 32)], says=says)


def test_two_codes_for_one_lost_call_break_accounted() -> None:
    call = lost(10)
    says = (
        "stored codes that were shown to nobody: 2 (such as 가1); "
        "callers who may have missed their answers: 1"
    )
    assert_breaks("accounted", [call, read(2, 31, 32)], says=says, proof=[call])


def test_a_lost_call_of_a_user_who_was_shown_a_coupon_accounts_for_no_other() -> None:
    call, shown = lost(10, user="a"), issued(1, 12, 20, user="a", repeat=True)
    assert_keeps("accounted", [call, shown, read(1, 31, 32)])
    says = (
        "stored codes that were shown to nobody: 1 (such as 가2); "
        "callers who may have missed their answers: 0"
    )
    assert_breaks("accounted", [call, shown, read(2, 31, 32)], says=says, proof=[call])


def test_a_row_of_a_user_whose_lost_call_was_sent_at_its_issue_time_keeps_accounted() -> None:
    assert_keeps("accounted", [SAME_CLOCK, lost(10, user="a"), stored(row(1, at=10, user="a"))])


def test_a_row_of_a_user_whose_lost_call_was_sent_one_microsecond_later_breaks_accounted() -> None:
    call = lost(11, user="a")
    says = (
        "가1 is stored for 'a', who was not shown it and has no call with an unknown outcome "
        "that was sent before it was issued"
    )
    lines: list[Line] = [SAME_CLOCK, call, stored(row(1, at=10, user="a"))]
    assert_breaks("accounted", lines, says=says, proof=[call])


@pytest.mark.parametrize("outcome", ["OVERLOADED", "SOLD_OUT", "CAMPAIGN_ENDED"])
def test_a_row_of_a_user_who_was_refused_breaks_accounted(outcome: str) -> None:
    call = refused(outcome, 10, 20, user="a")
    says = (
        "가1 is stored for 'a', who was not shown it and has no call with an unknown outcome "
        "that was sent before it was issued"
    )
    lines: list[Line] = [call, stored(row(1, at=10, user="a"))]
    assert_breaks("accounted", lines, says=says, proof=[call])


def test_a_row_of_nobody_whose_lost_call_was_sent_at_its_issue_time_keeps_accounted() -> None:
    lines: list[Line] = [SAME_CLOCK, lost(10), lost(20), stored(row(1, at=10), row(2, at=20))]
    assert_keeps("accounted", lines)


def test_a_row_of_nobody_with_too_few_lost_calls_before_it_breaks_accounted() -> None:
    second = lost(21)
    says = (
        "가2 is stored and was shown to nobody, and too few calls with an unknown outcome were "
        "sent before it was issued"
    )
    lines: list[Line] = [SAME_CLOCK, lost(10), second, stored(row(1, at=10), row(2, at=20))]
    assert_breaks("accounted", lines, says=says, proof=[second])
    lines = [SAME_CLOCK, lost(10), stored(row(1, at=10), row(2, at=20))]
    assert_breaks("accounted", lines, says=says)


def test_while_the_database_s_clock_is_not_known_a_lost_call_may_be_of_any_row() -> None:
    assert_keeps("accounted", [lost(500), stored(row(1, at=10))])


@pytest.mark.parametrize("call", [lost(31), refused("OVERLOADED", 10, 31)])
def test_a_call_under_way_when_the_codes_are_read_leaves_accounted_undecided(call: Issue) -> None:
    lines: list[Line] = [issued(1, 10, 20), read(1, 31, 32), call]
    lacking = "the codes read or stored after the last call"
    assert_not_checked("accounted", lines, lacking=lacking)


def test_without_codes_accounted_is_not_checked() -> None:
    assert_not_checked("accounted", [issued(1, 10, 20)], lacking="the codes read or stored")
    assert_not_checked("accounted", [lost(10)], lacking="the codes read or stored")
    assert_not_checked("accounted", [read(0, 10, 20)], lacking="a stored coupon")


@pytest.mark.parametrize("text", ["가1", "1힣", "가나다라마바사아자1", "가234567890"[:10]])
def test_syllables_and_digits_up_to_ten_keep_codes(text: str) -> None:
    assert_keeps("codes", [with_code(text)])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "가나",
        "12",
        "가나다라마바사아자10",
        "가1A",
        "ㄱ1",
        "가1 ",
        "\u1100\u11611",
        "가1\n",
        "가٣",
    ],
)
def test_anything_else_breaks_codes(text: str) -> None:
    shown = with_code(text)
    says = f"{text!r} is not 1 to 10 Hangul syllables and digits, some of each"
    assert_breaks("codes", [shown], says=says, proof=[shown])


def test_a_misshapen_code_that_is_only_stored_breaks_codes() -> None:
    bad = msgspec.structs.replace(row(1), code="A1")
    says = "'A1' is not 1 to 10 Hangul syllables and digits, some of each"
    assert_breaks("codes", [lost(0), stored(bad)], says=says)


def test_a_code_that_is_stored_twice_breaks_codes() -> None:
    twice = stored(row(1), msgspec.structs.replace(row(2), code=code(1)))
    assert_breaks("codes", [lost(0), lost(0), twice], says="가1 is stored 2 times")


def test_a_user_s_own_code_again_keeps_codes() -> None:
    assert_keeps(
        "codes", [issued(1, 9, 9, user="a"), issued(1, 30, 40, user="a", at=9, repeat=True)]
    )


@pytest.mark.parametrize(("one", "other"), [("", ""), ("a", ""), ("a", "b")])
def test_a_code_handed_out_to_two_claims_breaks_codes(one: str, other: str) -> None:
    first = issued(1, 10, 20, user=one)
    second = issued(1, 11, 20, user=other, at=10)
    also = frozenset({"user"})
    says = "가1 was handed out to two claims"
    assert_breaks("codes", [first, second], says=says, proof=[first, second], also=also)


def test_a_code_of_two_campaigns_breaks_codes() -> None:
    here, there = issued(1, 10, 20), issued(1, 11, 20, campaign_id="another")
    says = "가1 belongs to another campaign too"
    assert_breaks("codes", [here, there], says=says, proof=[there])


def test_without_a_code_codes_are_not_checked() -> None:
    assert_not_checked("codes", [campaign(), lost(10), read(0, 20, 30)], lacking="a code")
