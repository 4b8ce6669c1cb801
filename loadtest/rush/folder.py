"""The folder that a run's history and report are written to."""

from pathlib import Path

RUN_FILE = "rush.json"
REPORT_FILE = "report.html"


class FolderInUse(Exception):
    """A folder holds what another run did not write; the message is one line."""


def emptied(folder: Path) -> Path:
    """Return the folder without the history of the run before; make it if need be.

    Raises:
        FolderInUse: it holds a history that is not a run's.
        OSError: it cannot be written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    old = list(folder.glob("*.jsonl"))
    if old and not (folder / RUN_FILE).exists():
        raise FolderInUse(f"{folder} holds another history ({old[0].name}): choose another folder")
    # First, so that a run that is broken off leaves nothing that looks whole.
    (folder / RUN_FILE).write_text("{}", encoding="utf-8")
    for path in (*old, folder / REPORT_FILE):
        path.unlink(missing_ok=True)
    return folder
