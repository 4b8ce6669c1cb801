"""Holds a history to all rules."""

from collections import Counter
from collections.abc import Iterable, Iterator

from loadtest.checker import counts, order, reads, refusals, times, users
from loadtest.checker.facts import gather
from loadtest.checker.verdict import Findings, Rule, Verdict, judgement
from loadtest.history import Clock, Issue, Line

RULES: tuple[Rule, ...] = (
    *counts.RULES,
    *times.RULES,
    *order.RULES,
    *refusals.RULES,
    *users.RULES,
    *reads.RULES,
)


def check(lines: Iterable[Line]) -> Verdict:
    """Decide for each rule whether a history keeps it.

    Takes the operations' times over: it moves them by what their clocks may be off.
    """
    outcomes: Counter[str] = Counter()
    all_facts = gather(_counted(lines, outcomes))
    judgements = []
    for rule in RULES:
        findings = []
        for facts in all_facts:
            found = Findings()
            rule.look(facts, found)
            findings.append(found)
        judgements.append(judgement(rule, findings))
    return Verdict(
        judgements=judgements,
        operation_count=outcomes.total(),
        campaign_count=len(all_facts),
        outcomes=dict(outcomes.most_common()),
    )


def _counted(lines: Iterable[Line], outcomes: Counter[str]) -> Iterator[Line]:
    for line in lines:
        if not isinstance(line, Clock):
            name = line.outcome if isinstance(line, Issue) else type(line).__name__
            outcomes[name] += 1
        yield line
