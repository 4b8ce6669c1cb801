"""What the runner reported of one subject."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from conformance.known import KnownFailure
from conformance.subjects import Subject

_FAILED = re.compile(r"^FAILED: (.*):$")
_PASSED_THOUGH_KNOWN = re.compile(r"^FAILED: (.*) was expected to fail but did not$")
_EXPECTED = re.compile(r"^INFO: (.*) failed \(as expected\):$")
_TOTAL = re.compile(r"^Total cases: (\d+)$")
_PASSED = re.compile(r"^(\d+) passed, \d+ failed$")
_NOT_RUN = re.compile(r"^Another (\d+) could not be run")


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """A run of the runner on a subject: what it reported, and what the server logged."""

    subject: Subject
    report: str
    log: str
    seconds: float
    exit_status: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Unexpected:
    """A case that failed and is not known to, or passed and is known not to."""

    case: str
    said: str

    @property
    def kind(self) -> str:
        """The case's name without the protocol, codec and so on that it was tried with."""
        return "/".join(part for part in self.case.split("/") if ":" not in part)


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """How a subject did.

    `second_tries` is how many cases were as expected only when they were tried again;
    `tracebacks` is how many the server logged meanwhile.
    """

    run: Run
    cases: int
    passed: int
    not_run: int
    known: Counter[KnownFailure]
    unexpected: tuple[Unexpected, ...]
    tracebacks: int
    second_tries: int = 0

    @property
    def is_good(self) -> bool:
        """Whether everything ran, and nothing failed but what is known to."""
        is_whole = self.run.exit_status == 0 and self.cases > 0 and not self.not_run
        return is_whole and not (self.unexpected or self.tracebacks)


def parse(run: Run, known: Sequence[KnownFailure]) -> Result:
    """Return what the runner's report and the server's log say."""
    lines = run.report.splitlines()
    expected = [found[1] for found in map(_EXPECTED.match, lines) if found]
    return Result(
        run=run,
        cases=_number(_TOTAL, lines),
        passed=_number(_PASSED, lines),
        not_run=_number(_NOT_RUN, lines),
        known=Counter(next(each for each in known if each.matches(case)) for case in expected),
        unexpected=tuple(_unexpected(lines)),
        tracebacks=run.log.count("Traceback (most recent call last):"),
    )


def tried_again(first: Result, again: Result) -> Result:
    """Return how a subject did whose unexpected cases were tried again.

    If not all of them were, as when the runner ended early, the first try stands.
    """
    if again.cases < len(first.unexpected):
        return first
    return replace(
        first,
        run=replace(again.run, seconds=first.run.seconds + again.run.seconds),
        passed=first.passed + again.passed,
        not_run=again.not_run,
        known=first.known + again.known,
        unexpected=again.unexpected,
        tracebacks=first.tracebacks + again.tracebacks,
        second_tries=again.cases - len(again.unexpected),
    )


def _unexpected(lines: Sequence[str]) -> Iterator[Unexpected]:
    for line, following in pairwise([*lines, ""]):
        if found := _PASSED_THOUGH_KNOWN.match(line):
            yield Unexpected(case=found[1], said="It passed, and is known to fail.")
        elif found := _FAILED.match(line):
            yield Unexpected(case=found[1], said=following.strip())


def _number(pattern: re.Pattern[str], lines: Sequence[str]) -> int:
    """Return the number in the line that matches; 0 if none does."""
    return next((int(found[1]) for found in map(pattern.match, lines) if found), 0)
