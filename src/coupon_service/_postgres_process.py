"""How PostgreSQL's processes are started, recognised and ended."""

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
import structlog

log = structlog.get_logger(__name__)

POLL_SECONDS = 0.02
FAST_SHUTDOWN_SECONDS = 30
FORCED_END_SECONDS = 10
STILL_STARTING_SECONDS = 10

MEGABYTE = 2**20
CGROUP_MEMORY_LIMIT = Path("/sys/fs/cgroup/memory.max")


def _memory_bytes() -> int:
    """Return the memory that this process may use: the machine's, or its container's."""
    limits = [psutil.virtual_memory().total]
    with contextlib.suppress(OSError, ValueError):  # no such limit, or "max"
        limits.append(int(CGROUP_MEMORY_LIMIT.read_text()))
    return min(limits)


def _shared_buffers() -> str:
    """Return how much of the tables PostgreSQL keeps in its own memory.

    Codes are random, so issuing touches every page of their index: an eighth of the
    memory, up to 2 GB, holds that of ten million coupons. It is taken as it is needed.
    """
    megabytes = _memory_bytes() // 8 // MEGABYTE
    return f"{min(max(megabytes, 128), 2048)}MB"


SETTINGS = {
    # On the command line these win over postgresql.conf and ALTER SYSTEM: an
    # answered claim must be on disk, whatever those files say.
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    # The socket's folder is private to one account, so who reaches it is trusted.
    "listen_addresses": "",
    "port": "5432",  # named, because PGPORT in the environment would move the socket
    "max_connections": "200",
    "shared_buffers": _shared_buffers(),
    "max_wal_size": "2GB",
    # After a checkpoint the first change of a page logs all of it: seldom is better.
    "checkpoint_timeout": "15min",
    # A file for each day of the week, overwritten a week later.
    "logging_collector": "on",
    "log_destination": "stderr",
    "log_filename": "postgresql-%a.log",
    "log_rotation_age": "1d",
    "log_rotation_size": "0",
    "log_truncate_on_rotation": "on",
}
if sys.platform == "darwin":
    # Any other method leaves commits in the drive's own cache there.
    SETTINGS["wal_sync_method"] = "fsync_writethrough"


class EmbeddedPostgresError(Exception):
    """The embedded PostgreSQL cannot run; the message is one sentence for the operator."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """The operating-system account PostgreSQL runs under; without ids, this process's own."""

    uid: int | None = None
    gid: int | None = None

    @property
    def extra_groups(self) -> list[int] | None:
        """Return no groups at all for another account: root's must not come along."""
        return None if self.uid is None else []


@dataclass(frozen=True, kw_only=True, slots=True)
class Cluster:
    """A PostgreSQL cluster on disk, and what is needed to run it."""

    folder: Path
    programs: Path
    account: Account
    logs: Path
    start_log: Path
    socket_dir: Path


class Postmaster:
    """One run of PostgreSQL on a cluster, as a direct child of this process."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        with cluster.start_log.open("wb") as start_log:
            self._child = subprocess.Popen(  # noqa: S603 - our own program and settings
                _command(cluster),
                cwd="/",  # the current folder may be closed to the account
                stdin=subprocess.DEVNULL,
                stdout=start_log,
                stderr=start_log,
                # Ctrl+C in the terminal reaches the service alone, which still
                # needs its database to finish its work.
                start_new_session=True,
                user=cluster.account.uid,
                group=cluster.account.gid,
                extra_groups=cluster.account.extra_groups,
            )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._child.pid

    def wait_until_ready(self) -> None:
        """Block until connections are accepted; crash recovery may take its time.

        Raises:
            EmbeddedPostgresError: It exited instead.
        """
        begun = told = time.monotonic()
        while not self._is_ready():
            if (status := self._child.poll()) is not None:
                raise EmbeddedPostgresError(
                    f"PostgreSQL exited with status {status} while starting; its log ends with: "
                    f"{_newest_lines(self._cluster)}"
                )
            if time.monotonic() - told >= STILL_STARTING_SECONDS:
                told = time.monotonic()
                log.info("PostgreSQL is still starting", seconds=round(told - begun))
            time.sleep(POLL_SECONDS)

    def _is_ready(self) -> bool:
        lines = _pid_file_lines(self._cluster.folder)
        return len(lines) >= 8 and lines[0] == str(self.pid) and lines[7].strip() == "ready"

    def wait(self) -> int:
        """Block until it exits, and return its exit status."""
        return self._child.wait()

    def stop(self) -> None:
        """Shut down fast, by force after 30 seconds; returns when it has exited."""
        for number, seconds in (
            (signal.SIGINT, FAST_SHUTDOWN_SECONDS),
            (signal.SIGQUIT, FORCED_END_SECONDS),
        ):
            self._child.send_signal(number)
            try:
                self._child.wait(seconds)
            except subprocess.TimeoutExpired:
                log.warning("PostgreSQL is slow to stop", signal=number.name, seconds=seconds)
            else:
                return
        self._child.kill()
        self._child.wait()


def _command(cluster: Cluster) -> list[str]:
    settings = SETTINGS | {
        "unix_socket_directories": str(cluster.socket_dir),
        "log_directory": str(cluster.logs),
    }
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    return [str(cluster.programs / "postgres"), "-D", str(cluster.folder), *options]


def _newest_lines(cluster: Cluster) -> str:
    """Return the log's end: in the start log until PostgreSQL collects its own."""
    logs = [cluster.start_log, *cluster.logs.glob("*.log")]
    return last_lines(max(logs, key=lambda each: each.stat().st_mtime_ns).read_bytes())


