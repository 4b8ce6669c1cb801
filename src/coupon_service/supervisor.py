"""Keeps the worker processes running, and stops them when it is told to.

uvicorn's own supervisor asks each worker now and then whether it lives, and waits
for the answer: a worker that is killed while it is being asked stays dead for as
long as a busy one is given to answer. This one waits for the processes themselves.
"""

import contextlib
import multiprocessing
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerProcess
from types import FrameType

import structlog
import uvicorn
from uvicorn.config import STARTUP_FAILURE

from coupon_service import spawning

log = structlog.get_logger(__name__)

# A worker that dies sooner than this after its start is not replaced at once.
STEADY_SECONDS = 1
PAUSE_SECONDS = 1
# What a worker may take beyond the time that its requests are given.
STOP_SECONDS = 10


class WorkersFailed(Exception):
    """A worker could not start; its log says why."""


@dataclass(frozen=True, slots=True)
class _Worker:
    process: ForkServerProcess
    started_at: float


class Supervisor:
    """Runs `count` workers that serve `config` on a listening socket.

    `stop_seconds_max` is how long the requests under way are given when it stops.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        listener: socket.socket,
        *,
        count: int,
        stop_seconds_max: float,
    ) -> None:
        self._config = config
        self._listener = listener
        self._count = count
        self._stop_seconds_max = stop_seconds_max
        self._workers: list[_Worker] = []

    def run(self) -> None:
        """Keep the workers running until SIGTERM or SIGINT, then let them finish.

        Raises:
            WorkersFailed: one could not start, so all were stopped.
        """
        with _told_to_stop() as told:
            try:
                self._workers = [self._start() for _ in range(self._count)]
                while not wait([told, *self._sentinels()], timeout=None).count(told):
                    self._replace_dead(told)
            finally:
                self._stop()

    def _start(self) -> _Worker:
        process = spawning.context().Process(
            target=run_worker,
            args=(self._config, self._listener, dict(os.environ)),
            name="coupon-service worker",
        )
        process.start()
        return _Worker(process, time.monotonic())

    def _sentinels(self) -> list[int]:
        return [worker.process.sentinel for worker in self._workers]

    def _replace_dead(self, told: socket.socket) -> None:
        for place, worker in enumerate(self._workers):
            if worker.process.is_alive():
                continue
            if worker.process.exitcode == STARTUP_FAILURE:
                raise WorkersFailed
            log.warning(
                "a worker died; starting another",
                pid=worker.process.pid,
                exit_status=worker.process.exitcode,
            )
            if time.monotonic() - worker.started_at < STEADY_SECONDS:
                wait([told], timeout=PAUSE_SECONDS)
            self._workers[place] = self._start()

    def _stop(self) -> None:
        """Close the port, so that nobody waits for an answer in vain, and end the workers."""
        self._listener.close()
        for worker in self._workers:
            worker.process.terminate()
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


def run_worker(
    config: uvicorn.Config, listener: socket.socket, environment: Mapping[str, str]
) -> None:
    """Serve until SIGTERM or SIGINT; the life of one worker process.

    `environment` is the supervisor's: the process this one is a copy of has an older one.
    """
    os.environ.clear()
    os.environ.update(environment)
    # uvicorn stops gracefully on these, and then raises them again, which would
    # make the exit status one of a process that was killed.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: None)
    _stop_with_parent()
    uvicorn.Server(config).run(sockets=[listener])


def _stop_with_parent() -> None:
    """Stop this worker when its supervisor is gone, which cannot say so after a kill -9."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="watch-parent", daemon=True).start()
