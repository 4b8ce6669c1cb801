"""The command line of the benchmarks, as far as it can be tested without measuring."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from bench import estimates
from bench.__main__ import MEASURES, exit_status, main
from bench.figures import Figure, at_least
from bench.load import TOOLS
from bench.options import Options

REACHED = Figure(row="a", title="", values=[1], target=at_least(1))
MISSED = Figure(row="a", title="", values=[1], target=at_least(2))
AIMLESS = Figure(row="a", title="", values=[1])


def test_the_help_says_what_each_row_measures() -> None:
    lines = CliRunner().invoke(main, ["--help"]).output.splitlines()
    said = [line.split(maxsplit=1) for line in lines[lines.index("  ROWS:") + 1 :]]
    assert [row for row, _ in said] == list(MEASURES)


def test_missing_generators_are_named_with_how_to_get_them_before_anything_begins(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    ended = CliRunner().invoke(main, ["--output", str(tmp_path / "out")])
    assert ended.exit_code == 1
    assert [how for how in TOOLS.values() if how not in ended.output] == []
    assert "Measuring" not in ended.output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [["no-such-row"], ["--rounds", "0"], ["--seconds", "1.5"]])
def test_nonsense_is_refused_as_such(arguments: list[str]) -> None:
    assert CliRunner().invoke(main, arguments).exit_code == 2


def test_to_have_measured_is_a_success_unless_targets_are_meant_strictly() -> None:
    assert exit_status([REACHED, MISSED, AIMLESS], strict=False) == 0
    assert exit_status([REACHED, MISSED, AIMLESS], strict=True) == 1
    assert exit_status([REACHED, AIMLESS], strict=True) == 0


@pytest.mark.parametrize("row", list(MEASURES))
def test_each_row_has_an_estimate_that_grows_with_what_is_asked_of_it(row: str) -> None:
    assert row in estimates.SECONDS
    few = Options(rounds=1, seconds=1, latency_seconds=1, stored_coupons=1000)
    assert 0 < estimates.seconds([row], few) <= estimates.seconds([row], Options())


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(3, "10 seconds"), (44, "40 seconds"), (89, "90 seconds"), (95, "2 minutes")],
)
def test_durations_are_said_roughly(seconds: float, words: str) -> None:
    assert estimates.spoken(seconds) == words
