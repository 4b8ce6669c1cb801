"""The part of locust's master, or of its only process: it leads each test as a new run."""

import sys

import gevent
from locust.env import Environment
from locust.rpc.protocol import Message

from loadtest.clocks import shared_clock
from loadtest.rush import messages, options
from loadtest.rush.caller import Caller
from loadtest.rush.conductor import PROCESS, CannotRush, Conductor
from loadtest.rush.parts import NoTarget, connections_of, listen, runner_of
from loadtest.rush.plan import Share, as_message, of_message
from loadtest.rush.tally import of_message as tally_of_message

FAILED = 1


class Conducting:
    """Leads each test that locust starts, as a new run."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._runner = runner_of(environment)
        self._clock = shared_clock()
        self._conductor: Conductor | None = None
        for name, listener in (
            (messages.JOIN, self._on_join),
            (messages.ASK_TIME, self._on_ask_time),
            (messages.TALLY, self._on_tally),
            (messages.SOLD_OUT, self._on_sold_out),
            (messages.FINISHED, self._on_finished),
            (messages.PIECE, self._on_piece),
        ):
            self._runner.register_message(name, listener)
        listen(environment.events.test_start, self._on_test_start)
        listen(environment.events.test_stop, self._on_test_stop)
        # Before locust works out its exit status.
        listen(environment.events.quitting, self._on_quitting)

    def _on_test_start(self, **_: object) -> None:
        self._conductor = None
        try:
            chosen = options.of_locust(self._environment.parsed_options)
            caller = Caller(connections_of(self._environment), PROCESS, self._clock)
            conductor = Conductor(self._environment, chosen, caller, self._clock)
            conductor.begin()
        except (CannotRush, NoTarget, options.OutOfBounds) as exc:
            sys.stderr.write(f"loadtest: {exc}\n")
            self._environment.process_exit_code = FAILED
            parsed = self._environment.parsed_options
            if parsed is not None and parsed.headless:
                gevent.spawn(self._runner.quit)
            # The greenlet that starts the test; nobody is spawned then.
            raise gevent.GreenletExit from exc
        self._conductor = conductor

    def _on_test_stop(self, **_: object) -> None:
        if self._conductor is not None:
            self._conductor.finish()

    def _on_quitting(self, **_: object) -> None:
        self._on_test_stop()
        parsed = self._environment.parsed_options
        is_first = self._environment.process_exit_code is None
        if self._conductor is None and is_first and parsed is not None and parsed.headless:
            sys.stderr.write("loadtest: the rush was ended before it began\n")
            self._environment.process_exit_code = FAILED

    def _on_join(self, msg: Message, **_: object) -> None:
        if self._conductor is not None:
            plan = self._conductor.plan_for(msg.node_id)
            self._runner.send_message(messages.PLAN, as_message(plan), msg.node_id)

    def _on_ask_time(self, msg: Message, **_: object) -> None:
        told = {"sent_us": msg.data["sent_us"], "told_us": self._clock.now_us()}
        self._runner.send_message(messages.TIME, told, msg.node_id)

    def _on_tally(self, msg: Message, **_: object) -> None:
        if self._conductor is not None:
            self._conductor.heard_tally(tally_of_message(msg.data))

    def _on_sold_out(self, **_: object) -> None:
        if self._conductor is not None:
            self._conductor.heard_sold_out()

    def _on_finished(self, msg: Message, **_: object) -> None:
        if self._conductor is not None:
            self._conductor.heard_finished(msg.node_id, of_message(msg.data, Share))

    def _on_piece(self, msg: Message, **_: object) -> None:
        if self._conductor is not None:
            piece = msg.data
            self._conductor.heard_piece(piece["process"], piece["data"], is_last=piece["is_last"])
