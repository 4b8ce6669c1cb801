"""What the report says of a history, in figures and as a page."""

from collections import Counter
from pathlib import Path

import msgspec
import pytest

from loadtest.checker import check
from loadtest.history import Campaign, HistoryError, Issue, encode, read_history
from loadtest.history import decode as decode_plainly
from loadtest.report import charts, page, series
from loadtest.report.concluding import too_few
from loadtest.report.figures import Facts, Figures, figures, gather, generator_sentence
from loadtest.rush.folder import RUN_FILE, FolderInUse, emptied
from loadtest.rush.gathering import Gathering, pieces
from loadtest.rush.lines import Arrival, decode
from loadtest.rush.muster import Muster
from loadtest.rush.plan import Run, Share
from loadtest.rush.progress import describe, errors
from loadtest.rush.tally import Tally, of_message, total

SECOND_US = 1_000_000
START_US = 1000 * SECOND_US
# The database's clock is so far ahead of the callers'.
AHEAD_US = 500


def campaign(limit: int = 100) -> Campaign:
    return Campaign(
        process="master",
        campaign_id="c",
        sent_us=START_US - 5 * SECOND_US,
        answered_us=START_US - 5 * SECOND_US + 200,
        coupon_limit=limit,
        start_time_us=START_US + AHEAD_US,
        create_time_us=START_US - 5 * SECOND_US + 100 + AHEAD_US,
    )


def arrival(
    number: int, *, due_us: int, took_us: int = 2000, late_us: int = 100, outcome: str = "OK"
) -> Arrival:
    return Arrival(
        process="worker-1",
        campaign_id="c",
        sent_us=due_us + late_us,
        answered_us=due_us + took_us,
        outcome=outcome,
        code=f"코드{number}" if outcome == "OK" else "",
        sequence=number if outcome == "OK" else 0,
        issue_time_us=due_us + AHEAD_US + 300 if outcome == "OK" else 0,
        due_us=due_us,
    )


def history(folder: Path, *, late_us: int = 100) -> Facts:
    lines: list[Arrival | Campaign] = [campaign()]
    lines += [
        arrival(n, due_us=START_US + n * 10_000, took_us=late_us + n * 100, late_us=late_us)
        for n in range(1, 101)
    ]
    lines += [
        arrival(n, due_us=START_US + n * 10_000, outcome="SOLD_OUT", late_us=late_us)
        for n in range(101, 201)
    ]
    lines.append(arrival(0, due_us=START_US - 10_000, outcome="CAMPAIGN_NOT_STARTED"))
    (folder / "history.jsonl").write_bytes(b"".join(encode(line) + b"\n" for line in lines))
    return gather([folder])


def a_run(**changes: object) -> Run:
    fields: dict[str, object] = {
        "url": "http://127.0.0.1/<script>alert(1)</script>",
        "campaign_id": "c",
        "coupons": 100,
        "rate": 100.0,
        "users": 2,
        "seed": 1,
        "duration": None,
        "begun_at": "2026-11-22T17:00:00+00:00",
        "start_us": START_US,
        "end_us": START_US + 2 * SECOND_US,
        "machine": {"System": "Linux"},
    }
    return Run(**(fields | changes))  # type: ignore[arg-type]


def test_latencies_are_reckoned_from_when_calls_were_due(tmp_path: Path) -> None:
    found = figures(history(tmp_path, late_us=50_000))
    issued = found.groups["Issued"]
    assert issued is not None
    assert (issued.count, issued.longest) == (100, 60.0)
    assert issued.percentiles[50.0] == 55.0
    assert issued.percentiles[99.0] == 59.9


def test_the_first_coupon_s_delay_is_by_the_database_s_clock(tmp_path: Path) -> None:
    found = figures(history(tmp_path))
    assert found.first_coupon_ms == 10.3
    assert found.sold_out_seconds == pytest.approx(1.0003)


def test_the_rate_is_that_of_the_calls_after_the_start(tmp_path: Path) -> None:
    found = figures(history(tmp_path))
    assert (found.rate, found.early_calls, found.calls) == (100.0, 1, 201)
    assert found.kinds == Counter({"issued": 100, "sold out": 100, "not started": 1})


