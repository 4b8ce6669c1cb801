"""What SIGTERM and SIGINT do before a server listens to them, and beside it."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType


def leave_when_told() -> None:
    """Let SIGTERM and SIGINT unwind this process and end it with status 0, until others listen."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)


def _leave(_number: int, _frame: FrameType | None) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # a second one must not break that off
    raise SystemExit(0)


@contextlib.contextmanager
def heard(tell: Callable[[], None]) -> Iterator[None]:
    """Call `tell` on SIGTERM and SIGINT, and then whoever listened to them before.

    Servers tell the application that it must stop only after the last request is
    answered, which a stream without an end would keep from happening. Where the
    application does not run in the main thread, signals are its server's business.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def hear(number: int, frame: FrameType | None) -> None:
        tell()
        handler = before[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)

    for number in before:
        signal.signal(number, hear)
    try:
        yield
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is hear:
                signal.signal(number, handler)
