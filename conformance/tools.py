"""The official runner, built with Go, and the code of its contract."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
BUILD = ROOT / "build" / "conformance"
GENERATED = BUILD / "conformance_gen"
MODULE = "connectrpc.com/conformance"
VERSION = "v1.0.7"
RUNNER = BUILD / "bin" / VERSION / "connectconformance"
BUILD_SECONDS_MAX = 900
GENERATE_SECONDS_MAX = 60


class ToolMissing(Exception):
    """Something is not there that has to be installed; the message says what."""


class ToolFailed(Exception):
    """A tool did not do its work; the message is what it said."""


def require_go() -> str:
    """Return where Go is.

    Raises:
        ToolMissing: there is none.
    """
    go = shutil.which("go")
    if go is None:
        raise ToolMissing(
            "The conformance runner is a Go program: install Go 1.26 or newer (https://go.dev/dl)."
        )
    return go


def prepare() -> None:
    """Build the runner, unless that was done before, and generate the code of its contract.

    Raises:
        ToolMissing: there is no Go.
        ToolFailed: a tool failed.
    """
    go = require_go()
    BUILD.mkdir(parents=True, exist_ok=True)
    if not RUNNER.exists():
        _run(go, "install", f"{MODULE}/cmd/connectconformance@{VERSION}", seconds=BUILD_SECONDS_MAX)
    said = _run(go, "mod", "download", "-json", f"{MODULE}@{VERSION}", seconds=BUILD_SECONDS_MAX)
    _generate(Path(json.loads(said)["Dir"]) / "proto")


def _generate(protos: Path) -> None:
    """Generate the messages and the service as the coupon service's own are generated."""
    shutil.rmtree(GENERATED, ignore_errors=True)
    template = ROOT / "buf.gen.yaml"
    _run(
        *("buf", "generate", str(protos), "--template", str(template)),
        *("--output", str(GENERATED)),
        seconds=GENERATE_SECONDS_MAX,
    )


def _run(*command: str, seconds: float) -> str:
    """Run a tool and return what it printed."""
    try:
        done = subprocess.run(  # noqa: S603 # the commands are this file's own
            command,
            capture_output=True,
            check=False,
            cwd=BUILD,
            env=_environment(),
            text=True,
            timeout=seconds,
        )
    except subprocess.TimeoutExpired as exc:
        raise ToolFailed(f"{' '.join(command)} took more than {seconds} seconds") from exc
    if done.returncode:
        raise ToolFailed(f"{' '.join(command)} failed:\n{done.stderr or done.stdout}")
    return done.stdout


def _environment() -> dict[str, str]:
    """Return what the tools need: our generators, and a place of their own for Go's files."""
    return {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "GOBIN": str(RUNNER.parent),
        "GOPATH": str(BUILD / "go"),
        # So that "make clean" can remove them.
        "GOFLAGS": "-modcacherw",
    }
