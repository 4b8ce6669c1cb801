"""`python -m loadtest`: what it refuses, and what its help says."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from loadtest.__main__ import main


@pytest.mark.parametrize(
    "arguments",
    [
        ("rush", "--rate", "0"),
        ("rush", "--rate", "1000000"),
        ("rush", "--coupons", "0"),
        ("rush", "--coupons", "10000001"),
        ("rush", "--duration", "0"),
        ("rush", "--starts-in", "1"),
        ("rush", "--processes", "0"),
        ("rush", "--seed", "-1"),
        ("rush", "--url", "ftp://example.com"),
        ("rush", "--url", "http://"),
        ("rush", "--token", "two\nlines"),
        ("check",),
        ("check", "there is no such file"),
        ("report", "there is no such folder"),
        ("unheard-of",),
    ],
)
def test_bad_usage_is_refused_with_status_2(arguments: tuple[str, ...]) -> None:
    assert CliRunner().invoke(main, arguments).exit_code == 2


@pytest.mark.parametrize("command", ["rush", "check", "report"])
def test_help_is_there_for_every_command(command: str) -> None:
    result = CliRunner().invoke(main, [command, "--help"])
    assert result.exit_code == 0
    assert command in CliRunner().invoke(main, ["--help"]).output


def test_what_is_not_a_history_is_an_error_of_one_line(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text('{"kind": "unheard of"}\n')
    result = CliRunner().invoke(main, ["check", str(path)])
    assert result.exit_code == 1
    assert len(result.output.splitlines()) == 1


def test_nothing_to_check_is_a_failure(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_bytes(b"")
    assert CliRunner().invoke(main, ["check", str(path)]).exit_code == 1


def test_a_folder_without_a_finished_run_has_no_report(tmp_path: Path) -> None:
    (tmp_path / "rush.json").write_text("{}")
    result = CliRunner().invoke(main, ["report", str(tmp_path)])
    assert result.exit_code == 1
    assert "not that of a finished run" in result.output
