"""The most memory that a process has held for a while: of Linux, or by looking often."""

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

LOOK_INTERVAL_SECONDS = 0.002
_RESET_HIGH_WATER_MARK = "5"  # see proc_pid_clear_refs(5)


@dataclass(slots=True)
class Peak:
    """The most resident memory that was held; it is there once its `peak_of` has ended."""

    byte_count: int = 0


@contextlib.contextmanager
def peak_of(process: psutil.Process) -> Iterator[Peak]:
    """Follow the resident memory of a process, and tell the most of it at the end."""
    mark = Path(f"/proc/{process.pid}/clear_refs")
    with _marked(mark) if mark.exists() else _looked_at(process) as peak:
        yield peak


@contextlib.contextmanager
def _marked(mark: Path) -> Iterator[Peak]:
    """Let Linux keep the high-water mark, which misses nothing."""
    peak = Peak()
    mark.write_text(_RESET_HIGH_WATER_MARK)
    yield peak
    status = mark.with_name("status").read_text()
    (kibibytes,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
    peak.byte_count = int(kibibytes) * 1024


@contextlib.contextmanager
def _looked_at(process: psutil.Process) -> Iterator[Peak]:
    """Look often, from a thread."""
    peak, done = Peak(), threading.Event()

    def look() -> None:
        while not done.wait(LOOK_INTERVAL_SECONDS):
            peak.byte_count = max(peak.byte_count, process.memory_info().rss)

    looking = threading.Thread(target=look, name="peak-memory", daemon=True)
    looking.start()
    try:
        yield peak
    finally:
        done.set()
        looking.join()
