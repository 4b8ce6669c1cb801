"""Failures that are known: which cases, whose doing they are, and why.

A file of them is the runner's own format, patterns of cases and comments. A comment
that begins with a cause and a colon holds for the patterns that follow it.
"""

import re
from dataclasses import dataclass
from pathlib import Path

CAUSES = {
    "library": "connectrpc does it wrong",
    "uvicorn": "uvicorn does it wrong",
    "pyvoy": "pyvoy or Envoy does it wrong",
    "runner": "the runner asks for more than the protocols do",
    "service": "the coupon service does it wrong",
    "choice": "the coupon service does it otherwise on purpose",
}
_CAUSE = re.compile(r"# (\w+): (.+)")


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownFailure:
    """Cases that fail, by a pattern of their names."""

    pattern: str
    cause: str
    why: str

    def matches(self, case: str) -> bool:
        """Tell whether a case is meant: * stands for one part of its name, ** for any number."""
        return re.fullmatch(_expression(self.pattern.split("/")), f"{case}/") is not None


def _expression(parts: list[str]) -> str:
    wild = {"*": r"[^/]+/", "**": r"(?:[^/]+/)*"}
    return "".join(wild.get(part, re.escape(f"{part}/")) for part in parts)


def read(path: Path) -> list[KnownFailure]:
    """Return the failures of a file.

    Raises:
        ValueError: a pattern has no cause, or a comment begins with one that is none.
    """
    found = []
    reason: re.Match[str] | None = None
    for number, line in enumerate(map(str.strip, path.read_text().splitlines()), start=1):
        if line.startswith("#"):
            reason = _CAUSE.fullmatch(line) or reason
            if reason and reason[1] not in CAUSES:
                raise ValueError(f"{path}:{number}: there is no cause of this name: {reason[1]}")
        elif line:
            if reason is None:
                raise ValueError(f"{path}:{number}: no comment says whose doing this is")
            found.append(KnownFailure(pattern=line, cause=reason[1], why=reason[2]))
    return found
