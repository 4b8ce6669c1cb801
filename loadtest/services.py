"""The real program, started as a user starts it, for as long as a test needs it."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

STARTS_WITHIN_SECONDS = 60
STOPS_WITHIN_SECONDS = 60
SERVE = ("coupon_service", "serve")


def environment(**settings: object) -> dict[str, str]:
    """Return this process's environment without settings of the service, but for the given ones."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("COUPON_")}
    return inherited | {f"COUPON_{k.upper()}": str(v) for k, v in settings.items()}


@dataclass
class Service:
    """A running `coupon-service serve`."""

    process: subprocess.Popen[str]
    log: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""

    @property
    def pid(self) -> int:
        """The process id of the supervisor."""
        return self.process.pid

    def worker_pids(self) -> list[int]:
        """Return the processes that answer requests."""
        # They are children of multiprocessing's fork server, which is one of the supervisor's.
        children = psutil.Process(self.pid).children()
        servers = [c for c in children if "forkserver" in " ".join(_cmdline(c))]
        return [worker.pid for server in servers for worker in server.children()]

    def noise(self) -> list[dict[str, Any]]:
        """Return what is in the log beside the lines of a clean start and stop."""
        return [entry for entry in self.log if entry.get("level") not in {"debug", "info"}]

    def seen_from_there(self, path: Path) -> Path:
        """Return the path under which others find a file of a disk that only the service sees."""
        return Path(f"/proc/{self.pid}/root{path}")

    def stop(self, *, signal_number: int = signal.SIGTERM) -> int:
        """Stop it as an operator does and return its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal_number)
        return self.process.wait(STOPS_WITHIN_SECONDS)

    def kill_everything(self) -> None:
        """Kill -9 of the supervisor and its workers at once, as a power failure would."""
        pids = [self.pid, *self.worker_pids()]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        self.process.wait(STOPS_WITHIN_SECONDS)


def _cmdline(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


@contextmanager
def running_service(
    *arguments: str,
    module: Sequence[str] = SERVE,
    prefix: Sequence[str] = (),
    variables: dict[str, str] | None = None,
    **settings: object,
) -> Iterator[Service]:
    """Start the service on a free port and wait until it says that it is ready.

    `settings` become COUPON_ variables. `module` is what Python runs instead of the
    service's own command, `prefix` a command that runs it.

    Raises:
        RuntimeError: it did not start; the message has its log.
    """
    process = subprocess.Popen(  # noqa: S603 # this program, with arguments of ours
        [*prefix, sys.executable, "-m", *module, *arguments],
        env=environment(**{"port": 0, "log_format": "json", **settings}) | (variables or {}),
        stderr=subprocess.PIPE,
        text=True,
    )
    service = Service(process)
    ready: queue.Queue[str] = queue.Queue()
    reader = threading.Thread(target=_read_log, args=(service, ready), daemon=True)
    reader.start()
    try:
        service.url = _url(ready, service)
        yield service
    finally:
        _end(service)
        reader.join(STOPS_WITHIN_SECONDS)
        if process.stderr:
            process.stderr.close()


def _url(ready: "queue.Queue[str]", service: Service) -> str:
    try:
        url = ready.get(timeout=STARTS_WITHIN_SECONDS)
    except queue.Empty:
        url = ""
    if not url:
        raise RuntimeError(f"the service did not start: {service.log}")
    return url


def _read_log(service: Service, ready: "queue.Queue[str]") -> None:
    stream = service.process.stderr
    if stream is None:
        return
    for line in stream:
        try:
            entry = json.loads(line)
        except ValueError:
            entry = {"event": line.rstrip()}
        service.log.append(entry)
        if entry["event"] == "ready":
            ready.put(entry["url"])
    ready.put("")


def _end(service: Service) -> None:
    try:
        service.stop()
    except subprocess.TimeoutExpired:
        service.kill_everything()
