"""What a process of locust can do in a rush, and what both parts of it need."""

import signal
from collections.abc import Callable

import gevent
from locust.env import Environment
from locust.event import EventHook
from locust.runners import LocalRunner, MasterRunner, Runner, WorkerRunner

from loadtest.rush import wire
from loadtest.rush.connections import Connections


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


def interrupt_main_only() -> None:
    """Let a Ctrl+C interrupt the main greenlet, which ends the test in order.

    As Python has it, it interrupts whichever greenlet runs.
    """
    main = gevent.getcurrent()

    def interrupt() -> None:
        handler.cancel()
        gevent.kill(main, KeyboardInterrupt)

    handler = gevent.signal_handler(signal.SIGINT, interrupt)


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
