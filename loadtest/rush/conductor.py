"""Leads a rush: creates the campaign, tells the performers, and ends it.

There is one, in the process that is locust's master or that runs alone.
"""

import os
import platform
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import gevent
import gevent.event
import msgspec
import psutil
from locust.env import Environment
from locust.runners import STATE_MISSING, MasterRunner

from loadtest.clocks import Clock
from loadtest.history import BASIC, FULL, OK, Recorder
from loadtest.history import Clock as ClockLine
from loadtest.rush import messages
from loadtest.rush.caller import Caller, CallFailed
from loadtest.rush.folder import RUN_FILE, FolderInUse, Hold, emptied
from loadtest.rush.gathering import Gathering
from loadtest.rush.muster import FINISH_SECONDS_MAX, Muster
from loadtest.rush.options import Options
from loadtest.rush.plan import Plan, Run, Share
from loadtest.rush.progress import Progress
from loadtest.rush.silence import Silence
from loadtest.rush.tally import Tally, total

PROCESS = "master"
SECONDS_AFTER_SOLD_OUT = 3
# Nobody waits for ever for a campaign that is never sold out.
BURST_SECONDS_MIN = 60
LEAD_SECONDS_MIN = 1
SECOND_US = 1_000_000
# A claim whose caller has gone may still be under way in the service.
SETTLE_SECONDS = 1


class CannotRush(Exception):
    """The rush cannot begin; the message is one line."""


