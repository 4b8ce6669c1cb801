"""What each process that generates load does, from the plan to the end of its history."""

import random
import time
from collections.abc import Callable
from pathlib import Path

import gevent
import gevent.event
from gevent.lock import Semaphore
from gevent.pool import Pool

from loadtest.checker.outcomes import STORAGE_UNAVAILABLE, UNKNOWN
from loadtest.clocks import Clock
from loadtest.history import BASIC, FULL, OK, Recorder
from loadtest.history import Clock as ClockLine
from loadtest.rush.arrivals import arrivals
from loadtest.rush.caller import Caller
from loadtest.rush.connections import CALL_SECONDS_MAX, Connections
from loadtest.rush.exchanges import Exchange
from loadtest.rush.lines import KINDS
from loadtest.rush.people import Claim, People
from loadtest.rush.plan import Plan, Share
from loadtest.rush.tally import Tally

EARLY_SHARE = 0.05
READ_PAUSE_SECONDS = 0.25
# Reading all codes is not to be what the service does most.
READ_SHARE_MAX = 0.2
ASK_AGAIN_AT_ONCE = 16
ASK_AGAIN_SECONDS_MAX = 60
ASK_AGAIN_PAUSE_SECONDS = 0.1
POLL_SECONDS = 0.01
# Those beyond wait in the generator, which then says that it is late. Each is an open file.
AT_ONCE_MAX = 5_000
FINISH_SECONDS_MAX = 2 * CALL_SECONDS_MAX
FILE_BUFFER_BYTES = 1 << 20
# Whoever is told one of these does not know yet whether there is a coupon.
UNSETTLED = UNKNOWN | {STORAGE_UNAVAILABLE, "OVERLOADED"}


