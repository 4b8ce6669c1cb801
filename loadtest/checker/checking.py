"""Holds a history to all rules."""

import contextlib
import gc
from collections import Counter
from collections.abc import Iterable, Iterator

from loadtest.checker import counts, order, reads, refusals, times, users
from loadtest.checker.facts import Facts, gather
from loadtest.checker.verdict import Findings, Rule, Verdict, judgement
from loadtest.history import Clock, Issue, Line, Operation

RULES: tuple[Rule, ...] = (
    *counts.RULES,
    *times.RULES,
    *order.RULES,
    *refusals.RULES,
    *users.RULES,
    *reads.RULES,
)


def check(lines: Iterable[Line]) -> Verdict:
    """Decide for each rule whether a history keeps it."""
    clocks: list[Clock] = []
    operations: list[Operation] = []
    for line in lines:
        if isinstance(line, Clock):
            clocks.append(line)
        else:
            operations.append(line)
    with _collector_stopped(), _errors_allowed_for(operations, clocks):
        all_facts = gather(operations, clocks)
        judgements = [
            judgement(rule, [_findings(rule, facts) for facts in all_facts]) for rule in RULES
        ]
    return Verdict(
        judgements=judgements,
        operation_count=len(operations),
        campaign_count=len(all_facts),
        outcomes=dict(Counter(map(_outcome, operations)).most_common()),
    )


@contextlib.contextmanager
def _collector_stopped() -> Iterator[None]:
    """Spare looking for garbage among millions of objects again and again: there is none."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _findings(rule: Rule, facts: Facts) -> Findings:
    found = Findings()
    rule.look(facts, found)
    return found


def _outcome(operation: Operation) -> str:
    return operation.outcome if isinstance(operation, Issue) else type(operation).__name__


@contextlib.contextmanager
def _errors_allowed_for(operations: list[Operation], clocks: list[Clock]) -> Iterator[None]:
    """Move each operation's times apart by as much as its process's clock may be off.

    A million operations are too many to copy, so they are moved back in the end; the
    proofs are then what the history says.
    """
    errors: dict[str, int] = {}
    for clock in clocks:
        if clock.error_us:
            errors[clock.process] = max(clock.error_us, errors.get(clock.process, 0))
    try:
        _move_apart(operations, errors, 1)
        yield
    finally:
        _move_apart(operations, errors, -1)


def _move_apart(operations: list[Operation], errors: dict[str, int], sign: int) -> None:
    if not errors:
        return
    for operation in operations:
        error_us = sign * errors.get(operation.process, 0)
        operation.sent_us -= error_us
        if operation.answered_us is not None:
            operation.answered_us += error_us
