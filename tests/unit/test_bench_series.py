"""What the charts show, before anything is drawn."""

import pytest

from bench import series
from bench.figures import Figure
from bench.series import Point


def curve(name: str, connections: int, *values: float) -> Figure:
    return Figure(
        row="curve",
        title=f"{name}, {connections} connections",
        values=values,
        unit="/s",
        beside={"connections": connections, "other_per_second": connections * 10},
    )


def test_a_series_has_medians_and_their_spread_in_the_order_of_the_axis() -> None:
    figures = [curve("plain", 64, 5, 1, 3), curve("empty", 1, 7), curve("plain", 4, 8, 9)]
    assert series.along(figures, "curve", "connections") == {
        "plain": [
            Point(at=4, lowest=8, median=8.5, highest=9),
            Point(at=64, lowest=1, median=3, highest=5),
        ],
        "empty": [Point(at=1, lowest=7, median=7, highest=7)],
    }


def test_figures_of_other_rows_and_without_the_quantity_are_left_out() -> None:
    assert series.along([curve("plain", 4, 1)], "growth", "connections") == {}
    assert series.along([curve("plain", 4, 1)], "curve", "stored_coupons") == {}


def test_what_stands_beside_the_figures_is_a_series_too() -> None:
    figures = [curve("plain", 4, 1), curve("plain", 1, 1)]
    assert series.beside(figures, "curve", "connections", "other_per_second") == {
        "other_per_second": [
            Point(at=1, lowest=10, median=10, highest=10),
            Point(at=4, lowest=40, median=40, highest=40),
        ]
    }
    assert series.beside(figures, "curve", "connections", "unheard_of") == {}


def test_percentiles_are_read_from_the_names_beside_with_their_spread_if_it_is_there() -> None:
    beside = {
        "issuing_p99.9_ms": 15.5,
        "issuing_p50_ms": 1.5,
        "issuing_p50_lowest_ms": 1.25,
        "issuing_p50_highest_ms": 2,
        "issuing_per_second": 1000,
    }
    figure = Figure(row="g", title="at 1,000/s, p50", values=[1], beside=beside)
    assert series.percentiles([figure], "g") == {
        "issuing": [
            Point(at=50, lowest=1.25, median=1.5, highest=2),
            Point(at=99.9, lowest=15.5, median=15.5, highest=15.5),
        ]
    }
    assert series.rate_said([figure], "g") == "1,000 calls a second"


def test_each_nine_takes_as_much_room() -> None:
    assert [series.nines(p) for p in (0, 90, 99, 99.9)] == pytest.approx([0, 1, 2, 3])


@pytest.mark.parametrize(
    ("heights", "moved"),
    [
        ([], []),
        ([1, 5], [1, 5]),
        ([5, 4, 1], [6, 4, 1]),
        ([3, 3, 3], [3, 5, 7]),
        ([9, 4.5, 4], [9, 6, 4]),
    ],
)
def test_names_that_would_lie_on_one_another_are_moved_apart(
    heights: list[float], moved: list[float]
) -> None:
    assert series.apart(heights, 2) == moved
