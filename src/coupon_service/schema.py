"""Brings a database to the newest schema with Alembic, and tells which one it has."""

import asyncio
from enum import Enum, auto
from functools import cache
from pathlib import Path

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from asyncpg.pool import PoolConnectionProxy
from sqlalchemy.exc import DBAPIError

from coupon_service.queries import SCHEMA_REVISION


class SchemaState(Enum):
    """How a database's schema stands to the one this program was made for."""

    CURRENT = auto()
    OLD = auto()
    NEWER = auto()


class UnfitDatabase(Exception):
    """The database cannot hold the service's data; the message says why."""


def migrations_dir() -> Path:
    """Return the folder of the migrations: in the wheel beside this module, else the checkout's."""
    packaged = Path(__file__).with_name("migrations")
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "migrations"


def alembic_config(database_url: str) -> Config:
    """Return Alembic's configuration for a database named by its URL."""
    config = Config()
    config.set_main_option("script_location", str(migrations_dir()).replace("%", "%%"))
    config.attributes["database_url"] = database_url
    return config


async def migrate(database_url: str) -> None:
    """Bring a database to the newest schema; two at once wait for each other.

    Raises:
        UnfitDatabase: its encoding is not UTF-8, it has a later release's schema, or
            it refuses a statement.
        OSError, asyncpg.PostgresError: it cannot be reached or refuses.
    """
    connection = await asyncpg.connect(database_url)
    try:
        encoding = await connection.fetchval("SHOW server_encoding")
    finally:
        await connection.close()
    if encoding != "UTF8":
        message = f"its encoding is {encoding}; create one with ENCODING 'UTF8'"
        raise UnfitDatabase(message)
    try:
        # Alembic runs an event loop of its own, so it needs a thread of its own.
        await asyncio.to_thread(command.upgrade, alembic_config(database_url), "head")
    except CommandError as exc:
        message = "its schema is not one that this program knows; a later release made it"
        raise UnfitDatabase(message) from exc
    except DBAPIError as exc:
        reason = str(exc.orig).partition(": ")[2] or str(exc.orig)
        message = f"it refuses the migration: {reason.splitlines()[0]}"
        raise UnfitDatabase(message) from exc


async def schema_state(connection: asyncpg.Connection | PoolConnectionProxy) -> SchemaState:
    """Tell how the schema that a connection sees stands to this program's."""
    try:
        revision = await connection.fetchval(SCHEMA_REVISION)
    except asyncpg.UndefinedTableError:
        return SchemaState.OLD
    if revision == _known_revisions()[0]:
        return SchemaState.CURRENT
    # A revision this program does not know was made by a later one. Releases are
    # rolled out behind their migrations, so it must go on working.
    return SchemaState.OLD if revision in (None, *_known_revisions()) else SchemaState.NEWER


@cache
def _known_revisions() -> list[str]:
    """Return this program's revisions, the newest first."""
    scripts = ScriptDirectory(str(migrations_dir()))
    return [script.revision for script in scripts.walk_revisions()]
