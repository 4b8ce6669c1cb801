"""The checker is checked: it names what broken issuers break, and nothing where nothing is."""

import contextlib
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.databases import Databases

from loadtest.broken.app import issuers
from loadtest.broken.cases import CASES, SERVICE, SOUND, Case
from loadtest.broken.trial import Stand, broken_stand, service_stand
from loadtest.checker import Status, Verdict
from loadtest.checker.checking import RULES
from loadtest.checker.verdict import Findings, judgement

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def broken(databases: Databases) -> Iterator[Stand]:
    with _database(databases) as url, broken_stand(url) as made:
        yield made


@pytest.fixture(scope="module")
def service(databases: Databases) -> Iterator[Stand]:
    with _database(databases) as url, service_stand(url) as made:
        yield made


@contextlib.contextmanager
def _database(databases: Databases) -> Iterator[str]:
    # The folder is where `python -m loadtest` finds itself.
    with databases.lent() as url, contextlib.chdir(ROOT):
        yield url


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    made = random.randrange(2**32)
    print(f"{request.node.name}: seed {made}")  # noqa: T201 # to repeat a failing run
    return made


def _id(case: Case) -> str:
    return "-".join([case.issuer, *sorted(case.rules)])


@pytest.mark.parametrize("case", CASES, ids=_id)
def test_what_a_broken_issuer_breaks_is_named(case: Case, broken: Stand, seed: int) -> None:
    (load,) = case.loads
    verdict = broken.run(load, name=case.issuer, seed=seed).verdict
    assert verdict.broken >= case.rules


@pytest.mark.parametrize("case", SOUND, ids=_id)
def test_an_issuer_without_a_mistake_keeps_every_rule_under_the_loads_of_all_others(
    case: Case, request: pytest.FixtureRequest, seed: int
) -> None:
    stand: Stand = request.getfixturevalue("service" if case.issuer == SERVICE else "broken")
    kept = set()
    for load in case.loads:
        verdict = stand.run(load, name=case.issuer, seed=seed).verdict
        assert verdict.broken == set(), load
        kept |= {each.rule for each in verdict.judgements if each.status is Status.KEPT}
    assert kept == set(RULES)


def test_a_run_is_judged_rightly_only_if_the_rules_are_named_that_are_broken() -> None:
    (sound, *_), (broken, *_) = SOUND, CASES
    assert broken.rules == {"limit"}
    assert broken.is_judged_rightly(_verdict("limit"))
    assert broken.is_judged_rightly(_verdict("limit", "exact"))
    assert not broken.is_judged_rightly(_verdict("exact"))
    assert not broken.is_judged_rightly(_verdict())
    assert sound.is_judged_rightly(_verdict())
    assert not sound.is_judged_rightly(_verdict("exact"))


def _verdict(*broken: str) -> Verdict:
    judgements = []
    for rule in RULES:
        found = Findings()
        found.checked()
        if rule.name in broken:
            found.violated("it is broken")
        judgements.append(judgement(rule, [found]))
    return Verdict(judgements=judgements, operation_count=1, campaign_count=1)


def test_every_rule_is_broken_by_an_issuer() -> None:
    assert {rule for case in CASES for rule in case.rules} == {rule.name for rule in RULES}


def test_every_broken_issuer_is_tried_and_says_which_rules_must_be_named() -> None:
    tried = {case.issuer for case in (*CASES, *SOUND)} - {SERVICE}
    assert tried == set(issuers())
    for case in CASES:
        says = issuers()[case.issuer].__doc__ or ""
        assert [rule for rule in sorted(case.rules) if f"`{rule}`" not in says] == []
