"""The folder that a run's history and report are written to."""

import fcntl
from pathlib import Path

import msgspec

from loadtest.history import HistoryError
from loadtest.rush.plan import Run

RUN_FILE = "rush.json"
REPORT_FILE = "report.html"
LOCK_FILE = "rush.lock"
MASTER_FILE = "master.jsonl"


class FolderInUse(Exception):
    """A folder holds what another run did not write, or is writing; the message is one line."""


class Hold:
    """Keeps other runs out of a folder, which is made if need be, until it is released.

    Raises:
        FolderInUse: it holds a history that is not a run's, or another run is under way in it.
        OSError: it cannot be written to.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        _refuse_other_history(folder)
        self._file = (folder / LOCK_FILE).open("ab")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            self._file.close()
            raise FolderInUse(f"another rush writes to {folder}: choose another folder") from exc
        except OSError:
            self._file.close()
            raise

    def fileno(self) -> int:
        """Return the open file that holds the folder, for processes that are to hold it too."""
        return self._file.fileno()

    def release(self) -> None:
        """Let other runs in, unless another process holds the folder too."""
        self._file.close()


def emptied(folder: Path) -> Path:
    """Return the folder without the history of the run before; make it if need be.

    Raises:
        FolderInUse: it holds a history that is not a run's.
        OSError: it cannot be written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _refuse_other_history(folder)
    old = list(folder.glob("*.jsonl"))
    # First, so that a run that is broken off leaves nothing that looks whole.
    (folder / RUN_FILE).write_text("{}", encoding="utf-8")
    for path in (*old, folder / REPORT_FILE):
        path.unlink(missing_ok=True)
    return folder


def require_all_files(folder: Path) -> Run | None:
    """Return what is known of the run in a folder; None if no run wrote there.

    Raises:
        HistoryError: a part of its history is missing.
    """
    path = folder / RUN_FILE
    if not path.is_file():
        return None
    try:
        run = msgspec.json.decode(path.read_bytes(), type=Run)
    except OSError as exc:
        raise HistoryError(f"{path} cannot be read: {exc.strerror}") from exc
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise HistoryError(
            f"a part of the history is missing: {path} is not that of a finished run"
        ) from exc
    if run.is_whole:
        sizes = {f"{share.process}.jsonl": share.size for share in run.shares}
        for name, size in {MASTER_FILE: 1, **sizes}.items():
            if _size(folder / name) < size:
                raise HistoryError(
                    f"a part of the history is missing: {folder / name} is not there, or is "
                    "shorter than the run left it"
                )
    return run


def require_whole(folder: Path) -> None:
    """Refuse a run's history in which calls are missing, which could prove anything.

    Raises:
        HistoryError: a part of its history is missing.
    """
    run = require_all_files(folder)
    if run is not None and not run.is_whole:
        why = "; ".join(run.problems)
        raise HistoryError(f"a part of the history is missing in {folder}: {why}")


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _refuse_other_history(folder: Path) -> None:
    old = next(folder.glob("*.jsonl"), None)
    if old is not None and not (folder / RUN_FILE).exists():
        raise FolderInUse(f"{folder} holds another history ({old.name}): choose another folder")
