"""Which schema a database has, and which one this program was made for.

Asked whenever the service starts, so it does without Alembic, whose import takes
longer than everything else that a worker needs; `migrating` changes schemas.
"""

from enum import Enum, auto
from functools import cache
from pathlib import Path

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from coupon_service.queries import SCHEMA_REVISION


class SchemaState(Enum):
    """How a database's schema stands to the one this program was made for."""

    CURRENT = auto()
    OLD = auto()
    NEWER = auto()


def migrations_dir() -> Path:
    """Return the folder of the migrations: in the wheel beside this module, else the checkout's."""
    packaged = Path(__file__).with_name("migrations")
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "migrations"


async def schema_state(connection: asyncpg.Connection | PoolConnectionProxy) -> SchemaState:
    """Tell how the schema that a connection sees stands to this program's."""
    try:
        revision = await connection.fetchval(SCHEMA_REVISION)
    except asyncpg.UndefinedTableError:
        return SchemaState.OLD
    if revision == known_revisions()[0]:
        return SchemaState.CURRENT
    # A revision this program does not know was made by a later one. Releases are
    # rolled out behind their migrations, so it must go on working.
    return SchemaState.OLD if revision in (None, *known_revisions()) else SchemaState.NEWER


@cache
def known_revisions() -> list[str]:
    """Return this program's revisions, the newest first; a migration's file begins with its own."""
    files = (migrations_dir() / "versions").glob("[0-9]*_*.py")
    return sorted((file.name.partition("_")[0] for file in files), reverse=True)
