"""Follows the database's notifications of changed campaigns, so that the gate forgets them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import asyncpg
import structlog

from coupon_service.gate import Gate
from coupon_service.queries import CAMPAIGN_CHANGED_CHANNEL

log = structlog.get_logger(__name__)

RECONNECT_SECONDS = 1


@contextlib.asynccontextmanager
async def following_changes(
    database_url: str, gate: Gate, *, connect_seconds_max: float
) -> AsyncIterator[None]:
    """Let a gate follow the changes, in a task of its own."""
    task = asyncio.create_task(
        follow_changes(database_url, gate, connect_seconds_max=connect_seconds_max)
    )
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def follow_changes(database_url: str, gate: Gate, *, connect_seconds_max: float) -> None:
    """Listen for ever, over a connection of its own that is renewed when it breaks.

    While there is none, the gate's short expiry alone bounds how old its facts are.
    """
    while True:
        with contextlib.suppress(
            OSError,
            asyncpg.PostgresError,
            asyncpg.InterfaceError,
            asyncpg.InternalClientError,  # a connection that was closed at the wrong moment
        ):
            await _follow_until_broken(database_url, gate, connect_seconds_max)
        log.debug("not following changes of campaigns; connecting again")
        await asyncio.sleep(RECONNECT_SECONDS)


async def _follow_until_broken(database_url: str, gate: Gate, connect_seconds_max: float) -> None:
    def forget(_connection: Any, _pid: int, _channel: str, payload: object) -> None:  # noqa: ANN401 # as asyncpg calls it
        gate.forget(UUID(str(payload)))

    connection = await asyncpg.connect(
        database_url,
        timeout=connect_seconds_max,
        server_settings={"application_name": "coupon-service changes"},
    )
    try:
        broken = asyncio.Event()
        connection.add_termination_listener(lambda _connection: broken.set())
        await connection.add_listener(CAMPAIGN_CHANGED_CHANNEL, forget)
        # What changed before is not notified again.
        gate.clear()
        await broken.wait()
    finally:
        connection.terminate()
