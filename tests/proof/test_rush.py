"""`make rush` in small: what its history holds, what it reports, and when it fails."""

import json
import signal
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import IO

import msgspec
import pytest
from conftest import ServiceStarter
from support.service import environment

from loadtest.history import BASIC, FULL, OK, Campaign, Clock, Read, Stored
from loadtest.rush.lines import Arrival, Line, decode

ROOT = Path(__file__).parents[2]
ENDS_WITHIN_SECONDS = 120
COUPONS = 300
SMALL = ("--coupons", str(COUPONS), "--rate", "200", "--starts-in", "2", "--seed", "7")
LONG_RUSH = ("rush", "--coupons", "1000000", "--rate", "200", "--starts-in", "2")
VOID = frozenset({"meta", "br", "link"})


def loadtest(*arguments: object) -> "subprocess.CompletedProcess[str]":
    """Run `python -m loadtest` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "loadtest", *map(str, arguments)],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        encoding="utf-8",
        timeout=ENDS_WITHIN_SECONDS,
        check=False,
    )


class Rush:
    """A run that has ended."""

    def __init__(self, ended: "subprocess.CompletedProcess[str]", folder: Path) -> None:
        self.ended = ended
        self.folder = folder
        self.lines: list[Line] = [
            decode(data)
            for path in sorted(folder.glob("*.jsonl"))
            for data in path.read_bytes().splitlines()
        ]

    @property
    def arrivals(self) -> list[Arrival]:
        return [line for line in self.lines if isinstance(line, Arrival)]

    @property
    def campaign(self) -> Campaign:
        (campaign,) = (line for line in self.lines if isinstance(line, Campaign))
        return campaign


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Rush:
    """A rush of a service that it started itself."""
    folder = tmp_path_factory.mktemp("own")
    return Rush(loadtest("rush", *SMALL, "--output", folder), folder)


@pytest.fixture
def other(start_service: ServiceStarter, database_url: str, tmp_path: Path) -> Rush:
    """A rush of a service that runs elsewhere, from two processes."""
    service = start_service("--workers", "2", database_url=database_url)
    where = ("--url", service.url, "--token", "a token", "--processes", 2)
    return Rush(loadtest("rush", *SMALL, *where, "--output", tmp_path), tmp_path)


def test_a_service_without_fault_passes_and_all_its_coupons_are_handed_out(own: Rush) -> None:
    told = own.ended.stdout
    assert (own.ended.returncode, own.ended.stderr) == (0, "")
    assert f"{COUPONS} of {COUPONS} coupons were issued." in told
    assert "Kept: no rule is broken" in told
    assert f"Report: {own.folder / 'report.html'}" in " ".join(told.split())


def test_early_birds_are_refused_and_nobody_is_served_before_the_start(own: Rush) -> None:
    start_us = own.campaign.start_time_us
    early = [line for line in own.arrivals if line.outcome == "CAMPAIGN_NOT_STARTED"]
    assert early
    assert all(line.due_us is not None and line.due_us < start_us + 1_000_000 for line in early)
    assert all(line.issue_time_us >= start_us for line in own.arrivals if line.outcome == OK)


def test_some_are_anonymous_some_ask_again_and_some_have_no_patience(own: Rush) -> None:
    scheduled = [line for line in own.arrivals if line.due_us is not None]
    anonymous = sum(not line.user_id for line in scheduled)
    times_asked = Counter(line.user_id for line in scheduled if line.user_id)
    assert 0.3 < anonymous / len(scheduled) < 0.5
    assert 0.2 < 1 - len(times_asked) / times_asked.total() < 0.45
    assert any(line.already_issued for line in own.arrivals)
    assert any(line.hung_up for line in own.arrivals)
    assert all(1 <= line.timeout_ms <= 50 for line in scheduled if line.timeout_ms is not None)
    assert any(line.timeout_ms is not None for line in scheduled)


def test_calls_go_on_after_all_is_sold_out(own: Rush) -> None:
    refused = [line for line in own.arrivals if line.outcome == "SOLD_OUT"]
    first_us = min(line.sent_us for line in refused)
    assert len(refused) > 50
    assert max(line.sent_us for line in own.arrivals) - first_us > 2_000_000
    assert any(line.already_issued and line.sent_us > first_us for line in own.arrivals)


def test_users_whose_answers_were_lost_ask_again_until_they_are_answered(own: Rush) -> None:
    last: dict[str, str] = {}
    for line in sorted(own.arrivals, key=lambda each: each.answered_us or each.sent_us):
        last[line.user_id] = line.outcome
    last.pop("")
    assert set(last.values()) <= {OK, "SOLD_OUT", "CAMPAIGN_NOT_STARTED"}


def test_the_campaign_is_read_all_along_and_at_the_end_with_its_rows(own: Rush) -> None:
    reads = [line for line in own.lines if isinstance(line, Read)]
    (stored,) = (line for line in own.lines if isinstance(line, Stored))
    last = max(reads, key=lambda line: line.sent_us)
    start_us = own.campaign.start_time_us
    assert {line.view for line in reads} == {FULL, BASIC}
    assert min(line.sent_us for line in reads) < start_us < last.sent_us
    assert last.sent_us > max(line.answered_us or line.sent_us for line in own.arrivals)
    assert (last.view, last.issued_count, len(last.codes)) == (FULL, COUPONS, COUPONS)
    assert [row.code for row in sorted(stored.coupons, key=lambda row: row.sequence)] == last.codes


def test_each_process_says_how_far_its_clock_can_be_trusted(own: Rush) -> None:
    clocks = {line.process for line in own.lines if isinstance(line, Clock)}
    assert clocks == {line.process for line in own.lines}


def test_the_report_is_one_html_file_with_its_charts(own: Rush) -> None:
    page = Page((own.folder / "report.html").read_text(encoding="utf-8"))
    assert page.is_balanced
    assert {"chart-issued", "chart-opening", "chart-answers", "chart-latency"} <= set(page.ids)
    assert page.tags["svg"] == 4
    assert len(page.ids) == len(set(page.ids))
    assert not page.loads


def test_two_processes_can_rush_a_service_that_runs_elsewhere(other: Rush) -> None:
    assert (other.ended.returncode, other.ended.stderr) == (0, "")
    files = {path.name for path in other.folder.glob("*.jsonl")}
    assert files == {"master.jsonl", "worker-1.jsonl", "worker-2.jsonl"}
    assert {line.process for line in other.arrivals} == {"worker-1", "worker-2"}
    assert len({line.code for line in other.arrivals if line.outcome == OK}) <= COUPONS


def test_a_history_in_which_a_coupon_was_handed_out_twice_fails(own: Rush, tmp_path: Path) -> None:
    for path in own.folder.glob("*.jsonl"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    one, another = [line for line in own.arrivals if line.kind == "issued"][:2]
    one_more = msgspec.structs.replace(another, code=one.code)
    with (tmp_path / "worker-1.jsonl").open("ab") as file:
        file.write(msgspec.json.encode(one_more) + b"\n")
    ended, as_json = loadtest("check", tmp_path), loadtest("check", tmp_path, "--json")
    assert (ended.returncode, as_json.returncode) == (1, 1)
    assert "BROKEN" in ended.stdout
    assert "codes" in json.loads(as_json.stdout)["broken"]


def test_its_history_passes_again_when_it_is_checked_alone(own: Rush) -> None:
    ended = loadtest("check", own.folder, "--json")
    assert ended.returncode == 0
    assert json.loads(ended.stdout)["kept"] is True


def test_a_service_that_cannot_be_reached_is_one_line_of_error(tmp_path: Path) -> None:
    ended = loadtest("rush", "--url", "http://127.0.0.1:1", "--output", tmp_path)
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line == (
        "loadtest: the service at http://127.0.0.1:1 cannot be reached: Connection refused"
    )


def test_a_rush_that_cannot_begin_leaves_the_run_before_as_it_was(
    own: Rush, tmp_path: Path
) -> None:
    for path in own.folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    ended = loadtest("rush", "--url", "http://127.0.0.1:1", "--output", tmp_path)
    assert ended.returncode == 1
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_rush_that_is_told_to_end_gives_its_verdict_at_once(
    number: signal.Signals, tmp_path: Path
) -> None:
    with started(*LONG_RUSH, "--output", tmp_path) as rush:
        told = wait_for("T+2s", rush)
        rush.send_signal(number)  # to itself alone, not to those it started
        told += rush.communicate(timeout=ENDS_WITHIN_SECONDS)[0]
    assert rush.returncode == 1
    assert "of 1,000,000 coupons were issued" in told
    assert "Traceback" not in told
    assert (tmp_path / "report.html").exists()


def test_a_rush_whose_reader_goes_away_goes_on_quietly(tmp_path: Path) -> None:
    with started("rush", *SMALL, "--output", tmp_path) as rush:
        wait_for("Campaign", rush)
        stream_of(rush).close()
        assert rush.wait(ENDS_WITHIN_SECONDS) == 0
    assert (tmp_path / "report.html").exists()


def started(*arguments: object) -> "subprocess.Popen[str]":
    """Start `python -m loadtest`, whose errors are told with its output."""
    return subprocess.Popen(
        [sys.executable, "-m", "loadtest", *map(str, arguments)],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )


def stream_of(process: "subprocess.Popen[str]") -> IO[str]:
    assert process.stdout is not None
    return process.stdout


def wait_for(text: str, process: "subprocess.Popen[str]") -> str:
    """Return what a program has told when it tells a text."""
    told = ""
    while text not in told:
        line = stream_of(process).readline()
        assert line, told
        told += line
    return told


class Page(HTMLParser):
    """What a page is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.ids: list[str] = []
        self.loads: list[str] = []
        self.is_balanced = True
        self._open: list[str] = []
        self.feed(text)
        self.close()
        self.is_balanced &= not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in {"src", "href", "xlink:href"} and not (value or "").startswith("#"):
                self.loads.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        self.is_balanced &= bool(self._open) and self._open.pop() == tag
