"""What is measured: figures with their spread, and what they are to reach."""

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """What a figure is to reach: at least, or at most, a number."""

    kind: Literal["min", "max"]
    number: float

    def is_reached_by(self, value: float) -> bool:
        """Tell whether a value reaches it."""
        return value >= self.number if self.kind == "min" else value <= self.number

    def __str__(self) -> str:
        """Return it as it is written: "≥ 0.85"."""
        return f"{'≥' if self.kind == 'min' else '≤'} {self.number:g}"


def at_least(number: float) -> Target:
    """Return a target that larger values reach."""
    return Target(kind="min", number=number)


def at_most(number: float) -> Target:
    """Return a target that smaller values reach."""
    return Target(kind="max", number=number)


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """One figure of a measure: a value for each round, of which the median counts.

    `row` is the measure's letter, `unit` "" for a ratio. `beside` are figures of the
    same rounds that explain this one, by name: the medians in absolute units.
    """

    row: str
    title: str
    values: Sequence[float]
    unit: str = ""
    target: Target | None = None
    beside: dict[str, float] = field(default_factory=dict)

    @property
    def median(self) -> float:
        """Return the median of the rounds."""
        return statistics.median(self.values)

    @property
    def is_reached(self) -> bool | None:
        """Tell whether the median reaches the target; None without one."""
        return None if self.target is None else self.target.is_reached_by(self.median)


def interleaved(rounds: int, runs: dict[str, Callable[[], T]]) -> dict[str, list[T]]:
    """Run each of several things in turn, A B A B …, and return each one's results.

    Every second round goes backwards, so that none is always the one that follows another.
    """
    results: dict[str, list[T]] = {name: [] for name in runs}
    for number in range(rounds):
        names = list(runs) if number % 2 == 0 else list(reversed(runs))
        for name in names:
            results[name].append(runs[name]())
    return results


def ratios(over: Iterable[float], under: Iterable[float]) -> list[float]:
    """Return the ratio of each round, whose two runs met the same moment of the machine."""
    return [a / b for a, b in zip(over, under, strict=True)]
