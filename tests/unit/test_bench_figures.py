"""How figures are made of runs, and when they reach their targets."""

import json
from functools import partial

import pytest

from bench import results
from bench.figures import Figure, Target, at_least, at_most, interleaved, ratios
from bench.options import Options


def figure(*values: float, target: Target | None = None) -> Figure:
    return Figure(row="a", title="a ÷ b", values=values, target=target)


def test_runs_alternate_and_every_second_round_goes_backwards() -> None:
    order: list[str] = []
    interleaved(3, {name: partial(order.append, name) for name in ("A", "B", "C")})
    assert order == [*"ABC", *"CBA", *"ABC"]


def test_each_run_s_results_are_in_the_order_of_the_rounds() -> None:
    count = iter(range(6))
    results_of = interleaved(3, {"A": lambda: next(count), "B": lambda: next(count)})
    assert results_of == {"A": [0, 3, 4], "B": [1, 2, 5]}


def test_ratios_pair_the_runs_of_one_round() -> None:
    assert ratios([10, 30, 8], [5, 10, 16]) == [2, 3, 0.5]


def test_a_round_without_its_counterpart_is_an_error() -> None:
    with pytest.raises(ValueError, match="zip"):
        ratios([1, 2], [1])


@pytest.mark.parametrize(
    ("target", "value", "is_reached"),
    [
        (at_least(0.85), 0.85, True),
        (at_least(0.85), 0.8499, False),
        (at_most(3), 3, True),
        (at_most(3), 3.0001, False),
        (at_most(0), 0, True),
    ],
)
def test_a_target_is_reached_at_its_border_and_not_beyond(
    target: Target, value: float, *, is_reached: bool
) -> None:
    assert target.is_reached_by(value) is is_reached
    assert figure(value, target=target).is_reached is is_reached


def test_the_median_counts_and_not_the_mean_or_the_best() -> None:
    measured = figure(0.1, 0.8, 0.9, 0.5, 100, target=at_least(0.85))
    assert measured.median == 0.8
    assert measured.is_reached is False


def test_without_a_target_there_is_no_verdict() -> None:
    assert figure(1).is_reached is None


def test_results_come_back_from_json_as_they_were() -> None:
    run = results.begin(Options(rounds=2, stored_coupons=7))
    run.figures.append(figure(1.5, 2.5, target=at_least(0.85)))
    run.figures.append(figure(3, target=at_most(1000)))
    run.figures.append(
        Figure(row="k", title="µ", values=[1, 2, 3], unit="/s", beside={"empty_per_second": 1.5})
    )
    back = results.of_json(json.loads(json.dumps(results.as_json(run))))
    assert results.as_json(back) == results.as_json(run)
    assert [each.target for each in back.figures] == [at_least(0.85), at_most(1000), None]
    assert back.options == Options(rounds=2, stored_coupons=7)


def test_the_file_says_median_target_and_verdict() -> None:
    run = results.begin(Options())
    run.figures.append(figure(1, 2, 9, target=at_least(2)))
    (saved,) = results.as_json(run)["figures"]
    assert (saved["median"], saved["target"], saved["reached"]) == (2, "≥ 2", True)