class Conductor:
    """One run, from the campaign's creation to the report."""

    def __init__(
        self, environment: Environment, options: Options, caller: Caller, clock: Clock
    ) -> None:
        self._environment = environment
        self._options = options
        self._caller = caller
        self._clock = clock
        self._begun_at = datetime.now(UTC).isoformat(timespec="seconds")
        self._seed = options.seed or int.from_bytes(os.urandom(4))
        self._muster = Muster(self._is_connected)
        self._gathering = Gathering(Path(options.output))
        self._tallies: list[Tally] = []
        self._problems: list[str] = []
        self._has_all = True
        self._silence = Silence()
        self._is_gone = False
        self._hold: Hold | None = None
        self._stop = gevent.event.Event()
        self._finished = gevent.event.Event()
        self._progress = Progress(sys.stdout, options.coupons)
        self.exit_code = 0

    def begin(self) -> None:
        """Create the campaign and lead the rush from a greenlet of its own.

        Raises:
            CannotRush: the service or the folder for the history cannot be used.
        """
        try:
            self._prepare()
        except BaseException:
            self._release()
            raise
        self._end_us = self._start_us + self._burst_seconds_max() * SECOND_US
        self._print(
            f"Campaign {self._campaign.campaign_id} at {self._environment.host}: "
            f"{self._options.coupons:,} coupons, starts in {self._options.starts_in} s "
            f"(seed {self._seed})"
        )
        gevent.spawn(self._lead)

    def _prepare(self) -> None:
        """Create the campaign, and make room for its history."""
        options = self._options
        folder = Path(options.output)
        try:
            if options.reports:  # whoever gives the verdict holds the folder until then
                self._hold = Hold(folder)
            asked_us = self._clock.now_us() + options.starts_in * SECOND_US
            self._campaign = self._caller.create(
                name="Load test", coupon_limit=options.coupons, start_us=asked_us
            )
            self._start_us = self._start_by_own_clock()
            # Only now: without a campaign, the run before is still the last one.
            self._folder = emptied(folder)
        except FolderInUse as exc:
            raise CannotRush(str(exc)) from exc
        except OSError as exc:
            raise CannotRush(f"{options.output} cannot be written to: {exc.strerror}") from exc
        except CallFailed as exc:
            raise CannotRush(f"the service at {self._environment.host} {exc}") from exc

    def _release(self) -> None:
        if self._hold is not None:
            self._hold.release()

    def _start_by_own_clock(self) -> int:
        """Return when the campaign starts; its start is by the database's clock."""
        created = self._campaign
        read_us = (created.sent_us + (created.answered_us or created.sent_us)) // 2
        ahead_us = (created.create_time_us or read_us) - read_us
        start_us = created.start_time_us - ahead_us
        lead = (start_us - self._clock.now_us()) / SECOND_US
        if lead < LEAD_SECONDS_MIN:
            raise CannotRush(
                f"the database's clock is {ahead_us / SECOND_US:.1f} s ahead of this host's, so "
                "the campaign has started too early: set the clock, or start in more seconds"
            )
        return start_us

    def _burst_seconds_max(self) -> int:
        if self._options.duration is not None:
            return self._options.duration
        users = max(1, self._users())
        return BURST_SECONDS_MIN + int(
            3 * self._options.coupons / (users * self._options.user_rate)
        )

    def _users(self) -> int:
        """Return how many users locust is to have."""
        runner = self._environment.runner
        return 0 if runner is None else runner.target_user_count

    def plan_for(self, node_id: str) -> Plan:
        """Return what a process is told that wants to take part."""
        return Plan(
            process=self._muster.name_of(node_id),
            campaign_id=self._campaign.campaign_id,
            start_us=self._start_us,
            end_us=self._end_us,
            user_rate=self._options.user_rate,
            seed=self._seed,
            output=self._options.output,
            anchor_ns=self._clock.anchor_ns,
        )

    def heard_tally(self, tally: Tally) -> None:
        """Take what happened in a process."""
        self._tallies.append(tally)

    def heard_sold_out(self) -> None:
        """Let the burst end soon: somebody was told that all is sold out."""
        end_us = self._clock.now_us() + SECONDS_AFTER_SOLD_OUT * SECOND_US
        if end_us < self._end_us:
            self._end_us = end_us
            self._send(messages.END, {"end_us": end_us})

    def heard_finished(self, node_id: str, share: Share) -> None:
        """Note that a process has finished."""
        self._muster.finished(node_id, share)

    def heard_piece(self, process: str, data: bytes, *, is_last: bool) -> None:
        """Take a piece of another host's history."""
        self._gathering.take(process, data, is_last=is_last)

    def finish(self) -> None:
        """End the run now, and wait until all of it is written down."""
        self._stop.set()
        self._finished.wait(FINISH_SECONDS_MAX)

    def _lead(self) -> None:
        try:
            self._until_the_end()
            self._send(messages.FINISH, {"is_gone": self._is_gone})
            self._muster.wait()
            self._show()
            self._problems += self._muster.problems()
            self._fetch_histories()
            self._write_own_history()
            self._write_run()
            self._progress.end()
            self._report()
        except BaseException:
            self.exit_code = 1
            raise
        finally:
            self._environment.process_exit_code = self.exit_code
            self._release()
            self._finished.set()
            self._leave_locust()

    def _until_the_end(self) -> None:
        while self._clock.now_us() < self._end_us and not self._stop.wait(1):
            self._show()
            if self._silence.is_for_good(time.monotonic()):
                self._is_gone = True
                self._problems.append("the service stopped answering")
                return

    def _show(self) -> None:
        taken, self._tallies = self._tallies, []
        tally = total(taken)
        self._silence.heard(tally, time.monotonic())
        self._progress.show(tally, (self._clock.now_us() - self._start_us) / SECOND_US)

    def _is_connected(self, node_id: str) -> bool:
        runner = self._environment.runner
        if not isinstance(runner, MasterRunner):
            return True
        return node_id in runner.clients and runner.clients[node_id].state != STATE_MISSING

    def _fetch_histories(self) -> None:
        """Have those processes send their history that wrote it on another host."""
        missing = {
            node_id: share
            for node_id, share in self._muster.shares.items()
            if not self._gathering.has(share)
        }
        for node_id in missing:
            self._send(messages.SEND, None, node_id)
        give_up_at = time.monotonic() + FINISH_SECONDS_MAX
        while missing and time.monotonic() < give_up_at:
            gevent.sleep(0.1)
            missing = {n: share for n, share in missing.items() if not self._gathering.has(share)}
        for share in missing.values():
            self._has_all = False
            self._problems.append(f"the history of {share.process} did not arrive")

    def _write_own_history(self) -> None:
        gevent.sleep(SETTLE_SECONDS)
        campaign_id = self._campaign.campaign_id
        views = () if self._is_gone else (BASIC, FULL)
        reads = [self._caller.read(campaign_id, view) for view in views]
        with (self._folder / f"{PROCESS}.jsonl").open("wb") as file:
            recorder = Recorder(file)
            recorder.record(ClockLine(process=PROCESS))
            recorder.record(self._campaign)
            for read in reads:
                recorder.record(read)
        self._caller.connections.close()
        if reads and reads[-1].outcome != OK:
            self._problems.append(f"the last GetCampaign was not answered: {reads[-1].outcome}")

    def _write_run(self) -> None:
        users = self._users()
        run = Run(
            url=str(self._environment.host),
            campaign_id=self._campaign.campaign_id,
            coupons=self._options.coupons,
            rate=users * self._options.user_rate,
            users=users,
            seed=self._seed,
            duration=self._options.duration,
            begun_at=self._begun_at,
            start_us=self._start_us,
            end_us=min(self._end_us, self._clock.now_us()),
            machine=_machine(),
            is_whole=self._muster.is_whole and self._has_all,
            shares=sorted(self._muster.shares.values(), key=lambda share: share.process),
            problems=self._problems,
        )
        (self._folder / RUN_FILE).write_bytes(msgspec.json.encode(run))

    def _report(self) -> None:
        """Give the verdict in a process of its own, which no greenlet waits for in vain."""
        if not self._options.reports:
            return
        command = [sys.executable, "-m", "loadtest", "report", self._options.output]
        done = subprocess.run(command, env=_environment(), check=False)  # noqa: S603 # ours
        self.exit_code = done.returncode

    def _leave_locust(self) -> None:
        runner = self._environment.runner
        parsed = self._environment.parsed_options
        if runner is None or self._stop.is_set():
            return  # whoever stopped it goes on
        if parsed is not None and parsed.headless:
            runner.quit()
        else:
            runner.stop()

    def _send(self, name: str, data: Any, node_id: str | None = None) -> None:  # noqa: ANN401
        runner = self._environment.runner
        if runner is not None:
            runner.send_message(name, data, node_id)

    def _print(self, text: str) -> None:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()


def _environment() -> dict[str, str]:
    """Return an environment in which this package is found from any folder."""
    paths = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}


def _machine() -> dict[str, str]:
    return {
        "System": f"{platform.system()} {platform.machine()}",
        "Processors": str(os.cpu_count()),
        "Memory": f"{round(psutil.virtual_memory().total / 2**30)} GB",
        "Python": platform.python_version(),
    }