def last_lines(output: bytes) -> str:
    """Return the last few lines of a program's output as one."""
    lines = [line.strip() for line in output.decode(errors="replace").splitlines()]
    return " | ".join([line for line in lines if line][-4:])


def run_program(
    command: Sequence[str | Path], *, account: Account, folder: Path, given: str = ""
) -> None:
    """Run a program of PostgreSQL's in a folder to its end, with `given` as its input.

    Raises:
        EmbeddedPostgresError: It failed.
    """
    try:
        subprocess.run(  # noqa: S603 - our own programs and arguments
            command,
            input=given.encode(),
            capture_output=True,
            check=True,
            cwd=folder,
            user=account.uid,
            group=account.gid,
            extra_groups=account.extra_groups,
        )
    except subprocess.CalledProcessError as exc:
        raise EmbeddedPostgresError(
            f"{Path(command[0]).name} failed: {last_lines(exc.stderr or exc.stdout)}"
        ) from exc


def end_leftovers(folder: Path) -> None:
    """End what an earlier owner's death left running in a cluster's folder.

    The caller holds the data directory's lock, so nobody else needs these
    processes. While one lives, PostgreSQL would refuse to start.

    Raises:
        EmbeddedPostgresError: A process could not be ended within 50 seconds.
    """
    recorded_pid = next(iter(_pid_file_lines(folder)), "")
    leftovers = _running_in(folder)
    postmasters = [each for each in leftovers if str(each.pid) == recorded_pid]
    if leftovers:
        log.warning("ending a PostgreSQL left running", pids=[each.pid for each in leftovers])
    if postmasters:
        _signal(postmasters, signal.SIGINT)
        leftovers = _remaining(leftovers, folder, seconds=FAST_SHUTDOWN_SECONDS)
    # Children without their postmaster get what it would send them after a crash.
    for number in (signal.SIGQUIT, signal.SIGKILL):
        _signal(leftovers, number)
        leftovers = _remaining(leftovers, folder, seconds=FORCED_END_SECONDS)
    if leftovers:
        pids = ", ".join(str(each.pid) for each in leftovers)
        raise EmbeddedPostgresError(f"An earlier PostgreSQL cannot be ended: process {pids}.")


def remove_stale_pid_files(cluster: Cluster) -> None:
    """Remove the pid files of a cluster on which nothing runs.

    PostgreSQL would refuse to start if the pid in one had been given to an
    unrelated process of the same account since.
    """
    (cluster.folder / "postmaster.pid").unlink(missing_ok=True)
    (cluster.socket_dir / ".s.PGSQL.5432.lock").unlink(missing_ok=True)


def _pid_file_lines(folder: Path) -> list[str]:
    try:
        return (folder / "postmaster.pid").read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return []


def _running_in(folder: Path) -> list[psutil.Process]:
    return [each for each in psutil.process_iter() if _runs_in(each, folder)]


def _runs_in(process: psutil.Process, folder: Path) -> bool:
    """Tell PostgreSQL's own by name and working folder; pids alone may be reused."""
    try:
        return process.name() in {"postgres", "initdb"} and process.cwd() == str(folder)
    except psutil.Error:  # gone, a zombie, or another account's: not ours
        return False


def _signal(processes: Iterable[psutil.Process], number: signal.Signals) -> None:
    for each in processes:
        try:
            each.send_signal(number)  # psutil first makes sure that the pid was not reused
        except psutil.NoSuchProcess:
            continue


def _remaining(
    processes: list[psutil.Process], folder: Path, *, seconds: float
) -> list[psutil.Process]:
    """Return the processes that have not ended after so many seconds."""
    deadline = time.monotonic() + seconds
    while processes and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        processes = [each for each in processes if _runs_in(each, folder)]
    return processes
