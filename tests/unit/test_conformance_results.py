"""What is read from the conformance runner's report, and which failures are known."""

from collections import Counter
from pathlib import Path

import pytest

from conformance import known, results
from conformance.known import KnownFailure
from conformance.results import Run, Unexpected
from conformance.subjects import SUBJECTS

SUBJECT = SUBJECTS["uvicorn-ours"]
CANCELED = KnownFailure(pattern="**/unary/canceled", cause="choice", why="Because.")
REPORT = """\
FAILED: Basic/HTTPVersion:1/TLS:true/unary/success:
\treceived an unexpected error:
\tcode:CODE_UNKNOWN
FAILED: Errors/HTTPVersion:1/TLS:true/unary/canceled was expected to fail but did not
INFO: Errors/HTTPVersion:1/TLS:false/unary/canceled failed (as expected):
\tactual error {code: 14 (unavailable)}

Total cases: 12
9 passed, 2 failed
(Another 1 failed as expected due to being known failures/flakes.)
"""
GOOD_REPORT = "Total cases: 12\n12 passed, 0 failed\n"


def a_run(report: str, *, log: str = "", exit_status: int = 0) -> Run:
    return Run(subject=SUBJECT, report=report, log=log, seconds=1, exit_status=exit_status)


def test_a_report_is_read_to_the_last_case() -> None:
    result = results.parse(a_run(REPORT, exit_status=1), [CANCELED])

    assert (result.cases, result.passed, result.not_run) == (12, 9, 0)
    assert result.known == Counter({CANCELED: 1})
    assert result.unexpected == (
        Unexpected(
            case="Basic/HTTPVersion:1/TLS:true/unary/success", said="received an unexpected error:"
        ),
        Unexpected(
            case="Errors/HTTPVersion:1/TLS:true/unary/canceled",
            said="It passed, and is known to fail.",
        ),
    )
    assert [each.kind for each in result.unexpected] == [
        "Basic/unary/success",
        "Errors/unary/canceled",
    ]


@pytest.mark.parametrize(
    ("report", "exit_status", "good"),
    [
        (GOOD_REPORT, 0, True),
        (GOOD_REPORT, 1, False),
        ("", 0, False),
        (REPORT, 0, False),
        (f"{GOOD_REPORT}Another 3 could not be run due to client timing out.\n", 0, False),
    ],
)
def test_only_a_whole_run_without_surprises_is_good(
    report: str, exit_status: int, *, good: bool
) -> None:
    result = results.parse(a_run(report, exit_status=exit_status), [CANCELED])

    assert result.is_good is good


def test_cases_that_do_as_expected_when_tried_again_are_told_apart() -> None:
    first = results.parse(a_run(REPORT, exit_status=1), [CANCELED])
    again = results.parse(a_run("Total cases: 2\n2 passed, 0 failed\n"), [CANCELED])

    result = results.tried_again(first, again)

    assert (result.cases, result.passed, result.second_tries) == (12, 11, 2)
    assert (result.known, result.unexpected, result.is_good) == (Counter({CANCELED: 1}), (), True)


def test_cases_that_fail_again_stay_unexpected() -> None:
    first = results.parse(a_run(REPORT, exit_status=1), [CANCELED])
    failed_again = "FAILED: a/b:\n\toh\nTotal cases: 2\n1 passed, 1 failed\n"
    again = results.parse(a_run(failed_again, exit_status=1), [CANCELED])

    result = results.tried_again(first, again)

    assert (result.passed, result.second_tries, result.is_good) == (10, 1, False)
    assert result.unexpected == (Unexpected(case="a/b", said="oh"),)


@pytest.mark.parametrize("cases", [0, 1])
def test_cases_that_were_not_tried_again_stay_as_they_were(cases: int) -> None:
    first = results.parse(a_run(REPORT, exit_status=1), [CANCELED])
    again = results.parse(a_run(f"Total cases: {cases}\n{cases} passed, 0 failed\n"), [CANCELED])

    assert results.tried_again(first, again) == first
    assert not first.is_good


def test_the_servers_tracebacks_are_counted_and_make_a_run_bad() -> None:
    log = "Traceback (most recent call last):\n  boom\n" * 3

    result = results.parse(a_run(GOOD_REPORT, log=log), [])

    assert (result.tracebacks, result.is_good) == (3, False)


def test_a_traceback_of_the_first_try_is_not_forgotten() -> None:
    log = "Traceback (most recent call last):\n  boom\n"
    first = results.parse(a_run(REPORT, log=log, exit_status=1), [CANCELED])
    again = results.parse(a_run("Total cases: 2\n2 passed, 0 failed\n"), [CANCELED])

    result = results.tried_again(first, again)

    assert (result.unexpected, result.tracebacks, result.is_good) == ((), 1, False)


@pytest.mark.parametrize(
    ("pattern", "case", "matches"),
    [
        ("**/unary/canceled", "Errors/TLS:true/unary/canceled", True),
        ("**/unary/canceled", "unary/canceled", True),
        ("**/unary/canceled", "Errors/unary/canceled/more", False),
        ("Errors/*/unary/canceled", "Errors/TLS:true/unary/canceled", True),
        ("Errors/*/unary/canceled", "Errors/a/b/unary/canceled", False),
        ("Errors/**/(grpc client impl)/**", "Errors/a/(grpc client impl)/unary/canceled", True),
    ],
)
def test_a_star_is_one_part_of_a_name_and_two_are_any_number(
    pattern: str, case: str, *, matches: bool
) -> None:
    failure = KnownFailure(pattern=pattern, cause="choice", why="Because.")

    assert failure.matches(case) is matches


def test_a_comment_says_whose_doing_the_patterns_below_it_are(tmp_path: Path) -> None:
    file = tmp_path / "known.txt"
    file.write_text("# Known.\n\n# choice: Because.\n**/unary/canceled\n\n# runner: Odd.\na/b\n")

    assert known.read(file) == [CANCELED, KnownFailure(pattern="a/b", cause="runner", why="Odd.")]


def test_a_pattern_without_a_cause_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "known.txt"
    file.write_text("# Known.\n**/unary/canceled\n")

    with pytest.raises(ValueError, match=r"known\.txt:2: no comment says whose doing this is"):
        known.read(file)


def test_a_mistyped_cause_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "known.txt"
    file.write_text("# choice: Because.\n**/unary/canceled\n# libary: Odd.\na/b\n")

    with pytest.raises(ValueError, match=r"known\.txt:3: there is no cause of this name: libary"):
        known.read(file)


@pytest.mark.parametrize("name", SUBJECTS)
def test_every_known_failure_has_a_cause(name: str) -> None:
    failures = [each for file in SUBJECTS[name].known_failures for each in known.read(file)]

    assert {each.cause for each in failures} <= known.CAUSES.keys()
