"""Brings the histories of other hosts to the master's, in pieces that fit into a message."""

import zlib
from collections.abc import Iterator
from pathlib import Path

from loadtest.rush.plan import Share

PIECE_BYTES = 4 << 20


class Gathering:
    """The histories that arrive in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._arriving: set[str] = set()

    def has(self, share: Share) -> bool:
        """Tell whether the whole history of a process is in the folder."""
        path = self._folder / f"{share.process}.jsonl"
        return path.exists() and path.stat().st_size == share.size

    def take(self, process: str, data: bytes, *, is_last: bool) -> None:
        """Append a piece; they come in order."""
        path = self._folder / f"{process}.part"
        with path.open("ab" if process in self._arriving else "wb") as file:
            file.write(zlib.decompress(data))
        self._arriving.add(process)
        if is_last:
            path.rename(path.with_suffix(".jsonl"))


def pieces(path: Path) -> Iterator[tuple[bytes, bool]]:
    """Yield the pieces of a file, and whether each is the last."""
    left = path.stat().st_size
    with path.open("rb") as file:
        while True:
            data = file.read(PIECE_BYTES)
            left -= len(data)
            yield zlib.compress(data, 1), left <= 0
            if left <= 0:
                return
