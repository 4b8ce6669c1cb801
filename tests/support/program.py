"""The program's commands, run as a user runs them."""

import subprocess
import sys
from pathlib import Path

from support.service import environment

PROGRAM = str(Path(sys.executable).with_name("coupon-service"))
ENDS_WITHIN_SECONDS = 60


def run_program(
    *arguments: str | bytes,
    cwd: Path | None = None,
    variables: dict[str, str] | None = None,
    **settings: object,
) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end; settings become COUPON_ variables."""
    return subprocess.run(
        [PROGRAM, *arguments],
        env=environment(**settings) | (variables or {}),
        cwd=cwd,
        capture_output=True,
        encoding="utf-8",
        timeout=ENDS_WITHIN_SECONDS,
        check=False,
    )


def outcome(ended: "subprocess.CompletedProcess[str]") -> tuple[int, str, int]:
    """Return the exit status, what is on stdout, and how many lines are on stderr."""
    return ended.returncode, ended.stdout, len(ended.stderr.splitlines())
