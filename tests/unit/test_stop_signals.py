"""The signal to stop reaches the application at once, and its server as before."""

import asyncio
import signal

import pytest

from coupon_service.serving.stop_signals import heard

NUMBERS = [signal.SIGTERM, signal.SIGINT]


@pytest.mark.parametrize("number", NUMBERS)
def test_a_signal_is_heard_before_whoever_listened_to_it(number: signal.Signals) -> None:
    told: list[str] = []
    before = signal.signal(number, lambda *_: told.append("server"))
    try:
        with heard(lambda: told.append("application")):
            signal.raise_signal(number)
        signal.raise_signal(number)
    finally:
        signal.signal(number, before)
    assert told == ["application", "server", "server"]


@pytest.mark.parametrize("number", NUMBERS)
def test_a_listener_that_came_later_is_left_alone(number: signal.Signals) -> None:
    def later(*_: object) -> None:
        pass

    before = signal.getsignal(number)
    try:
        with heard(lambda: None):
            signal.signal(number, later)
        assert signal.getsignal(number) is later
    finally:
        signal.signal(number, before)


async def test_in_another_thread_signals_are_the_servers_business() -> None:
    before = [signal.getsignal(number) for number in NUMBERS]

    def listen() -> list[object]:
        with heard(lambda: None):
            return [signal.getsignal(number) for number in NUMBERS]

    assert await asyncio.to_thread(listen) == before
