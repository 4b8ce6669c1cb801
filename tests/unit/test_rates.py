"""How often a caller may call, and that counting it stays small."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coupon_service.access.rates import CallCounts, rate_limit
from coupon_service.errors import RateLimited
from coupon_service.rpc_errors import connect_error


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def counts(text: str, clock: Clock, *, callers_max: int = 1000) -> CallCounts:
    return CallCounts(rate_limit(text), callers_max=callers_max, monotonic=clock)


def let_through(counted: CallCounts, caller: str, calls: int) -> int:
    """Call so many times, and return how many were not refused."""
    passed = 0
    for _ in range(calls):
        try:
            counted.count(caller)
        except RateLimited:
            continue
        passed += 1
    return passed


def seconds_left(counted: CallCounts, caller: str) -> float:
    with pytest.raises(RateLimited) as refused:
        counted.count(caller)
    return refused.value.time_left.total_seconds()


@pytest.mark.parametrize(
    ("text", "amount", "seconds"),
    [
        ("20/second", 20, 1),
        ("600/minute", 600, 60),
        ("5 per 2 hour", 5, 7200),
        ("1/day", 1, 86400),
    ],
)
def test_a_limit_is_a_number_of_calls_and_a_time(text: str, amount: int, seconds: int) -> None:
    limit = rate_limit(text)
    assert (limit.amount, limit.get_expiry()) == (amount, seconds)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "20",
        "second",
        "20/fortnight",
        "0/second",
        "-1/second",
        "1/second;2/minute",
        "20/0 seconds",
        "5 per 00 hour",
    ],
)
def test_what_is_no_limit_or_more_than_one_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="such as 20/second"):
        rate_limit(text)


def test_each_caller_has_as_many_calls_as_the_limit_says() -> None:
    counted = counts("20/second", Clock())
    passed = [let_through(counted, caller, 50) for caller in ("alice", "bob")]
    assert passed == [20, 20]


def test_a_refusal_says_when_the_next_call_is_allowed_and_then_it_is() -> None:
    clock = Clock()
    counted = counts("3/minute", clock)
    assert let_through(counted, "alice", 4) == 3
    clock.now += 45
    assert seconds_left(counted, "alice") == 15
    clock.now += 15
    assert let_through(counted, "alice", 4) == 3


def test_refused_calls_do_not_make_it_longer() -> None:
    clock = Clock()
    counted = counts("1/minute", clock)
    for _ in range(240):
        let_through(counted, "alice", 1)
        clock.now += 0.25
    assert let_through(counted, "alice", 1) == 1


@given(
    times=st.lists(st.floats(0, 10), max_size=60).map(sorted),
    limit=st.integers(1, 5),
)
def test_no_window_ever_holds_more_than_the_limit(times: list[float], limit: int) -> None:
    clock = Clock()
    counted = counts(f"{limit}/second", clock)
    passed: list[float] = []
    for at in times:
        clock.now = at
        passed += [at] * let_through(counted, "alice", 1)
    # In no second more than the rest of one window and the whole of the next.
    assert all(sum(at <= other < at + 1 for other in passed) <= 2 * limit for at in passed)
    assert bool(passed) == bool(times)


def test_callers_are_forgotten_when_their_time_has_passed() -> None:
    clock = Clock()
    counted = counts("1/second", clock)
    for caller in range(500):
        counted.count(str(caller))
    clock.now += 1
    counted.count("the next")
    assert len(counted) == 1


def test_a_million_callers_take_no_more_room_than_is_allowed() -> None:
    counted = counts("1/day", Clock(), callers_max=1000)
    for caller in range(1_000_000):
        counted.count(str(caller))
    assert len(counted) == 1000


def test_who_called_last_is_remembered_longest() -> None:
    counted = counts("1/day", Clock(), callers_max=2)
    passed = [let_through(counted, caller, 1) for caller in ("a", "b", "c", "c", "b", "a")]
    assert passed == [1, 1, 1, 0, 0, 1]


def test_a_refusal_is_an_overload_with_the_exact_delay() -> None:
    clock = Clock()
    counted = counts("1/minute", clock)
    counted.count("alice")
    clock.now += 0.0005
    with pytest.raises(RateLimited) as refused:
        counted.count("alice")
    error = connect_error(refused.value)
    retry = str(error.details[1].value())
    assert (error.code.value, "60" in retry) == ("unavailable", True)
    assert "nothing was issued" in error.message
