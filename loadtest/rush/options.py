"""The rush's options, beside locust's own."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from locust.argument_parser import LocustArgumentParser

from loadtest.rush.limits import (
    COUPONS,
    DEFAULT_COUPONS,
    DEFAULT_OUTPUT,
    DEFAULT_STARTS_IN,
    DEFAULT_USER_RATE,
    DURATION_SECONDS,
    STARTS_IN_SECONDS,
    USER_RATE,
)


class OutOfBounds(Exception):
    """An option is not within its bounds; the message is one line."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """`duration` None is until all is sold out; `reports` is whether to give a verdict."""

    coupons: int
    starts_in: int
    duration: int | None
    user_rate: float
    seed: int | None
    output: str
    token: str | None
    reports: bool


def add_to(parser: LocustArgumentParser) -> None:
    """Add the options to locust's own; locust's web page shows them too."""
    parser.add_argument(
        "--coupons",
        type=_within(COUPONS),
        default=DEFAULT_COUPONS,
        help="How many coupons the campaign has.",
    )
    parser.add_argument(
        "--starts-in",
        type=_within(STARTS_IN_SECONDS),
        default=DEFAULT_STARTS_IN,
        help="In how many seconds it starts; until then come early birds.",
    )
    parser.add_argument(
        "--duration",
        type=_within((0, DURATION_SECONDS[1])),
        default=0,
        help="Seconds of the burst at most; 0: until 3 s after all is sold out.",
    )
    parser.add_argument(
        "--user-rate",
        type=_within(USER_RATE),
        default=DEFAULT_USER_RATE,
        help="Calls a second that each of locust's users stands for.",
    )
    parser.add_argument("--seed", type=int, default=0, help="Repeat a run's callers; 0: new ones.")
    parser.add_argument("--output", default=DEFAULT_OUTPUT, help="Where history and report go.")
    parser.add_argument(
        "--token",
        env_var="COUPON_TOKEN",
        default="",
        include_in_web_ui=False,
        help="A bearer token for every call.",
    )
    parser.add_argument(
        "--no-report",
        action="store_true",
        include_in_web_ui=False,
        help="Leave the verdict and the report to whoever reads the history.",
    )


def of_locust(parsed: Any) -> Options:  # noqa: ANN401 # argparse's namespace
    """Return the options that locust parsed, or that were typed into its web page.

    Raises:
        OutOfBounds: one is not within its bounds.
    """
    for name, bounds in (
        ("coupons", COUPONS),
        ("starts_in", STARTS_IN_SECONDS),
        ("duration", (0, DURATION_SECONDS[1])),
        ("user_rate", USER_RATE),
    ):
        try:
            _within(bounds)(str(getattr(parsed, name)))
        except argparse.ArgumentTypeError as exc:
            raise OutOfBounds(f"{name.replace('_', ' ')}: {exc}") from exc
    return Options(
        coupons=int(parsed.coupons),
        starts_in=int(parsed.starts_in),
        duration=int(parsed.duration) or None,
        user_rate=float(parsed.user_rate),
        seed=int(parsed.seed) or None,
        output=str(parsed.output),
        token=parsed.token or None,
        reports=not parsed.no_report,
    )


def _within(bounds: tuple[int, int]) -> Callable[[str], float]:
    lowest, highest = bounds

    def checked(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = lowest - 1.0
        if not lowest <= value <= highest:
            raise argparse.ArgumentTypeError(f"{text} is not from {lowest} to {highest:,}")
        return int(value) if value.is_integer() else value

    return checked
