"""`python -m loadtest`: what it refuses, and what its help says."""

from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from loadtest.__main__ import main
from loadtest.history import Clock, encode
from loadtest.rush.folder import FolderInUse, Hold
from loadtest.rush.plan import Run, Share


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


def test_only_the_option_says_what_to_rush_and_no_variable(tmp_path: Path) -> None:
    (tmp_path / "other.jsonl").write_bytes(b"")
    result = CliRunner(env={"COUPON_URL": "ftp://example.com"}).invoke(
        main, ["rush", "--output", str(tmp_path)]
    )
    assert (result.exit_code, len(result.output.splitlines())) == (1, 1)
    assert "holds another history (other.jsonl)" in result.output


def test_one_folder_takes_one_rush_at_a_time(tmp_path: Path) -> None:
    first = Hold(tmp_path)
    with pytest.raises(FolderInUse, match="another rush writes to"):
        Hold(tmp_path)
    result = CliRunner().invoke(main, ["rush", "--output", str(tmp_path)])
    assert (result.exit_code, len(result.output.splitlines())) == (1, 1)
    first.release()
    Hold(tmp_path).release()


def checked(command: str, folder: Path, *, size: int, is_whole: bool = True) -> Result:
    """Return what a command says of a run of whose worker `size` bytes are expected."""
    (folder / "worker-1.jsonl").write_bytes(encode(Clock(process="worker-1")) + b"\n")
    (folder / "master.jsonl").write_bytes(encode(Clock(process="master")) + b"\n")
    share = Share(process="worker-1", size=size, busy=0, unanswered=0, clock_error_us=0)
    run = Run(
        url="http://127.0.0.1",
        campaign_id="c",
        coupons=1,
        rate=1,
        users=1,
        seed=1,
        duration=None,
        begun_at="2026-01-01T00:00:00+00:00",
        start_us=1,
        end_us=2,
        machine={},
        is_whole=is_whole,
        shares=[share],
    )
    (folder / "rush.json").write_bytes(msgspec.json.encode(run))
    return CliRunner().invoke(main, [command, str(folder)])


@pytest.mark.parametrize("command", ["check", "report"])
def test_a_run_is_not_judged_by_a_part_of_its_history(command: str, tmp_path: Path) -> None:
    result = checked(command, tmp_path, size=10_000)
    assert (result.exit_code, len(result.output.splitlines())) == (1, 1)
    assert "a part of the history is missing" in result.output


def test_a_run_that_lost_a_process_is_not_checked(tmp_path: Path) -> None:
    result = checked("check", tmp_path, size=1, is_whole=False)
    assert (result.exit_code, len(result.output.splitlines())) == (1, 1)
    assert "a part of the history is missing" in result.output


def test_a_run_whose_files_are_all_there_is_checked(tmp_path: Path) -> None:
    assert "missing" not in checked("check", tmp_path, size=1).output
