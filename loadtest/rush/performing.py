"""The part of locust's workers, or of its only process: it takes part in each test."""

from collections.abc import Callable

import gevent
import gevent.event
from locust.env import Environment
from locust.rpc.protocol import Message

from loadtest.clocks import shared_clock
from loadtest.rush import messages
from loadtest.rush.exchanges import Exchange, best
from loadtest.rush.gathering import pieces
from loadtest.rush.parts import connections_of, listen, runner_of
from loadtest.rush.performer import Performer
from loadtest.rush.plan import Plan, as_message, of_message

EXCHANGES = 10
EXCHANGE_PAUSE_SECONDS = 0.05
ANSWER_SECONDS_MAX = 5
TALLY_SECONDS = 1


class CallWentWrong(Exception):
    """What locust shows among its failures."""


class Performing:
    """Takes part in each test that locust starts."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._runner = runner_of(environment)
        self._clock = shared_clock()
        self._performer: Performer | None = None
        self._finishing: gevent.Greenlet | None = None
        self._is_ready = gevent.event.Event()
        self._time: gevent.event.AsyncResult[dict[str, int]] = gevent.event.AsyncResult()
        for name, listener in (
            (messages.PLAN, self._on_plan),
            (messages.TIME, self._on_time),
            (messages.END, self._on_end),
            (messages.FINISH, self._on_finish),
            (messages.SEND, self._on_send),
        ):
            is_slow = name in {messages.PLAN, messages.SEND}
            self._runner.register_message(name, listener, concurrent=is_slow)
        listen(environment.events.test_start, self._on_test_start)
        listen(environment.events.quitting, self._on_quitting)

    def stream(self) -> None:
        """Let the callers of one of locust's users arrive, until locust ends that user."""
        self._is_ready.wait()
        if self._performer is not None:
            self._performer.stream()
        gevent.event.Event().wait()

    def _on_test_start(self, **_: object) -> None:
        self._performer = self._finishing = None
        self._is_ready.clear()
        self._runner.send_message(messages.JOIN, {})

    def _on_plan(self, msg: Message, **_: object) -> None:
        plan = of_message(msg.data, Plan)
        self._performer = Performer(
            plan,
            connections_of(self._environment),
            clock=self._clock,
            exchange=None if plan.anchor_ns == self._clock.anchor_ns else self._exchange,
            on_sold_out=lambda: self._runner.send_message(messages.SOLD_OUT, {}),
            on_call=self._tell_locust,
        )
        gevent.spawn(self._tell_progress, self._performer)
        self._is_ready.set()

    def _exchange(self) -> Exchange:
        """Ask for the time of the master's clock several times, and believe the quickest."""
        exchanges = []
        for _ in range(EXCHANGES):
            self._time = gevent.event.AsyncResult()
            self._runner.send_message(messages.ASK_TIME, {"sent_us": self._clock.now_us()})
            told = self._time.get(timeout=ANSWER_SECONDS_MAX)
            exchanges.append(Exchange(answered_us=self._clock.now_us(), **told))
            gevent.sleep(EXCHANGE_PAUSE_SECONDS)
        return best(exchanges)

    def _on_time(self, msg: Message, **_: object) -> None:
        self._time.set(msg.data)

    def _on_end(self, msg: Message, **_: object) -> None:
        if self._performer is not None:
            self._performer.end_at(msg.data["end_us"])

    def _on_finish(self, msg: Message | None = None, **_: object) -> None:
        is_gone = msg is not None and bool(msg.data["is_gone"])
        if self._performer is not None and self._finishing is None:
            self._finishing = gevent.spawn(self._finish, self._performer, is_gone=is_gone)

    def _finish(self, performer: Performer, *, is_gone: bool) -> None:
        share = performer.finish(is_gone=is_gone)
        self._send_tally(performer)
        self._runner.send_message(messages.FINISHED, as_message(share))

    def _on_send(self, **_: object) -> None:
        if self._performer is None:
            return
        path = self._performer.path
        for data, is_last in pieces(path):
            piece = {"process": path.stem, "data": data, "is_last": is_last}
            self._runner.send_message(messages.PIECE, piece)

    def _on_quitting(self, **_: object) -> None:
        """Finish on this process's own account if it is ended before the rush is."""
        self._on_finish()
        if self._finishing is not None:
            self._finishing.join()

    def _tell_progress(self, performer: Performer) -> None:
        while self._performer is performer and self._finishing is None:
            gevent.sleep(TALLY_SECONDS)
            self._send_tally(performer)

    def _send_tally(self, performer: Performer) -> None:
        self._runner.send_message(messages.TALLY, performer.take_tally().as_message())

    def _tell_locust(self, rpc: str, name: str, milliseconds: float, error: str | None) -> None:
        # locust does not say what types it takes.
        fire: Callable[..., object] = self._environment.events.request.fire
        fire(
            request_type=rpc,
            name=name,
            response_time=milliseconds,
            response_length=0,
            exception=None if error is None else CallWentWrong(error),
            context={},
        )
