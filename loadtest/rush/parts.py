"""What a process of locust can do in a rush, and what both parts of it need."""

import signal
from collections.abc import Callable

import gevent
import gevent.event
from locust.env import Environment
from locust.event import EventHook
from locust.runners import LocalRunner, MasterRunner, Runner, WorkerRunner

from loadtest.rush import wire
from loadtest.rush.connections import Connections

BEGINS_WITHIN_SECONDS = 30


class NoTarget(Exception):
    """It is not said what to load; the message is one line."""


def conducts(environment: Environment) -> bool:
    """Tell whether this process leads the rush."""
    return isinstance(environment.runner, LocalRunner | MasterRunner)


def performs(environment: Environment) -> bool:
    """Tell whether this process generates load."""
    return isinstance(environment.runner, LocalRunner | WorkerRunner)


def listen(hook: EventHook, listener: Callable[..., None]) -> None:
    """Have a function called at an event of locust's, which does not say what types it takes."""
    add: Callable[..., object] = hook.add_listener
    add(listener)


def interrupt_main_only(environment: Environment) -> None:
    """Let a Ctrl+C interrupt the main greenlet, which ends the test in order.

    As Python has it, it interrupts whichever greenlet runs. While locust still waits for its
    workers it would leave them behind, so a test that begins by itself is let begin first.
    """
    main = gevent.getcurrent()
    begun = gevent.event.Event()
    listen(environment.events.test_start, lambda **_: begun.set())
    parsed = environment.parsed_options
    if parsed is None or not parsed.headless or not conducts(environment):
        begun.set()

    def interrupt() -> None:
        handler.cancel()
        begun.wait(BEGINS_WITHIN_SECONDS)
        gevent.kill(main, KeyboardInterrupt)

    handler = gevent.signal_handler(signal.SIGINT, interrupt)
    # Whoever started this process may have held them back until now.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, signal.valid_signals())


def runner_of(environment: Environment) -> Runner:
    """Return locust's runner."""
    runner = environment.runner
    if runner is None:
        raise RuntimeError("locust has no runner")
    return runner


def connections_of(environment: Environment) -> Connections:
    """Return connections to what locust is to load, with the token that goes with each call.

    Raises:
        NoTarget: it is not said what to load.
    """
    if not environment.host or not environment.host.startswith(("http://", "https://")):
        raise NoTarget(f"--host is to be an http:// or https:// URL, not {environment.host!r}")
    token = getattr(environment.parsed_options, "token", None)
    headers = dict(wire.HEADERS)
    if token:
        headers["authorization"] = f"Bearer {token}"
    return Connections(environment.host, headers)
