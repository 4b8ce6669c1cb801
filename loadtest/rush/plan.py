"""What everyone who takes part in a rush has to know, and what a run of it leaves to say."""

from typing import Any, TypeVar

import msgspec

T = TypeVar("T", bound=msgspec.Struct)


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a process that generates load is told; times are by the master's clock.

    `process` is the name it is given, `user_rate` how many calls a second each of locust's
    users stands for, and `anchor_ns` the master's clock, for those on its host.
    """

    process: str
    campaign_id: str
    start_us: int
    end_us: int
    user_rate: float
    seed: int
    output: str
    anchor_ns: int


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """What a process has to say at the end.

    `busy` is the share of a processor that it used during the burst, `unanswered` counts
    the callers who asked again and again and got no answer, `unsent` the calls that were due
    and could not be sent while it mattered, and `size` is how many bytes its history has.
    """

    process: str
    size: int
    busy: float
    unanswered: int
    unsent: int = 0
    clock_error_us: int


class Run(msgspec.Struct, kw_only=True):
    """What is known of a run beside its history; `is_whole` is whether no call is missing there."""

    url: str
    campaign_id: str
    coupons: int
    rate: float
    users: int
    seed: int
    duration: int | None
    begun_at: str
    start_us: int
    end_us: int
    machine: dict[str, str]
    is_whole: bool = True
    shares: list[Share] = []
    problems: list[str] = []


def as_message(data: msgspec.Struct) -> Any:  # noqa: ANN401 # what locust's messages carry
    """Return what `of_message` takes."""
    return msgspec.to_builtins(data)


def of_message(message: Any, kind: type[T]) -> T:  # noqa: ANN401 # what locust's messages carry
    """Return what another process sent."""
    return msgspec.convert(message, kind)
