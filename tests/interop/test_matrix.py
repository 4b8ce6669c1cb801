"""The matrix tells what ran, and misses what did not."""

from dataclasses import replace

import pytest
from interop.cells import COLUMNS, PROPERTY, lanes_of
from interop.lanes import KINDS, LANES, NEVER_COMPRESSES, NOT_HERE, Lane
from interop.matrix import Matrix, lines

OPEN = next(lane for lane in LANES if lane.client == "connect-web, Node")
CLOSED = next(lane for lane in LANES if lane.is_closed)


def report(properties: dict[str, str], *, outcome: str = "passed") -> pytest.TestReport:
    """Return the report of a test's call."""
    return pytest.TestReport(
        nodeid="test",
        location=("test", None, "test"),
        keywords={},
        outcome=outcome,  # type: ignore[arg-type] # one of the three
        longrepr=None,
        when="call",
        user_properties=[(PROPERTY, list(properties.items()))],
    )


def seen(lane: Lane, column: str, part: str, *, outcome: str = "passed") -> pytest.TestReport:
    return report({"lane": lane.id, "column": column, "part": part}, outcome=outcome)


def test_a_cell_is_seen_to_work_when_each_of_its_parts_was() -> None:
    matrix = Matrix()
    for part in COLUMNS["issue"]:
        assert matrix.mark(OPEN, "issue") == "?"
        matrix.take(seen(OPEN, "issue", part))
    assert matrix.mark(OPEN, "issue") == "✓"


def test_a_cell_fails_with_any_run_of_any_part() -> None:
    matrix = Matrix()
    for outcome in ("passed", "failed", "passed"):
        matrix.take(seen(OPEN, "issue", "IssueCoupon", outcome=outcome))
    assert matrix.mark(OPEN, "issue") == "✗"


def test_what_was_not_run_is_missing_unless_it_cannot_exist() -> None:
    matrix = Matrix()
    for column, parts in COLUMNS.items():
        for lane in lanes_of(column):
            for part in parts:
                if (lane, column) != (OPEN, "late"):
                    matrix.take(seen(lane, column, part))
    for lane in LANES:
        if lane.is_closed and lane != CLOSED:
            matrix.take(report({"lane": lane.id, "reason": "so it said"}))
    missing = [f"{OPEN.id}: late"]
    missing += [f"{CLOSED.id}: {column}" for column in COLUMNS if not CLOSED.cannot(column)]
    assert sorted(matrix.missing()) == sorted(missing)


def test_a_reason_counts_only_when_its_test_passed() -> None:
    matrix = Matrix()
    matrix.take(report({"lane": CLOSED.id, "reason": "so it said"}, outcome="failed"))
    assert matrix.reason(CLOSED, "create") == ""
    matrix.take(report({"lane": CLOSED.id, "reason": "so it said"}))
    assert matrix.reason(CLOSED, "create") == "so it said"


def test_the_matrix_fits_a_hundred_columns_and_gives_its_reasons() -> None:
    printed = list(lines(Matrix(), is_whole=True))
    assert max(map(len, printed)) <= 100
    assert any(NEVER_COMPRESSES in line for line in printed)
    assert sum(line.startswith("  Connect JSON") for line in printed) == 12


def test_a_program_that_is_not_on_this_machine_is_not_one_that_cannot_exist(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(KINDS, "curl", replace(KINDS["curl"], is_absent=True))
    matrix = Matrix()
    assert not any(name.startswith("curl-") for name in matrix.missing())
    printed = list(lines(matrix, is_whole=True))
    row = printed[printed.index(" curl") + 1]
    assert row.split() == ["Connect", "JSON", *["-"] * len(COLUMNS)]
    assert [line for line in printed if NOT_HERE in line] == [
        "✓ seen to work   ✗ failed   ? not run   - its program is not on this machine"
    ]
