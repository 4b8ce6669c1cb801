"""The store: a pool of connections, lent for a session or for one operation.

What may be repeated is tried again when a connection turns out to be dead.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from typing import Self, TypeVar
from uuid import UUID, uuid4

import asyncpg
import structlog
from asyncpg.pool import PoolConnectionProxy

from coupon_service.domain import Coupon, NewCampaign, Sighting
from coupon_service.errors import StorageUnavailable
from coupon_service.lending import Lending
from coupon_service.schema import SchemaState, schema_state
from coupon_service.session import DRIVER_ERRORS, ConnectionLost, Session

T = TypeVar("T")
Connection = asyncpg.Connection | PoolConnectionProxy

log = structlog.get_logger(__name__)

# How long the client waits beyond the server's own statement timeout before it
# takes the connection for dead.
NETWORK_SECONDS_MAX = 5
READY_SECONDS_MAX = 2
# So few that decoding a page holds up the others in the process for a millisecond or two.
CODES_OF_A_PAGE = 500
CLOSE_SECONDS_MAX = 2


class Store:
    """The campaigns and coupons in a PostgreSQL database, over a pool of connections.

    Every method raises StorageUnavailable when the database cannot be reached or
    refuses for a passing reason; it has then stored nothing, unless said otherwise.
    """

    def __init__(
        self,
        lending: Lending,
        *,
        acquire_seconds_max: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lending = lending
        self._acquire_seconds_max = acquire_seconds_max
        self._monotonic = monotonic
        self._complain_at = 0.0
        # Long reads may use half of the connections, so that claims always find one.
        self._reads = asyncio.Semaphore(max(1, lending.size // 2))

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls,
        database_url: str,
        *,
        pool_size: int,
        connect_seconds_max: float,
        statement_seconds_max: float,
    ) -> AsyncIterator[Self]:
        """Open a pool that connects when it is first needed, so a database may come later."""
        pool = asyncpg.create_pool(
            database_url,
            min_size=0,
            max_size=pool_size,
            timeout=connect_seconds_max,
            command_timeout=statement_seconds_max + NETWORK_SECONDS_MAX,
            init=_insist_on_durability,
            reset=_keep_session,
            server_settings=_session_settings(statement_seconds_max),
        )
        lending = Lending(pool)
        async with pool_closed_in_time(pool):
            try:
                yield cls(lending, acquire_seconds_max=connect_seconds_max)
            finally:
                await lending.close()

    @contextlib.asynccontextmanager
    async def session(self) -> AsyncIterator[Session]:
        """Lend a connection of the pool."""
        connection = await self._acquire(self._acquire_seconds_max)
        session = Session(connection, self._monotonic)
        try:
            yield session
        finally:
            if session.is_lost:  # what cut this one has probably cut the idle ones too
                await self._lending.expire()
            await self._lending.release(connection)

    @property
    def is_short(self) -> bool:
        """Tell whether all connections are lent, so that others may be waiting for one."""
        return self._lending.is_short

    @property
    def connections_in_use(self) -> int:
        """Return how many connections are lent."""
        return self._lending.lent_count

    async def campaign(self, campaign_id: UUID) -> Sighting | None:
        """Return a campaign, or None if there is none with this id."""
        async with self._reading():
            return await self._try_twice(lambda session: session.campaign(campaign_id))

    async def pages_of_codes(self, campaign_id: UUID, count: int) -> AsyncIterator[list[str]]:
        """Yield the codes of a campaign's first `count` coupons, CODES_OF_A_PAGE at a time.

        Once a campaign was seen with so many coupons, those never change, so the pages
        are what one snapshot of that moment would show. A turn for reading lasts a page.

        Raises:
            StorageUnavailable: as all methods.
            RuntimeError: coupons are missing; somebody has deleted them.
        """
        for first in range(1, count + 1, CODES_OF_A_PAGE):
            last = min(count, first + CODES_OF_A_PAGE - 1)
            async with self._reading():
                codes = await self._try_twice(partial(_codes, campaign_id, first, last))
            if len(codes) != last - first + 1:
                raise RuntimeError(f"coupons of campaign {campaign_id} are missing")
            yield codes

    async def create_campaign(self, new: NewCampaign) -> Sighting:
        """Store a campaign, or return the one that this request_id created before.

        The id is chosen before the first try, so that a second one cannot store the
        campaign twice.
        """
        campaign_id = uuid4()
        return await self._try_twice(lambda session: session.create_campaign(campaign_id, new))

    async def settle(self, campaign_id: UUID, codes: Sequence[str]) -> list[Coupon]:
        """Find out which codes of an uncertain claim are stored; the others never will be."""
        return await self._try_twice(lambda session: session.settle(campaign_id, codes))

    async def schema_state(self) -> SchemaState:
        """Tell how the database's schema stands to this program's, within seconds."""
        connection = await self._acquire(READY_SECONDS_MAX)
        try:
            async with asyncio.timeout(READY_SECONDS_MAX):
                return await schema_state(connection)
        except DRIVER_ERRORS as exc:
            raise StorageUnavailable from exc
        finally:
            await self._lending.release(connection)

    @contextlib.asynccontextmanager
    async def _reading(self) -> AsyncIterator[None]:
        """Wait for one of the turns that reads may have, but not for ever."""
        try:
            async with asyncio.timeout(self._acquire_seconds_max):
                await self._reads.acquire()
        except TimeoutError as exc:
            raise StorageUnavailable from exc
        try:
            yield
        finally:
            self._reads.release()

    async def _acquire(self, seconds_max: float) -> PoolConnectionProxy:
        try:
            return await self._lending.acquire(seconds_max)
        except DRIVER_ERRORS as exc:
            self._complain(exc)
            raise StorageUnavailable from exc

    async def _try_twice(self, operation: Callable[[Session], Awaitable[T]]) -> T:
        """Run what may be repeated; a pooled connection may have died while it was idle."""
        with contextlib.suppress(ConnectionLost):
            async with self.session() as session:
                return await operation(session)
        async with self.session() as session:
            return await operation(session)

    def _complain(self, exc: Exception) -> None:
        """Log that the database cannot be reached, once a second and not for each call."""
        now = self._monotonic()
        if now >= self._complain_at:
            self._complain_at = now + 1
            log.warning("the database cannot be reached", error=type(exc).__name__, detail=str(exc))


def _codes(campaign_id: UUID, first: int, last: int, session: Session) -> Awaitable[list[str]]:
    return session.codes(campaign_id, first, last)


def _session_settings(statement_seconds_max: float) -> dict[str, str]:
    milliseconds = str(round(statement_seconds_max * 1000))
    return {
        "application_name": "coupon-service",
        "default_transaction_isolation": "read committed",
        "idle_in_transaction_session_timeout": milliseconds,
        # One plan for ever, which spares planning each statement anew. A plan made while
        # a table is empty is kept while it grows, so none may read whole tables; which
        # index each statement takes is held by a test, on empty and on full tables.
        "plan_cache_mode": "force_generic_plan",
        "enable_seqscan": "off",
        "jit": "off",
        "statement_timeout": milliseconds,
    }


@contextlib.asynccontextmanager
async def pool_closed_in_time(pool: asyncpg.Pool) -> AsyncIterator[None]:
    """Open a pool, and close it in the end without waiting long for statements that hang."""
    await pool
    try:
        yield
    finally:
        try:
            async with asyncio.timeout(CLOSE_SECONDS_MAX):
                await pool.close()
        except TimeoutError:
            pool.terminate()


async def _insist_on_durability(connection: Connection) -> None:
    """Make this session's commits wait for the disk, whatever the server's default."""
    await connection.execute(
        "SELECT set_config('synchronous_commit', 'on', false)"
        " WHERE current_setting('synchronous_commit') = 'off'"
    )


async def _keep_session(_connection: Connection) -> None:
    """Spare the round trip that resets a session: no statement here changes it."""
