"""The verdict as a whole, how it is printed, and that every sentence has a history."""

import ast
import functools
import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from rich.console import Console
from support.small_histories import (
    SAME_CLOCK,
    assert_not_checked,
    campaign,
    code,
    issued,
    judged,
    lost,
    read,
    refused,
    row,
    stored,
)

import loadtest.checker
from loadtest import history
from loadtest.checker import Status, check
from loadtest.checker.checking import RULES
from loadtest.checker.tables import print_verdict
from loadtest.history import BASIC, Line

CHECKER = Path(loadtest.checker.__file__).parent
HERE = Path(__file__).parent

NAMES = ["limit", "exact", "stored", "accounted", "codes", "start", "end", "clock", "order"]
NAMES += ["sequences", "sold_out", "ended", "not_started", "answers", "user", "own", "snapshot"]


def printed(lines: list[Line], *, width: int = 200, problems: Sequence[str] = ()) -> str:
    file = io.StringIO()
    print_verdict(check(lines), Console(file=file, width=width), problems)
    return file.getvalue()


def sentences_of_the_rules() -> Iterator[str]:
    """Yield a pattern for each sentence that a rule can say."""
    for path in CHECKER.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "found.violated":
                yield pattern(node.args[0])


def pattern(sentence: ast.expr) -> str:
    if isinstance(sentence, ast.Constant):
        return re.escape(str(sentence.value))
    assert isinstance(sentence, ast.JoinedStr)
    return "".join(
        re.escape(str(part.value)) if isinstance(part, ast.Constant) else "(.+|)"
        for part in sentence.values
    )


@functools.cache
def sentences_of_the_tests() -> set[str]:
    """Return every text in the tests of the rules that a rule may be asserted to say."""
    return {
        node.value
        for path in HERE.glob("test_checker_*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    } | {
        # Those that tests put together.
        "internal is not an answer that callers were promised",
        "'a' had a coupon and was told SOLD_OUT when asking again",
        "'A1' is not 1 to 10 Hangul syllables and digits, some of each",
    }


@pytest.mark.parametrize("sentence", sorted(sentences_of_the_rules()))
def test_every_sentence_of_a_rule_is_said_in_a_test(sentence: str) -> None:
    assert [said for said in sentences_of_the_tests() if re.fullmatch(sentence, said)] != []


def test_the_sentences_are_found() -> None:
    assert len(set(sentences_of_the_rules())) > 40


def test_the_rules_are_these() -> None:
    assert [rule.name for rule in RULES] == NAMES


def test_the_checker_imports_nothing_of_the_service() -> None:
    for path in [*CHECKER.glob("*.py"), Path(history.__file__)]:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names: list[str | None] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module]
            assert [name for name in names if name and name.startswith("coupon_service")] == []


def test_a_history_in_which_nothing_can_be_checked_is_not_kept() -> None:
    verdict = check([SAME_CLOCK, campaign()])
    assert {each.status for each in verdict.judgements} == {Status.NOT_CHECKED}
    assert not verdict.is_kept


def test_a_history_is_kept_if_a_rule_was_checked_and_none_is_broken() -> None:
    assert check([refused("SOLD_OUT", 10, 20)]).is_kept
    assert not check([refused("internal", 10, 20)]).is_kept


def test_one_campaign_that_cannot_be_decided_leaves_the_rule_undecided() -> None:
    there = issued(2, 10, 20, campaign_id="another")
    lines: list[Line] = [campaign(), issued(1, 10, 20), there]
    lacking = "a line that says what the campaign's limit is"
    assert_not_checked("limit", lines, lacking=lacking)
    assert judged("limit", lines).checked_count == 1


def test_one_campaign_with_nothing_to_check_leaves_the_rule_to_the_others() -> None:
    lines: list[Line] = [campaign(), issued(1, 10, 20), campaign(campaign_id="another")]
    assert judged("limit", lines).status is Status.KEPT


def test_one_campaign_that_breaks_a_rule_breaks_it_for_all() -> None:
    there = issued(4, 10, 20, campaign_id="another")
    lines: list[Line] = [campaign(), issued(1, 10, 20), campaign(campaign_id="another"), there]
    assert check(lines).broken == {"limit"}
    assert [example.proof for example in judged("limit", lines).examples] == [(there,)]


def test_the_counts_are_those_of_all_operations() -> None:
    lines: list[Line] = [
        SAME_CLOCK,
        campaign(),
        issued(1, 10, 20),
        lost(10),
        lost(11),
        read(1, 30, 40),
    ]
    verdict = check(lines)
    assert (verdict.operation_count, verdict.campaign_count) == (5, 1)
    assert verdict.outcomes == {"Campaign": 1, "OK": 1, "NO_ANSWER": 2, "Read": 1}


def test_only_a_few_examples_are_kept_and_all_violations_are_counted() -> None:
    found = judged("answers", [refused("internal", number, number) for number in range(9)])
    assert (found.violation_count, len(found.examples)) == (9, 5)


def test_the_printed_verdict_names_every_rule_and_what_it_needs() -> None:
    text = printed([issued(1, 10, 20)])
    for rule in RULES:
        assert rule.title in text
    assert "not checked: needs a line that says what the campaign's limit is" in text
    assert "Kept: no rule is broken (1 operation, 1 campaign)." in text


def test_of_an_empty_history_only_that_nothing_could_be_checked_is_printed() -> None:
    assert printed([]) == "\nNothing could be checked (0 operations, 0 campaigns).\n"


def test_a_printed_proof_is_one_line_however_narrow_the_terminal() -> None:
    call = refused("internal", 10, 20)
    assert history.encode(call).decode() in printed([call], width=40)


def test_a_run_that_failed_without_a_broken_rule_is_not_printed_as_kept() -> None:
    text = printed([issued(1, 10, 20)], problems=["too few came", "a caller was lost"])
    assert "No rule is broken, but: too few came; a caller was lost (1 operation" in text
    assert "Kept" not in text


def test_a_printed_violation_shows_its_proof_without_the_codes() -> None:
    wrong = read(0, 30, 40)
    wrong.issued_count, wrong.codes = 2, [code(2), code(1)]
    text = printed([lost(0), lost(0), wrong, stored(row(1), row(2))])
    assert "GetCampaign showed other codes than those that are stored, from number 1 on" in text
    assert '"issued_count":2' in text
    assert code(2) not in text
    assert "BROKEN: snapshot (4 operations, 1 campaign)." in text


def test_a_printed_verdict_tells_how_many_violations_are_not_shown() -> None:
    text = printed([refused("internal", number, number) for number in range(9)])
    assert "and 4 more" in text


def test_a_sentence_that_speaks_for_many_violations_is_not_followed_by_more_of_them() -> None:
    text = printed([refused("SOLD_OUT", 1, 2), read(300, 31, 32)])
    assert "stored codes that were shown to nobody: 300 (such as 가1)" in text
    assert not re.search("and [0-9,]+ more", text)


def test_a_proof_is_the_line_as_it_was_recorded() -> None:
    clock = history.Clock(process="caller", error_us=7)
    call = refused("internal", 10, 20)
    text = printed([clock, call, read(0, 30, 40, view=BASIC)])
    assert '"sent_us":10,"answered_us":20' in text
