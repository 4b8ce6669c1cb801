"""Mistakes about time: whose clock it is, and how often it is looked at."""

import dataclasses
import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

from coupon_service.domain import Claim, Issued, Sighting
from coupon_service.issuing import Issuer
from coupon_service.store import Store
from loadtest.broken.plain import Plain
from loadtest.broken.statements import (
    coupon_of,
    insert,
    look,
    raise_count,
    refuse_unless_open,
)


def _host_clock() -> datetime:
    """Return the time on a host whose clock is an hour fast."""
    return datetime.now(UTC) + timedelta(hours=1)


class OpensByItsOwnClock(Plain):
    """Lets the application's clock decide whether the campaign is open.

    With a clock that is an hour fast it opens an hour early and ends an hour early:
    `start` must be named, or `ended`.
    """

    async def issue(self, claim: Claim) -> Issued:
        """Issue a coupon if the campaign is open by this host's clock."""
        async with self.transaction() as connection:
            seen = await look(connection, claim.campaign_id, lock=True)
            if had := await coupon_of(connection, claim):
                return had
            refuse_unless_open(dataclasses.replace(seen, read_time=_host_clock()))
            sequence = await raise_count(connection, claim.campaign_id)
            return await insert(connection, claim, sequence=sequence)


class StampsByItsOwnClock(Plain):
    """Takes the time of issue from the application's clock.

    The start and the end are the database's, so nothing else is wrong: `clock` must be named.
    """

    async def issue(self, claim: Claim) -> Issued:
        """Issue a coupon with this host's time."""
        async with self.transaction() as connection:
            seen = await look(connection, claim.campaign_id, lock=True)
            if had := await coupon_of(connection, claim):
                return had
            refuse_unless_open(seen)
            sequence = await raise_count(connection, claim.campaign_id)
            return await insert(connection, claim, sequence=sequence, issue_time=_host_clock())


class LooksOnceASecond(Plain):
    """Looks once a second whether the campaign is open.

    It opens late and ends late: `not_started` must be named, or `end`.
    """

    SECONDS = 1

    def __init__(self, store: Store, issuer: Issuer) -> None:
        super().__init__(store, issuer)
        self._looks: dict[UUID, tuple[float, Sighting]] = {}

    async def issue(self, claim: Claim) -> Issued:
        """Issue a coupon if the campaign was open at the last look."""
        last_look = await self._last_look(claim.campaign_id)
        async with self.transaction() as connection:
            seen = await look(connection, claim.campaign_id, lock=True)
            if had := await coupon_of(connection, claim):
                return had
            refuse_unless_open(dataclasses.replace(seen, read_time=last_look.read_time))
            sequence = await raise_count(connection, claim.campaign_id)
            return await insert(connection, claim, sequence=sequence)

    async def _last_look(self, campaign_id: UUID) -> Sighting:
        known = self._looks.get(campaign_id)
        if known is not None and time.monotonic() < known[0] + self.SECONDS:
            return known[1]
        async with self.connection() as connection:
            seen = await look(connection, campaign_id)
        self._looks[campaign_id] = time.monotonic(), seen
        return seen
