"""What is written down is read again, and what cannot be read is named."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest import history
from loadtest.clocks import ANCHOR_VARIABLE, Clock, shared_clock
from loadtest.history import (
    HistoryError,
    Issue,
    Line,
    Read,
    Recorder,
    decode,
    encode,
    files_of,
    read_history,
)

TEXTS = st.text(max_size=20)
TIMES = st.integers(-(2**62), 2**62)
MAYBE_TIMES = st.none() | TIMES
OPERATION = {
    "process": TEXTS,
    "campaign_id": TEXTS,
    "sent_us": TIMES,
    "answered_us": MAYBE_TIMES,
    "outcome": TEXTS,
}
ROWS = st.builds(
    history.StoredCoupon, code=TEXTS, sequence=TIMES, user_id=TEXTS, issue_time_us=TIMES
)
LINES: st.SearchStrategy[Line] = st.one_of(
    st.builds(
        history.Clock,
        process=TEXTS,
        error_us=TIMES,
        database_ahead_us_min=MAYBE_TIMES,
        database_ahead_us_max=MAYBE_TIMES,
    ),
    st.builds(
        history.Campaign,
        **OPERATION,
        coupon_limit=TIMES,
        start_time_us=TIMES,
        end_time_us=MAYBE_TIMES,
        create_time_us=MAYBE_TIMES,
    ),
    st.builds(
        history.Change,
        **OPERATION,
        coupon_limit=MAYBE_TIMES,
        start_time_us=MAYBE_TIMES,
        end_time_us=MAYBE_TIMES,
    ),
    st.builds(
        Issue,
        **OPERATION,
        user_id=TEXTS,
        code=TEXTS,
        sequence=TIMES,
        issue_time_us=TIMES,
        already_issued=st.booleans(),
        for_user_id=st.none() | TEXTS,
        for_campaign_id=st.none() | TEXTS,
    ),
    st.builds(
        Read,
        **OPERATION,
        view=TEXTS,
        issued_count=TIMES,
        state=TEXTS,
        codes=st.lists(TEXTS, max_size=5),
    ),
    st.builds(
        history.Stored,
        **OPERATION,
        issued_count=TIMES,
        coupons=st.lists(ROWS, max_size=5),
    ),
)
CALL = Issue(process="p", campaign_id="c", sent_us=1, answered_us=2, code="가1", sequence=1)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "calls.jsonl"


def read_all(*paths: Path) -> list[Line]:
    return list(read_history(paths))


@given(line=LINES)
def test_a_line_that_is_read_is_the_line_that_was_written(line: Line) -> None:
    assert decode(encode(line)) == line


@given(line=LINES)
def test_a_line_is_one_line_of_json_that_names_its_kind(line: Line) -> None:
    text = encode(line)
    assert b"\n" not in text
    assert json.loads(text)["kind"] == type(line).__name__.lower()


@settings(max_examples=30)
@given(lines=st.lists(LINES, max_size=10))
def test_a_recorded_history_is_read_as_it_was(
    lines: list[Line], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("history") / "calls.jsonl"
    with path.open("wb") as opened:
        recorder = Recorder(opened)
        for line in lines:
            recorder.record(line)
    assert read_all(path) == lines


def test_a_recorder_writes_a_line_at_a_time() -> None:
    opened = io.BytesIO()
    recorder = Recorder(opened)
    recorder.record(CALL)
    recorder.record(CALL)
    assert opened.getvalue() == 2 * (encode(CALL) + b"\n")


def test_what_was_flushed_can_be_read_by_others(file: Path) -> None:
    with file.open("wb") as opened:
        recorder = Recorder(opened)
        recorder.record(CALL)
        assert read_all(file) == []
        recorder.flush()
        assert read_all(file) == [CALL]


def test_what_is_not_said_takes_no_space() -> None:
    assert json.loads(encode(CALL)).keys() == {
        *("kind", "process", "campaign_id", "sent_us", "answered_us", "code", "sequence")
    }


def test_the_files_are_those_given_and_those_in_the_folders_given(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in ("b.jsonl", "a.jsonl", "notes.txt"):
        (folder / name).touch()
    lone = tmp_path / "lone.txt"
    assert files_of([lone, folder]) == [lone, folder / "a.jsonl", folder / "b.jsonl"]


def test_a_folder_without_a_history_is_an_error(tmp_path: Path) -> None:
    message = r"there is no history: no file whose name ends in \.jsonl"
    with pytest.raises(HistoryError, match=message):
        files_of([tmp_path])
    with pytest.raises(HistoryError, match=message):
        read_all(tmp_path)


def test_lines_of_several_files_are_one_history(tmp_path: Path) -> None:
    other = msgspec.structs.replace(CALL, process="q")
    (tmp_path / "1.jsonl").write_bytes(encode(CALL) + b"\n")
    (tmp_path / "2.jsonl").write_bytes(encode(other) + b"\n")
    assert read_all(tmp_path) == [CALL, other]


def test_a_line_that_was_cut_off_is_an_error_that_names_file_and_line(file: Path) -> None:
    file.write_bytes(encode(CALL) + b"\n" + encode(CALL)[:-1])
    with pytest.raises(HistoryError, match=r"calls\.jsonl, line 2: "):
        read_all(file)


@pytest.mark.parametrize("cut", range(1, len(encode(CALL))))
def test_wherever_a_line_is_cut_off_it_is_an_error(file: Path, cut: int) -> None:
    file.write_bytes(encode(CALL)[:cut])
    with pytest.raises(HistoryError, match="line 1: "):
        read_all(file)


def test_a_last_line_without_its_line_break_is_whole(file: Path) -> None:
    file.write_bytes(encode(CALL))
    assert read_all(file) == [CALL]


@pytest.mark.parametrize(
    "alien",
    [
        b"",
        b"hello",
        b"{}",
        b"[1]",
        b'{"kind":"issue"}',
        b'{"kind":"party","process":"p"}',
        b'{"kind":"clock","process":1}',
        b'{"kind":"clock","process":"p","error_us":"1"}',
        b'{"kind":"clock","process":"\xff"}',
        encode(CALL) + encode(CALL),
    ],
)
def test_an_alien_line_is_an_error_that_names_file_and_line(file: Path, alien: bytes) -> None:
    file.write_bytes(encode(CALL) + b"\n" + alien + b"\n" + encode(CALL) + b"\n")
    lines = read_history([file])
    assert next(lines) == CALL
    with pytest.raises(HistoryError, match=r"calls\.jsonl, line 2: "):
        next(lines)


def test_a_file_that_cannot_be_read_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(HistoryError, match=r"nowhere\.jsonl cannot be read: No such file"):
        read_all(tmp_path / "nowhere.jsonl")
    (tmp_path / "folder.jsonl").mkdir()
    with pytest.raises(HistoryError, match=r"folder\.jsonl cannot be read: Is a directory"):
        read_all(tmp_path)


def test_what_lines_repeat_is_kept_once(file: Path) -> None:
    """Fifty reads of half a million codes would not fit into memory otherwise."""
    read = Read(process="p", campaign_id="c", sent_us=1, codes=["가1", "가2"])
    file.write_bytes(b"\n".join(encode(line) for line in (CALL, read, read)) + b"\n")
    call, one, other = read_all(file)
    assert isinstance(call, Issue)
    assert isinstance(one, Read)
    assert isinstance(other, Read)
    assert call.code is one.codes[0] is other.codes[0]
    assert one.codes[1] is other.codes[1]
    assert call.process is one.process
    assert call.campaign_id is one.campaign_id


@pytest.fixture
def no_anchor(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    # Set first, so that what the test sets is taken back in the end.
    monkeypatch.setenv(ANCHOR_VARIABLE, "")
    monkeypatch.delenv(ANCHOR_VARIABLE)
    yield
    os.environ.pop(ANCHOR_VARIABLE, None)


def test_a_clock_is_the_monotonic_one_moved_by_its_anchor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.monotonic_ns", lambda: 5_999)
    assert Clock(anchor_ns=1_000_000).now_us() == 1_005


@pytest.mark.usefixtures("no_anchor")
def test_the_processes_of_a_test_share_one_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time_ns", lambda: 2_000)
    monkeypatch.setattr("time.monotonic_ns", lambda: 500)
    own = shared_clock()
    assert own.anchor_ns == 1_500
    monkeypatch.setattr("time.time_ns", lambda: 9_000)
    assert shared_clock().anchor_ns == 1_500
    shown = subprocess.run(
        [sys.executable, "-c", "from loadtest.clocks import *; print(shared_clock().anchor_ns)"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert shown.stdout.split() == ["1500"]
