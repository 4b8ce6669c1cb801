"""Brings a database to the newest schema, with Alembic."""

import asyncio

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError

from coupon_service.schema import migrations_dir


class UnfitDatabase(Exception):
    """The database cannot hold the service's data; the message says why."""


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
