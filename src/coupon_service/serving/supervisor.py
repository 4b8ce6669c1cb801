"""Keeps the worker processes running, and stops them when it is told to.

uvicorn's own supervisor asks each worker now and then whether it lives, and waits
for the answer: a worker that is killed while it is being asked stays dead for as
long as a busy one is given to answer. This one waits for the processes themselves.
"""

import contextlib
import signal
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerProcess
from types import FrameType
from typing import Protocol

import structlog

log = structlog.get_logger(__name__)

# The exit status of a worker whose application cannot start: uvicorn's own.
STARTUP_FAILURE = 3
# A worker that dies sooner than this after its start is not replaced at once.
STEADY_SECONDS = 1
PAUSE_SECONDS = 1
# A signal to all processes at once may reach a worker before it reaches us.
TELLING_SECONDS = 0.05
# What a worker may take beyond the time that its requests are given.
STOP_SECONDS = 10


class WorkersFailed(Exception):
    """A worker could not start; its log says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Worker:
    """A process that answers requests; `ask_to_stop` lets it finish those under way."""

    process: ForkServerProcess
    ask_to_stop: Callable[[], None]
    started_at: float = field(default_factory=time.monotonic)


class Workers(Protocol):
    """One kind of worker, and the port that they answer on."""

    @property
    def address(self) -> tuple[str, int]:
        """The host's address and the port."""
        ...

    @property
    def startup_failures(self) -> frozenset[int]:
        """The exit statuses which say that no other worker could start either."""
        ...

    def start(self) -> Worker:
        """Start one more worker."""
        ...

    def close_port(self) -> None:
        """Take no more connections in the supervisor's name."""
        ...


class Supervisor:
    """Runs `count` workers of a kind.

    `stop_seconds_max` is how long the requests under way are given when it stops;
    `has_served` tells whether any worker has ever answered: then one that cannot start is
    no reason to stop the others.
    """

    def __init__(
        self,
        kind: Workers,
        *,
        count: int,
        stop_seconds_max: float,
        has_served: Callable[[], bool],
    ) -> None:
        self._kind = kind
        self._has_served = has_served
        self._count = count
        self._stop_seconds_max = stop_seconds_max
        self._workers: list[Worker] = []

    def run(self) -> None:
        """Keep the workers running until SIGTERM or SIGINT, then let them finish.

        Raises:
            WorkersFailed: one could not start, and none has served yet, so all were stopped.
        """
        with _told_to_stop() as told:
            try:
                for _ in range(self._count):
                    self._workers.append(self._kind.start())
                while not wait([told, *self._sentinels()], timeout=None).count(told):
                    self._replace_dead(told)
            finally:
                self._stop()

    def _sentinels(self) -> list[int]:
        return [worker.process.sentinel for worker in self._workers]

    def _replace_dead(self, told: socket.socket) -> None:
        for place, worker in enumerate(self._workers):
            if worker.process.is_alive():
                continue
            is_failure = worker.process.exitcode in self._kind.startup_failures
            if is_failure and not self._has_served():
                raise WorkersFailed
            if wait([told], timeout=TELLING_SECONDS):
                return  # it was not to live on
            log.warning(
                "a worker died; starting another",
                pid=worker.process.pid,
                exit_status=worker.process.exitcode,
            )
            if time.monotonic() - worker.started_at < STEADY_SECONDS:
                wait([told], timeout=PAUSE_SECONDS)
            self._workers[place] = self._kind.start()

    def _stop(self) -> None:
        """Close the port, so that nobody waits for an answer in vain, and end the workers."""
        self._kind.close_port()
        for worker in self._workers:
            worker.ask_to_stop()
        give_up_at = time.monotonic() + self._stop_seconds_max + STOP_SECONDS
        for worker in self._workers:
            worker.process.join(max(0, give_up_at - time.monotonic()))
            if worker.process.is_alive():
                log.warning("a worker did not stop in time; killing it", pid=worker.process.pid)
                worker.process.kill()
                worker.process.join()


@contextlib.contextmanager
def _told_to_stop() -> Iterator[socket.socket]:
    """Yield a socket that becomes readable when SIGTERM or SIGINT comes."""
    told, telling = socket.socketpair()

    def tell(_number: int, _frame: FrameType | None) -> None:
        with contextlib.suppress(OSError):
            telling.send(b"!")

    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(number, tell) for number in numbers]
    with told, telling:
        telling.settimeout(0)
        try:
            yield told
        finally:
            for number, handler in zip(numbers, before, strict=True):
                signal.signal(number, handler)
