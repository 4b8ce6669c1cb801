"""The matrix of the interop tests: which client got through to which server, and with what.

It is made of the reports of the tests that ran, also of those that ran in other processes,
and printed at the end of the run.
"""

import textwrap
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from interop.cells import COLUMNS, COLUMNS_MEAN, PROPERTY
from interop.lanes import KINDS, LANES, NOT_HERE, SERVERS, Lane

FOLDER = Path(__file__).parent
LABEL_WIDTH = 16
WIDTH = 98
MISSING_SHOWN = 20
ABSENT = "-"


@dataclass
class Matrix:
    """What became of each part of each cell; `reasons` are those of lanes that are closed."""

    seen: dict[tuple[str, str], dict[str, bool]] = field(default_factory=lambda: defaultdict(dict))
    reasons: dict[str, str] = field(default_factory=dict)

    def take(self, report: pytest.TestReport) -> None:
        """Take in a report of a stage of a test."""
        for name, value in report.user_properties:
            if name == PROPERTY:
                self._take(dict(value), passed=report.passed, is_call=report.when == "call")  # type: ignore[call-overload] # it is what the tests put there

    def _take(self, said: dict[str, str], *, passed: bool, is_call: bool) -> None:
        if "reason" in said:
            if passed and is_call:
                self.reasons[said["lane"]] = said["reason"]
        elif is_call or not passed:
            parts = self.seen[said["lane"], said["column"]]
            # What broke on the way in or out counts as well.
            parts[said["part"]] = parts.get(said["part"], True) and passed

    def has_seen(self, lane: Lane) -> bool:
        """Tell whether anything of a lane ran."""
        return lane.id in self.reasons or any(lane_id == lane.id for lane_id, _ in self.seen)

    def missing(self) -> list[str]:
        """Return the names of cells that should exist and were not seen."""
        return [
            f"{lane.id}: {column}"
            for lane in LANES
            for column in COLUMNS
            if not self.reason(lane, column) and self.mark(lane, column) == "?"
        ]

    def reason(self, lane: Lane, column: str) -> str:
        """Return why there is no such cell; "" if there should be."""
        return self.reasons.get(lane.id, "") or lane.cannot(column)

    def mark(self, lane: Lane, column: str) -> str:
        """Return what a cell shows if it should exist."""
        seen = self.seen.get((lane.id, column), {})
        if not all(seen.values()):
            return "✗"
        return "✓" if set(seen) == set(COLUMNS[column]) else "?"


def lines(matrix: Matrix, *, is_whole: bool) -> Iterator[str]:
    """Yield the matrix as text of at most 100 columns; of a run of a part, what it saw."""
    notes: dict[str, str] = {}
    for server in SERVERS:
        yield f"{server:<{LABEL_WIDTH}}{_columns(tuple(COLUMNS))}"
        for client in KINDS:
            lanes = [
                lane
                for lane in LANES
                if (lane.server, lane.client) == (server, client)
                and (is_whole or matrix.has_seen(lane))
            ]
            if lanes:
                yield f" {client}"
            for lane in lanes:
                marks = [_mark(matrix, lane, column, notes) for column in COLUMNS]
                yield f"  {lane.way:<{LABEL_WIDTH - 2}}{_columns(marks)}"
        yield ""
    yield f"✓ seen to work   ✗ failed   ? not run   {ABSENT} {NOT_HERE}"
    yield "A letter: it cannot exist, because"
    for reason, letter in notes.items():
        yield from _wrapped(f"{letter}  ", reason)
    yield "Other protocols and codecs are not there, because"
    for kind in KINDS.values():
        if kind.only:
            yield from _wrapped(f"{kind.name}: ", kind.only)
    yield "Columns"
    for column, meaning in COLUMNS_MEAN.items():
        yield from _wrapped(f"{column:<9}", meaning)


def _mark(matrix: Matrix, lane: Lane, column: str, notes: dict[str, str]) -> str:
    if lane.kind.is_absent:
        return ABSENT
    if reason := matrix.reason(lane, column):
        return notes.setdefault(reason, chr(ord("a") + len(notes)))
    return matrix.mark(lane, column)


def _wrapped(label: str, text: str) -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=f"  {label}", subsequent_indent=" " * (2 + len(label))
    )


def _columns(marks: tuple[str, ...] | list[str]) -> str:
    widths = [len(column) + 1 for column in COLUMNS]
    return "".join(f"{mark:>{width}}" for mark, width in zip(marks, widths, strict=True))


class Plugin:
    """Collects the matrix while the tests run, and prints it."""

    def __init__(self, config: pytest.Config) -> None:
        self.matrix = Matrix()
        self._config = config
        self._has_run = False

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take in a report, from whichever process."""
        self._has_run |= any(name == PROPERTY for name, _ in report.user_properties)
        self.matrix.take(report)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fail a run of the whole folder in which a cell was forgotten."""
        if self._is_whole() and self.matrix.missing() and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:  # noqa: ANN401 # pytest's own
        """Print the matrix if anything of it ran, or should have."""
        if not (self._has_run or self._is_whole()):
            return
        terminalreporter.section("who gets in: client, protocol, server, call")
        for line in lines(self.matrix, is_whole=self._is_whole()):
            terminalreporter.write_line(line)
        if self._is_whole():
            self._write_missing(terminalreporter)

    def _write_missing(self, terminalreporter: Any) -> None:  # noqa: ANN401 # pytest's own
        missing = self.matrix.missing()
        for name in missing[:MISSING_SHOWN]:
            terminalreporter.write_line(f"not run, and it should have been: {name}", red=True)
        if len(missing) > MISSING_SHOWN:
            terminalreporter.write_line(f"and {len(missing) - MISSING_SHOWN} more", red=True)

    def _is_whole(self) -> bool:
        """Tell whether every test of the folder was asked for."""
        options = self._config.option
        if options.keyword or options.markexpr or options.deselect or options.collectonly:
            return False
        asked = (
            self._config.invocation_params.dir / argument.partition("::")[0]
            for argument in self._config.args
            if "::" not in argument
        )
        return any(path.resolve() in (FOLDER, *FOLDER.parents) for path in asked)


def pytest_configure(config: pytest.Config) -> None:
    """Take part in a run, unless it is one of those that a run is distributed to."""
    config.addinivalue_line("markers", "cell(column, part): what of the matrix a test shows")
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Plugin(config), "interop-matrix")
