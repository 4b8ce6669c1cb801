"""Whether calls can be served: what /readyz and the health service say."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from enum import Enum

from coupon_service.errors import StorageUnavailable
from coupon_service.schema import SchemaState
from coupon_service.store import Store

# How old an answer to those who ask again and again may be, and how often they ask.
LOOK_SECONDS = 1


class State(Enum):
    """What the service is ready for; the value is what /readyz says."""

    READY = "ready"
    STARTING = "starting"
    STOPPING = "stopping"
    NO_DATABASE = "the database does not answer"
    OLD_SCHEMA = "the database has an old schema"


class Availability:
    """Looks whether calls can be served, for all who want to know."""

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._store: Store | None = None
        self._stopping = asyncio.Event()
        self._looking = asyncio.Lock()
        self._seen = State.STARTING
        self._look_again_at = 0.0

    def start(self, store: Store) -> None:
        """Look at a store from now on."""
        self._store = store

    def stop(self) -> None:
        """Let nobody wait any longer: the service is stopping."""
        self._stopping.set()

    @property
    def is_stopping(self) -> bool:
        """Tell whether the service is stopping."""
        return self._stopping.is_set()

    async def look(self) -> State:
        """Tell whether calls can be served now."""
        if self.is_stopping:
            return State.STOPPING
        if self._store is None:
            return State.STARTING
        try:
            schema = await self._store.schema_state()
        except StorageUnavailable:
            return State.NO_DATABASE
        return State.OLD_SCHEMA if schema is SchemaState.OLD else State.READY

    async def recent(self) -> State:
        """Tell whether calls could be served a moment ago.

        However many ask, the database is looked at once in LOOK_SECONDS, by one of them.
        """
        if self.is_stopping or self._store is None:
            return await self.look()
        async with self._looking:
            if self._monotonic() >= self._look_again_at:
                self._seen = await self.look()
                self._look_again_at = self._monotonic() + LOOK_SECONDS
        return self._seen

    async def pause(self) -> None:
        """Wait until it is time to ask again, or the service is stopping."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS):
                await self._stopping.wait()

    async def stopped(self) -> None:
        """Wait until the service is stopping."""
        await self._stopping.wait()
