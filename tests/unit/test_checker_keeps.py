"""The checker never complains of a service without fault."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st
from support.histories import PLAIN, Plan, copied, history_of, plans, shuffled

from loadtest.checker import Status, Verdict, check
from loadtest.checker.verdict import ANY_CALL


def complaints(verdict: Verdict) -> list[tuple[str, list[str]]]:
    return [
        (each.rule.name, [example.sentence for example in each.examples])
        for each in verdict.judgements
        if each.status is Status.BROKEN
    ]


@settings(max_examples=150)
@given(plan=plans())
def test_whatever_an_ideal_service_answers_keeps_all_rules(plan: Plan) -> None:
    assert complaints(check(history_of(plan))) == []


@settings(max_examples=50)
@given(plan=PLAIN)
def test_what_an_ideal_service_stores_keeps_all_rules(plan: Plan) -> None:
    assert complaints(check(history_of(plan))) == []


@settings(max_examples=50)
@given(plan=plans(), seed=st.integers(0, 1000))
def test_the_order_of_the_lines_decides_nothing(plan: Plan, seed: int) -> None:
    lines = history_of(plan)
    mixed = shuffled(lines, random.Random(seed))
    statuses = [
        [(each.rule.name, each.status, each.lacking) for each in check(each_order).judgements]
        for each_order in (lines, mixed)
    ]
    assert statuses[0] == statuses[1]


@settings(max_examples=25)
@given(plan=plans())
def test_checking_leaves_the_lines_as_they_were(plan: Plan) -> None:
    lines = history_of(plan)
    before = copied(lines)
    check(lines)
    assert lines == before


@settings(max_examples=40)
@given(plan=plans())
def test_a_rule_is_kept_only_where_something_was_checked_and_else_says_what_it_lacks(
    plan: Plan,
) -> None:
    verdict = check(history_of(plan))
    for each in verdict.judgements:
        assert (each.status is Status.KEPT) <= (each.checked_count > 0)
        assert each.lacking
        if each.status is Status.NOT_CHECKED and verdict.campaign_count:
            assert each.lacking != ANY_CALL


def test_nothing_is_not_kept() -> None:
    verdict = check([])
    assert {each.status for each in verdict.judgements} == {Status.NOT_CHECKED}
    assert not verdict.is_kept
    assert verdict.broken == set()
