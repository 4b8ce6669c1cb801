"""Which workers are replaced when they die."""

import socket
from collections.abc import Iterator

import pytest

from coupon_service.serving import spawning
from coupon_service.serving.supervisor import STARTUP_FAILURE, Supervisor, Worker, WorkersFailed


class Workers:
    """Workers that end at once, with some status."""

    address = ("127.0.0.1", 0)
    startup_failures = frozenset({STARTUP_FAILURE})

    def __init__(self, exit_status: int) -> None:
        self._exit_status = exit_status
        self.started = 0

    def start(self) -> Worker:
        self.started += 1
        process = spawning.context().Process(target=exit, args=(self._exit_status,))
        process.start()
        process.join()
        return Worker(process=process, ask_to_stop=lambda: None)

    def close_port(self) -> None:
        """Nothing is open."""


@pytest.fixture
def told() -> Iterator[tuple[socket.socket, socket.socket]]:
    hearing, telling = socket.socketpair()
    with hearing, telling:
        yield hearing, telling


def supervisor_of(workers: Workers, *, has_served: bool) -> Supervisor:
    made = Supervisor(workers, count=1, stop_seconds_max=1, has_served=lambda: has_served)
    made._workers = [workers.start()]
    return made


def test_a_worker_that_dies_is_replaced(told: tuple[socket.socket, socket.socket]) -> None:
    workers = Workers(1)
    supervisor_of(workers, has_served=True)._replace_dead(told[0])
    assert workers.started == 2


def test_a_worker_that_dies_because_all_were_told_to_stop_is_neither_replaced_nor_worth_a_word(
    told: tuple[socket.socket, socket.socket], capsys: pytest.CaptureFixture[str]
) -> None:
    workers = Workers(1)
    supervisor = supervisor_of(workers, has_served=True)
    told[1].send(b"!")
    supervisor._replace_dead(told[0])
    assert workers.started == 1
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("has_served", [False, True])
def test_a_worker_that_cannot_start_ends_the_service_only_if_none_has_served(
    told: tuple[socket.socket, socket.socket], *, has_served: bool
) -> None:
    workers = Workers(STARTUP_FAILURE)
    supervisor = supervisor_of(workers, has_served=has_served)
    if has_served:
        supervisor._replace_dead(told[0])
        assert workers.started == 2
    else:
        with pytest.raises(WorkersFailed):
            supervisor._replace_dead(told[0])
        assert workers.started == 1
