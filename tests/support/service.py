"""The real program, and waiting for what it is about to do."""

import time
from collections.abc import Callable
from typing import TypeVar

from loadtest.services import Service, environment, running_service

__all__ = ["Service", "environment", "eventually", "running_service"]

T = TypeVar("T")


def eventually(condition: Callable[[], T], *, within_seconds: float = 30) -> T:
    """Call a condition until it is true, and return what it said."""
    give_up_at = time.monotonic() + within_seconds
    while not (result := condition()):
        assert time.monotonic() < give_up_at, f"not within {within_seconds} s: {condition}"
        time.sleep(0.02)
    return result
