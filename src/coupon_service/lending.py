"""A pool's connections, lent one after the other at little cost.

The pool gives each connection back and out again with a ceremony that costs as
much as a claim. So one that is returned stays at hand for the next who asks.
"""

import contextlib
import time
from collections.abc import Callable

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from coupon_service.session import DRIVER_ERRORS

# How long a connection stays at hand unused. Networks may forget idle connections,
# and a claim over a forgotten one would have to wait for an answer that cannot come.
AT_HAND_SECONDS_MAX = 60


class Lending:
    """Lends the connections of a pool, and keeps the one that was returned last at hand."""

    def __init__(
        self, pool: asyncpg.Pool, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._pool = pool
        self._monotonic = monotonic
        self._lent_count = 0
        self._at_hand: PoolConnectionProxy | None = None
        self._returned_at = 0.0
        # Those that were made, or checked by the pool, since connections expired last.
        self._current: set[PoolConnectionProxy] = set()

    @property
    def size(self) -> int:
        """Return how many connections there can be."""
        return self._pool.get_max_size()

    @property
    def lent_count(self) -> int:
        """Return how many connections are lent."""
        return self._lent_count

    @property
    def is_short(self) -> bool:
        """Tell whether all connections are lent, so that others may be waiting for one."""
        return self._lent_count >= self.size

    async def acquire(self, seconds_max: float) -> PoolConnectionProxy:
        """Lend a connection.

        Raises:
            TimeoutError: none was returned within `seconds_max`.
            OSError, asyncpg.PostgresError, asyncpg.InterfaceError: connecting failed.
        """
        # Waiting with a time limit takes a task. Where a connection is free there is only
        # the connecting to wait for, which has a limit of its own.
        timeout = seconds_max if self.is_short else None
        self._lent_count += 1  # before it is, so that nobody else counts on it
        try:
            return await self._take_from_hand() or await self._take_from_pool(timeout)
        except BaseException:
            self._lent_count -= 1
            raise

    async def release(self, connection: PoolConnectionProxy) -> None:
        """Take a connection back. Never raises: one that broke is discarded."""
        self._lent_count -= 1
        # The pool knows who waits, and is to serve them first.
        is_wanted = self._at_hand is None and not self.is_short
        if is_wanted and connection in self._current and _is_fit(connection):
            self._at_hand = connection
            self._returned_at = self._monotonic()
        else:
            await self._give_back(connection)

    async def expire(self) -> None:
        """Let none of the connections made so far be lent again."""
        await self._pool.expire_connections()
        self._current.clear()
        await self.close()

    async def close(self) -> None:
        """Give the pool everything back that is not lent."""
        connection, self._at_hand = self._at_hand, None
        if connection is not None:
            await self._give_back(connection)

    async def _take_from_hand(self) -> PoolConnectionProxy | None:
        connection, self._at_hand = self._at_hand, None
        if connection is None:
            return None
        if self._monotonic() - self._returned_at > AT_HAND_SECONDS_MAX:
            connection.terminate()
        if _is_fit(connection):
            return connection
        await self._give_back(connection)
        return None

    async def _take_from_pool(self, timeout: float | None) -> PoolConnectionProxy:  # noqa: ASYNC109 # the pool's
        connection = await self._pool.acquire(timeout=timeout)
        self._current.add(connection)
        return connection

    async def _give_back(self, connection: PoolConnectionProxy) -> None:
        self._current.discard(connection)
        with contextlib.suppress(*DRIVER_ERRORS):
            await self._pool.release(connection)


def _is_fit(connection: PoolConnectionProxy) -> bool:
    """Tell whether a connection is open, and no cancelled call has left a transaction on it."""
    try:
        return not connection.is_closed() and not connection.is_in_transaction()
    except asyncpg.InterfaceError:  # the pool has taken it back: it was closed
        return False
