"""Whatever an ideal service did, one thing done wrong breaks the rule that forbids it."""

import dataclasses
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.histories import (
    ASKS,
    EXACT_CLOCKS,
    LOOKS,
    Ask,
    Deed,
    Fate,
    Look,
    Opening,
    Plan,
    Step,
    history_of,
    plans,
)

from loadtest.checker import check
from loadtest.history import (
    BASIC,
    FULL,
    OK,
    Campaign,
    Clock,
    Issue,
    Line,
    Read,
    Stored,
    StoredCoupon,
)


def early(sent: int, deed: Deed) -> Step:
    return Step(
        process=0,
        campaign=0,
        sent=sent,
        begins_after=0,
        happens_after=0,
        answered_after=1,
        deed=deed,
    )


def asking(user_id: str) -> Ask:
    return Ask(user_id=user_id, fate=Fate.ANSWERED, word=0)


# Two coupons, a repeat and a read: there is something of everything that can be done wrong.
BEGINNING = (
    early(0, asking("user x")),
    early(0, asking("user y")),
    early(5, asking("user x")),
    early(5, Look(view=FULL, is_lost=False)),
)
PLANS = plans(
    deeds=st.one_of(ASKS, ASKS, LOOKS),
    clocks=EXACT_CLOCKS,
    openings=st.builds(
        Opening,
        limit=st.integers(2, 6),
        start=st.integers(-20, 0),
        open_for=st.one_of(st.none(), st.integers(30, 60)),
        is_created=st.sampled_from([True]),
    ),
    final=st.just("stored"),
).map(lambda plan: dataclasses.replace(plan, steps=BEGINNING + plan.steps))


class History:
    """A valid history, to be spoilt."""

    def __init__(self, plan: Plan) -> None:
        self.lines = history_of(plan)
        self.campaign = next(line for line in self.lines if isinstance(line, Campaign))
        self.issues = [line for line in self._of_the_campaign() if isinstance(line, Issue)]
        self.reads = [
            line for line in self._of_the_campaign() if isinstance(line, Read) and line.codes
        ]
        (self.stored,) = (line for line in self._of_the_campaign() if isinstance(line, Stored))
        # The answers that issued a coupon, and those that showed one again.
        self.coupons = [
            line for line in self.issues if line.outcome == OK and not line.already_issued
        ]
        self.repeats = [line for line in self.issues if line.already_issued]
        self.last_us = max(line.answered_us or 0 for line in self.issues)

    def _of_the_campaign(self) -> list[Line]:
        campaign_id = self.campaign.campaign_id
        return [
            line
            for line in self.lines
            if not isinstance(line, Clock) and line.campaign_id == campaign_id
        ]

    def answer(self, **what: object) -> None:
        """Add a call that was sent when all others were over, and answered."""
        line = Issue(
            process="process 0",
            campaign_id=self.campaign.campaign_id,
            sent_us=self.last_us + 10,
            answered_us=self.last_us + 20,
        )
        self.lines.append(msgspec.structs.replace(line, **what))

    def replace_row(self, place: int, row: StoredCoupon) -> None:
        self.stored.coupons[place] = row

    def forget(self, code: str) -> None:
        self.stored.coupons = [row for row in self.stored.coupons if row.code != code]


def hand_out_a_code_again(history: History) -> None:
    history.coupons[1].code = history.coupons[0].code


def swap_two_sequences(history: History) -> None:
    one, other = history.coupons[0], history.coupons[1]
    one.sequence, other.sequence = other.sequence, one.sequence


def serve_the_first_last(history: History) -> None:
    first = min(history.coupons, key=lambda line: line.sequence)
    first.sent_us, first.answered_us = history.last_us + 10, history.last_us + 20


def forget_a_row(history: History) -> None:
    history.forget(history.coupons[0].code)


def forget_a_row_and_close_the_gap(history: History) -> None:
    history.forget(history.coupons[0].code)
    rows = sorted(history.stored.coupons, key=lambda row: row.sequence)
    history.stored.coupons = [
        msgspec.structs.replace(row, sequence=place) for place, row in enumerate(rows, 1)
    ]
    history.stored.issued_count = len(rows)


def store_a_coupon_of_nobody(history: History) -> None:
    row = history.stored.coupons[0]
    history.stored.coupons.append(msgspec.structs.replace(row, code="하9", user_id="nobody"))


def store_the_coupon_of_another(history: History) -> None:
    place = next(
        place
        for place, row in enumerate(history.stored.coupons)
        if row.code == history.coupons[0].code
    )
    row = history.stored.coupons[place]
    history.replace_row(place, msgspec.structs.replace(row, user_id="somebody else"))


