"""Standard output that outlives its reader: `make rush | head -3` goes on quietly."""

import io
import sys
from typing import Any


class _Lasting(io.FileIO):
    """Drops what nobody reads any more."""

    def write(self, data: Any) -> int:  # noqa: ANN401 # Python 3.11 has no type for a buffer
        try:
            return super().write(data)
        except BrokenPipeError:
            return len(memoryview(data).cast("B"))


def outlive_reader() -> None:
    """Let this process go on when whoever reads its standard output does not."""
    before = sys.stdout
    raw = _Lasting(before.fileno(), "w", closefd=False)
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=before.encoding,
        errors=before.errors,
        line_buffering=before.isatty(),
    )
