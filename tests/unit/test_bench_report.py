"""What is printed of the figures."""

import pytest
from rich.console import Console

from bench import report, results
from bench.figures import Figure, at_least, at_most
from bench.options import Options

REACHED = Figure(
    row="a",
    title="issuing ÷ empty, json",
    values=[0.9, 0.95, 0.8512],
    target=at_least(0.85),
    beside={"empty_per_second": 4868.3, "issuing_per_second": 4400},
)
MISSED = Figure(row="a", title="issuing ÷ empty, proto", values=[0.8], target=at_least(0.85))
AIMLESS = Figure(row="k", title="coupons a second", values=[3361.7], unit="/s")


def printed(*figures: Figure, width: int = 100) -> list[str]:
    console = Console(width=width)
    with console.capture() as capture:
        console.print(report.table(figures))
    return [line.rstrip() for line in capture.get().splitlines()]


def line_with(text: str, lines: list[str]) -> str:
    (found,) = [line for line in lines if text in line]
    return found


def test_each_figure_says_whether_its_target_is_reached() -> None:
    lines = printed(REACHED, MISSED, AIMLESS)
    assert line_with("json", lines).endswith("reached")
    assert line_with("proto", lines).endswith("missed")
    assert line_with("coupons a second", lines).endswith("3,362 to 3,362")


def test_a_row_s_letter_is_said_once() -> None:
    lines = printed(REACHED, MISSED, AIMLESS)
    assert [line[0] for line in lines[1:] if line[:1].strip()] == ["a", "k"]


@pytest.mark.parametrize("width", [80, 100, 120])
def test_numbers_are_whole_however_narrow_the_terminal(width: int) -> None:
    growth = Figure(row="growth", title="a b " * 30, values=[28241.4, 31720], unit="/s")
    lines = printed(REACHED, growth, width=width)
    assert max(map(len, lines)) <= width
    line_with("29,981/s", lines)
    line_with("28,241 to 31,720", lines)


def test_the_summary_counts_targets_and_names_those_missed() -> None:
    assert report.summary([REACHED, MISSED, AIMLESS]) == (
        "1 of 2 targets reached; not reached: a (issuing ÷ empty, proto)"
    )
    assert report.summary([REACHED, AIMLESS]) == "1 of 1 targets reached."


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.7099, "", "0.710"),
        (5.4321, "", "5.43"),
        (42.42, "ms", "42.4 ms"),
        (4868.3, "/s", "4,868/s"),
        (0.000123, "", "0.0001"),
        (0, "", "0"),
        (12, "µs", "12 µs"),
        (-1.25, "ms", "-1.25 ms"),
    ],
)
def test_numbers_have_three_digits_that_count(value: float, unit: str, text: str) -> None:
    assert report.number(value, unit) == text


def test_what_stands_beside_a_figure_has_its_unit() -> None:
    assert report.beside(REACHED) == "empty 4,868/s, issuing 4,400/s"


def test_what_the_title_says_is_not_said_again_beside() -> None:
    curve = Figure(
        row="curve", title="plain, 1024 connections", values=[1], beside={"connections": 1024}
    )
    growth = Figure(
        row="growth", title="with 5,000 stored", values=[1], beside={"stored_coupons": 5000}
    )
    assert (report.beside(curve), report.beside(growth)) == ("", "")


def test_of_latencies_only_the_percentile_of_the_title_is_said() -> None:
    latencies = {"empty_p99_ms": 2.5, "empty_p99.9_ms": 9.5, "empty_p50_ms": 0.61}
    figure = Figure(row="g", title="÷ empty RPC, p99", values=[1], beside=latencies)
    assert report.beside(figure) == "empty p99 2.50 ms"


def test_a_target_has_the_unit_of_its_figure() -> None:
    figure = Figure(row="h", title="first", values=[1.5], unit="ms", target=at_most(10))
    assert report.target(figure) == "≤ 10 ms"


def test_a_long_unit_stands_by_the_title() -> None:
    figure = Figure(row="c", title="queries", values=[0.5], unit="queries/request")
    line = line_with("queries (queries/request)", printed(figure))
    assert line.split()[-4:] == ["0.500", "0.500", "to", "0.500"]


def test_markdown_has_a_row_for_each_figure_and_the_conditions() -> None:
    run = results.begin(Options(rounds=4, seconds=2))
    run.figures.extend([REACHED, MISSED])
    lines = report.as_markdown(run).splitlines()
    assert lines[2] == (
        "| a | issuing ÷ empty, json | 0.900 | 0.851 to 0.950 | ≥ 0.85 | reached |"
        " empty 4,868/s, issuing 4,400/s |"
    )
    assert lines[3] == (
        "| a | issuing ÷ empty, proto | 0.800 | 0.800 to 0.800 | ≥ 0.85 | missed |  |"
    )
    assert lines[-1].startswith("Medians of 4 rounds of 2 s, measured on 20")