@pytest.mark.parametrize(
    ("late_us", "rate", "busy", "is_fit", "words"),
    [
        (100, 100, 0.3, True, "kept its schedule"),
        (90_000, 100, 0.9, False, "use more processes"),
        (90_000, 100, 0.2, False, "had other things to do"),
        (100, 200, 0.2, False, "Only 100 of 200 calls a second were due"),
    ],
)
def test_a_generator_that_was_not_what_it_was_to_be_says_so(  # a table
    tmp_path: Path, late_us: int, rate: float, busy: float, words: str, *, is_fit: bool
) -> None:
    found = figures(history(tmp_path, late_us=late_us))
    fit, sentence = generator_sentence(found, rate, busy)
    assert fit is is_fit
    assert words in sentence


def test_calls_that_were_never_sent_are_told(tmp_path: Path) -> None:
    is_fit, sentence = generator_sentence(figures(history(tmp_path)), 100, 0.2, unsent=7)
    assert not is_fit
    assert "7 were never sent" in sentence


def test_a_history_without_its_campaign_is_refused(tmp_path: Path) -> None:
    (tmp_path / "history.jsonl").write_bytes(b"")
    with pytest.raises(HistoryError, match="does not say when the campaign started"):
        gather([tmp_path])


def test_the_charts_steps_hold_every_call(tmp_path: Path) -> None:
    facts = history(tmp_path)
    answers = series.answers(facts)
    summed = {kind: sum(values) * answers.width for kind, values in answers.values.items()}
    assert summed == {"issued": 100, "sold out": 100, "not started": 1}
    latency = series.latency(facts)
    assert len(latency.at) == len(latency.values["p99"])
    assert series.issued(facts)[1] == list(range(1, 101))


def test_long_curves_are_thinned_and_keep_both_ends() -> None:
    facts = Facts(issue_us=list(range(0, 10_000_000, 100)))
    _, counts = series.issued(facts)
    assert len(counts) <= series.POINTS_MAX + 1
    assert (counts[0], counts[-1]) == (1, 100_000)


def test_the_page_shows_what_others_named_only_as_text(tmp_path: Path) -> None:
    facts = history(tmp_path)
    found: Figures = figures(facts)
    text = page.render(a_run(), found, check([]), charts.draw(facts), ["<b>a note</b>"])
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert "&lt;b&gt;a note" in text
    assert "Nothing could be checked." in text


def test_an_incomplete_history_gives_no_verdict(tmp_path: Path) -> None:
    facts = history(tmp_path)
    run, verdict = a_run(is_whole=False), check([])
    text = page.render(run, figures(facts), verdict, charts.draw(facts), [])
    assert "No verdict: a part of the history is missing." in text
    assert "was kept" not in text


def test_a_run_that_failed_without_a_broken_promise_is_not_shown_as_kept(tmp_path: Path) -> None:
    facts = history(tmp_path)
    verdict = check(read_history([tmp_path]))
    assert verdict.is_kept
    drawn, problems = charts.draw(facts), ["only 1 of 2 coupons were issued"]
    text = page.render(a_run(), figures(facts), verdict, drawn, [], problems)
    assert "No rule is broken, but: only 1 of 2 coupons were issued." in text
    assert 'class="card verdict warn"' in text
    kept = page.render(a_run(), figures(facts), verdict, drawn, [])
    assert "Every promise that could be checked was kept." in kept
    assert 'class="card verdict good"' in kept


def test_the_column_of_violations_is_there_only_if_there_are_any(tmp_path: Path) -> None:
    facts = history(tmp_path)
    drawn = charts.draw(facts)
    kept = page.render(a_run(), figures(facts), check(read_history([tmp_path])), drawn, [])
    assert ">Broken</th>" not in kept
    broken = check([arrival(1, due_us=0, outcome="internal")])
    assert ">Broken</th>" in page.render(a_run(), figures(facts), broken, drawn, [])


def test_an_empty_history_still_makes_a_page() -> None:
    facts = Facts(limit=10)
    text = page.render(a_run(), figures(facts), check([]), charts.draw(facts), [])
    assert text.count("<svg") == 4


