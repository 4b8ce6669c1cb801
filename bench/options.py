"""How much is measured."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """`rounds` of runs of `seconds` each; `stored_coupons` is the size of the large tables."""

    rounds: int = 5
    seconds: int = 3
    latency_seconds: int = 30
    stored_coupons: int = 5_000_000
