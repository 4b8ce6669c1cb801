"""The wheel holds all that the program needs, and the README names every setting."""

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from support.databases import Databases
from support.service import environment

from coupon_service import variables

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel without the network, from a copy: building writes beside the sources."""
    folder = tmp_path_factory.mktemp("tree")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in os.fsdecode(listed.stdout).split("\0"):
        if name and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "wheel", ".", "--no-deps", "--no-build-isolation"),
            *("--no-index", "--quiet", "--disable-pip-version-check", "-w", folder / "wheels"),
        ],
        cwd=folder,
        check=True,
    )
    [built] = (folder / "wheels").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def unzipped(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's files, as an installer lays them out."""
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture
async def empty_url(databases: Databases) -> AsyncIterator[str]:
    url = await databases.make_empty()
    yield url
    await databases.drop(url)


def test_the_wheel_holds_every_module_and_migration(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    modules = {
        str(path.relative_to(ROOT / "src"))
        for path in (ROOT / "src" / "coupon_service").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    migrations = {
        f"coupon_service/{path.relative_to(ROOT)}"
        for path in (ROOT / "migrations").rglob("*")
        if path.suffix in {".py", ".mako"}
    }
    assert "coupon_service/migrations/versions/0001_campaigns_and_coupons.py" in packed
    assert packed == modules | migrations


def test_the_wheel_names_the_command(unzipped: Path) -> None:
    [entry_points] = unzipped.glob("*.dist-info/entry_points.txt")
    lines = entry_points.read_text().split("\n")
    assert [line for line in lines if line] == [
        "[console_scripts]",
        "coupon-service = coupon_service.cli:main",
    ]


async def test_the_wheel_alone_migrates_a_database(
    unzipped: Path, tmp_path: Path, empty_url: str
) -> None:
    def run(*arguments: str) -> str:
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=tmp_path,
            env=environment(database_url=empty_url) | {"PYTHONPATH": str(unzipped)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    where = run("-c", "from coupon_service import schema; print(schema.migrations_dir())")
    assert where.strip() == str(unzipped / "coupon_service" / "migrations")
    assert run("-m", "coupon_service", "migrate") == "The database has the newest schema.\n"
    connection = await asyncpg.connect(empty_url)
    tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    await connection.close()
    assert {row["tablename"] for row in tables} == {"alembic_version", "campaign", "coupon"}


def test_the_version_is_the_projects(unzipped: Path, tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "coupon_service", "--version"],
        cwd=tmp_path,
        env=environment() | {"PYTHONPATH": str(unzipped)},
        capture_output=True,
        text=True,
        check=True,
    )
    [metadata] = unzipped.glob("*.dist-info/METADATA")
    [version] = [
        line.removeprefix("Version: ")
        for line in metadata.read_text().split("\n")
        if line.startswith("Version: ")
    ]
    assert version in ended.stdout


@pytest.mark.parametrize("variable", [variable for variable, _, _ in variables.described()])
def test_the_readme_names_the_setting(variable: str) -> None:
    assert f"`{variable}`" in (ROOT / "README.md").read_text(encoding="utf-8")