@pytest.mark.parametrize(
    ("coupons", "duration", "is_bad"), [(100, None, False), (200, None, True), (200, 5, False)]
)
def test_too_few_coupons_are_a_failure_unless_the_time_was_limited(
    tmp_path: Path, coupons: int, duration: int | None, *, is_bad: bool
) -> None:
    facts = history(tmp_path)
    facts.limit = coupons
    problems = too_few(a_run(coupons=coupons, duration=duration), figures(facts))
    assert bool(problems) is is_bad


def test_a_second_s_tally_survives_the_way_to_another_process() -> None:
    tally = Tally(sent=3, late_us=5)
    for took_us in (1_000, 2_000, 100_000):
        tally.count(arrival(1, due_us=0, took_us=took_us))
    both = total([tally, of_message(tally.as_message())])
    assert (both.sent, both.late_us, both.kinds) == (6, 5, Counter({"issued": 6}))
    assert both.milliseconds(50) == pytest.approx(2, rel=0.06)
    assert both.milliseconds(99) == pytest.approx(100, rel=0.06)
    assert Tally().milliseconds(50) is None


def test_the_progress_line_says_what_happened_and_counts_errors() -> None:
    kinds = Counter({"issued": 5, "sold out": 2, "lost": 1, "internal": 1})
    line = describe(Tally(sent=1200), kinds, 3.2, 10_000)
    assert line == ("T+3s  1,200/s  5 of 10,000 issued  2 errors (1 internal, 1 lost)  2 refused")
    assert errors(kinds) == 2


def test_the_progress_line_of_a_usual_rush_fits_into_a_hundred_columns() -> None:
    kinds = Counter({"issued": 10_000, "repeat": 3005, "sold out": 3025, "not started": 292})
    kinds |= Counter({"deadline": 129, "outcome unknown": 8, "hung up": 300})
    last = Tally(sent=1145)
    for took_us in (38_000, 119_000):
        last.count(arrival(1, due_us=0, took_us=took_us))
    line = describe(last, kinds, 12.2, 10_000)
    assert len(line) < 100
    assert line.index("errors") < line.index("p99") < line.index("repeat")
    assert line.endswith("3,005 repeat  3,317 refused")


def test_a_folder_with_another_history_is_left_alone(tmp_path: Path) -> None:
    other = tmp_path / "precious.jsonl"
    other.write_bytes(b"")
    with pytest.raises(FolderInUse):
        emptied(tmp_path)
    assert other.exists()


def test_a_new_run_removes_what_the_one_before_left(tmp_path: Path) -> None:
    (tmp_path / RUN_FILE).write_bytes(b"{}")
    (tmp_path / "worker-1.jsonl").write_bytes(b"")
    assert [path.name for path in emptied(tmp_path).iterdir()] == [RUN_FILE]


@pytest.mark.parametrize("size", [0, 10, 9 << 20])
def test_a_history_of_another_host_arrives_whole(tmp_path: Path, size: int) -> None:
    there = tmp_path / "there.jsonl"
    there.write_bytes(bytes(range(250)) * (size // 250) + b"x" * (size % 250))
    gathering = Gathering(tmp_path)
    share = Share(process="here", size=size, busy=0, unanswered=0, clock_error_us=0)
    assert not gathering.has(share)
    for data, is_last in pieces(there):
        gathering.take("here", data, is_last=is_last)
    assert gathering.has(share)
    assert (tmp_path / "here.jsonl").read_bytes() == there.read_bytes()


def test_a_line_of_a_rush_is_a_line_of_any_history() -> None:
    line = arrival(1, due_us=5)
    assert decode(encode(line)) == line
    assert isinstance(decode_plainly(encode(line)), Issue)


def test_whoever_joined_and_did_not_finish_is_a_problem() -> None:
    muster = Muster(lambda _node_id: True)
    assert [muster.name_of(node) for node in ("a", "b", "a")] == [
        "worker-1",
        "worker-2",
        "worker-1",
    ]
    share = Share(process="worker-1", size=0, busy=0, unanswered=2, clock_error_us=0)
    muster.finished("a", share)
    assert not muster.is_whole
    assert list(muster.problems()) == [
        "worker-2 was lost, and its calls with it",
        "2 callers of worker-1 never got an answer",
    ]
    muster.finished("b", msgspec.structs.replace(share, unanswered=0))
    muster.wait()
    assert muster.is_whole
