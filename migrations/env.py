"""Alembic's entry: connects as the service does and runs the migrations."""

import asyncio
import os

import asyncpg
from alembic import context
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from coupon_service.tables import metadata

# Any fixed number that nothing else in the database uses for an advisory lock.
MIGRATION_LOCK = 7_265_011_940_212


def run(connection: Connection) -> None:
    """Run the migrations in one transaction, one process at a time."""
    context.configure(connection=connection, target_metadata=metadata, compare_server_default=True)
    with context.begin_transaction():
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
        context.run_migrations()


async def connect_and_run() -> None:
    """Connect through asyncpg itself, so that it alone reads the database's URL."""
    url = context.config.attributes.get("database_url") or os.environ["COUPON_DATABASE_URL"]
    engine = create_async_engine(
        "postgresql+asyncpg://", async_creator=lambda: asyncpg.connect(url), poolclass=NullPool
    )
    async with engine.connect() as connection:
        await connection.run_sync(run)
    await engine.dispose()


asyncio.run(connect_and_run())