def store_another_issue_time(history: History) -> None:
    place = next(
        place
        for place, row in enumerate(history.stored.coupons)
        if row.code == history.coupons[0].code
    )
    row = history.stored.coupons[place]
    history.replace_row(place, msgspec.structs.replace(row, issue_time_us=row.issue_time_us + 1))


def leave_a_gap(history: History) -> None:
    last = max(range(len(history.stored.coupons)), key=lambda i: history.stored.coupons[i].sequence)
    row = history.stored.coupons[last]
    history.replace_row(last, msgspec.structs.replace(row, sequence=row.sequence + 1))


def take_a_code_out_of_a_read(history: History) -> None:
    del history.reads[0].codes[0]


def swap_a_code_in_a_read(history: History) -> None:
    history.reads[0].codes[0] = "하9"


def count_one_too_many_in_a_read(history: History) -> None:
    history.reads[0].issued_count += 1


def lower_the_limit(history: History) -> None:
    history.campaign.coupon_limit = len(history.stored.coupons) - 1


def hide_a_coupon_from_a_late_read(history: History) -> None:
    # Those whose answers were lost may really have been stored after it.
    acknowledged = {line.code for line in history.issues if line.outcome == OK}
    history.lines.append(
        Read(
            process="process 0",
            campaign_id=history.campaign.campaign_id,
            sent_us=history.last_us + 10,
            answered_us=history.last_us + 20,
            view=BASIC,
            issued_count=len(acknowledged) - 1,
        )
    )


def issue_before_the_start(history: History) -> None:
    history.coupons[0].issue_time_us = history.campaign.start_time_us - 1


def issue_at_the_end(history: History) -> None:
    history.campaign.end_time_us = history.coupons[0].issue_time_us


def issue_after_the_answer(history: History) -> None:
    history.coupons[0].issue_time_us += 1000


def sell_out_too_early(history: History) -> None:
    first = history.coupons[0]
    history.answer(outcome="SOLD_OUT", sent_us=first.sent_us - 10, answered_us=first.sent_us - 1)


def end_too_early(history: History) -> None:
    first = history.coupons[0]
    history.answer(
        outcome="CAMPAIGN_ENDED", sent_us=first.sent_us - 10, answered_us=first.sent_us - 1
    )


def sell_out_with_one_left(history: History) -> None:
    history.campaign.coupon_limit = len(history.stored.coupons) + 1
    history.answer(outcome="SOLD_OUT")


def deny_the_start(history: History) -> None:
    history.answer(outcome="CAMPAIGN_NOT_STARTED")


def answer_with_an_internal_error(history: History) -> None:
    history.answer(outcome="internal")


def answer_for_another_user(history: History) -> None:
    history.coupons[0].for_user_id = "somebody else"


def give_a_user_two(history: History) -> None:
    history.coupons[0].user_id = history.coupons[1].user_id = "user e"


def call_a_repeat_new(history: History) -> None:
    history.repeats[0].already_issued = False


def call_a_new_one_a_repeat(history: History) -> None:
    history.coupons[0].user_id = "user e"
    history.coupons[0].already_issued = True


MUTATIONS: dict[Callable[[History], None], str] = {
    hand_out_a_code_again: "codes",
    swap_two_sequences: "sequences",
    serve_the_first_last: "order",
    forget_a_row: "stored",
    forget_a_row_and_close_the_gap: "stored",
    store_a_coupon_of_nobody: "accounted",
    store_the_coupon_of_another: "own",
    store_another_issue_time: "clock",
    leave_a_gap: "sequences",
    take_a_code_out_of_a_read: "snapshot",
    swap_a_code_in_a_read: "snapshot",
    count_one_too_many_in_a_read: "snapshot",
    hide_a_coupon_from_a_late_read: "snapshot",
    lower_the_limit: "limit",
    issue_before_the_start: "start",
    issue_at_the_end: "end",
    issue_after_the_answer: "clock",
    sell_out_too_early: "sold_out",
    end_too_early: "ended",
    sell_out_with_one_left: "exact",
    deny_the_start: "not_started",
    answer_with_an_internal_error: "answers",
    answer_for_another_user: "own",
    give_a_user_two: "user",
    call_a_repeat_new: "user",
    call_a_new_one_a_repeat: "user",
}


@settings(max_examples=8)
@given(plan=PLANS)
@pytest.mark.parametrize("spoil", MUTATIONS, ids=lambda spoil: spoil.__name__)
def test_one_thing_done_wrong_breaks_its_rule(spoil: Callable[[History], None], plan: Plan) -> None:
    history = History(plan)
    assert check(history.lines).broken == set()
    spoil(history)
    assert MUTATIONS[spoil] in check(history.lines).broken