class Performer:
    """Lets callers come, and writes down what they see.

    `exchange` asks the master's clock anew; without it, the clock is the master's own.
    """

    def __init__(  # noqa: PLR0913 # whom it tells, and what of
        self,
        plan: Plan,
        connections: Connections,
        *,
        clock: Clock,
        exchange: Callable[[], Exchange] | None,
        on_sold_out: Callable[[], None],
        on_call: Callable[[str, str, float, str | None], None],
    ) -> None:
        self._plan = plan
        self._exchange = exchange
        self._begun = None if exchange is None else exchange()
        behind_us = 0 if self._begun is None else self._begun.behind_us
        self._clock = Clock(clock.anchor_ns + behind_us * 1000)
        self._connections = connections
        self._caller = Caller(connections, plan.process, self._clock)
        self._on_sold_out = on_sold_out
        self._on_call = on_call
        self._sold_out = False
        self._end_us = plan.end_us
        self._chance = random.Random(f"{plan.seed} {plan.process}")  # noqa: S311 # to be repeated
        self._people = People(self._chance, plan.process)
        self._lost: dict[str, None] = {}
        self._slots = Semaphore(AT_ONCE_MAX)
        self._unsent = 0
        self._streams = 0
        self._is_gone = False
        self._under_way = 0
        self._tally = Tally()
        self.path = Path(plan.output) / f"{plan.process}.jsonl"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open("wb", buffering=FILE_BUFFER_BYTES)
        self._recorder = Recorder(self._file)
        self._over = gevent.event.Event()
        self._reader = gevent.spawn(self._read)
        self._meter = gevent.spawn(self._measure_busy)

    def stream(self) -> None:
        """Let callers arrive until the burst is over, each in a greenlet of its own."""
        plan = self._plan
        self._streams += 1
        try:
            for due_us in arrivals(
                self._chance,
                from_us=self._clock.now_us(),
                start_us=plan.start_us,
                early_rate=plan.user_rate * EARLY_SHARE,
                rate=plan.user_rate,
            ):
                wait_us = due_us - self._clock.now_us()
                if wait_us > 0 and due_us < self._end_us:
                    gevent.sleep(wait_us / 1e6)
                if due_us >= self._end_us:
                    return
                self._under_way += 1
                gevent.spawn(self._arrive, due_us)
        finally:
            self._streams -= 1

    def end_at(self, end_us: int) -> None:
        """Let the burst end at an instant, if it is not to end before."""
        self._end_us = min(self._end_us, end_us)

    def take_tally(self) -> Tally:
        """Return what happened since this was asked last."""
        taken, self._tally = self._tally, Tally()
        return taken

    def finish(self, *, is_gone: bool = False) -> Share:
        """Wait for the calls under way, ask again for those who do not know, close the history.

        Nobody asks a service again that `is_gone`.
        """
        self._is_gone = is_gone
        self.end_at(self._clock.now_us())
        self._over.set()
        give_up_at = time.monotonic() + FINISH_SECONDS_MAX
        while (self._streams or self._under_way) and time.monotonic() < give_up_at:
            gevent.sleep(POLL_SECONDS)
        self._reader.join(FINISH_SECONDS_MAX)
        self._reader.kill()
        unanswered = len(self._lost) if is_gone else self._ask_again()
        error_us = self._clock_error_us()
        self._recorder.record(ClockLine(process=self._plan.process, error_us=error_us))
        self._file.close()
        self._connections.close()
        return Share(
            process=self._plan.process,
            size=self.path.stat().st_size,
            busy=self._meter.get(),
            unanswered=unanswered + self._under_way,
            unsent=self._unsent,
            clock_error_us=error_us,
        )

    def _arrive(self, due_us: int) -> None:
        try:
            with self._slots:
                if self._over.is_set():
                    self._unsent += 1
                    return
                self._tally.sent += 1
                self._tally.late_us = max(self._tally.late_us, self._clock.now_us() - due_us)
                self._issue(self._people.next(), due_us)
        finally:
            self._under_way -= 1

    def _issue(self, claim: Claim, due_us: int | None = None) -> str:
        line = self._caller.issue(self._plan.campaign_id, claim, due_us)
        if not self._file.closed:
            self._recorder.record(line)
        self._tally.count(line)
        kind = line.kind
        took_us = (line.answered_us or line.sent_us) - (line.due_us or line.sent_us)
        error = None if kind in KINDS else line.outcome
        self._on_call("IssueCoupon", kind, took_us / 1000, error)
        if claim.user_id:
            if line.outcome in UNSETTLED:
                self._lost[claim.user_id] = None
            else:
                self._lost.pop(claim.user_id, None)
        if line.outcome == "SOLD_OUT" and not self._sold_out:
            self._sold_out = True
            self._on_sold_out()
        return line.outcome

    def _read(self) -> None:
        """Look at the campaign again and again, with and without its codes."""
        view = FULL
        while not self._over.is_set():
            seconds = self._read_once(view)
            view = BASIC if view == FULL else FULL
            pause = max(READ_PAUSE_SECONDS, seconds * (1 / READ_SHARE_MAX - 1))
            self._over.wait(pause)
        if not self._is_gone:
            self._read_once(FULL)

    def _read_once(self, view: str) -> float:
        """Return how many seconds it took."""
        line = self._caller.read(self._plan.campaign_id, view)
        self._recorder.record(line)
        seconds = ((line.answered_us or line.sent_us) - line.sent_us) / 1e6
        error = None if line.outcome == OK else line.outcome
        self._on_call("GetCampaign", view, seconds * 1000, error)
        return seconds

    def _ask_again(self) -> int:
        """Return how many users got no answer all the same."""
        give_up_at = time.monotonic() + ASK_AGAIN_SECONDS_MAX

        def ask(user_id: str) -> bool:
            while time.monotonic() < give_up_at:
                if self._issue(Claim(user_id=user_id)) not in UNSETTLED:
                    return True
                gevent.sleep(ASK_AGAIN_PAUSE_SECONDS)
            return False

        answered: list[bool] = Pool(ASK_AGAIN_AT_ONCE).map(ask, list(self._lost))
        return answered.count(False)

    def _measure_busy(self) -> float:
        """Return what share of a processor this process uses from the start to the end."""
        self._over.wait(max(0, self._plan.start_us - self._clock.now_us()) / 1e6)
        begun, used = time.monotonic(), time.process_time()
        self._over.wait()
        seconds = time.monotonic() - begun
        return (time.process_time() - used) / seconds if seconds > 0.1 else 0.0

    def _clock_error_us(self) -> int:
        """Return by how much the clock may be off, its drift since the beginning included."""
        if self._exchange is None or self._begun is None:
            return 0
        now = self._exchange()
        drift_us = abs(now.behind_us - self._begun.behind_us)
        return max(now.round_trip_us, self._begun.round_trip_us) // 2 + 1 + drift_us
