"""Mistakes in answering: not the truth, not yet the truth, or the truth for somebody else."""

import asyncio
import dataclasses
import secrets
from uuid import UUID

from coupon_service.codes import random_codes
from coupon_service.domain import Claim, Coupon, Issued, Sighting
from coupon_service.errors import Overloaded
from coupon_service.issuing import Issuer
from coupon_service.store import Store
from loadtest.broken.plain import Plain
from loadtest.broken.statements import (
    codes_of,
    coupon_of,
    insert,
    look,
    raise_count,
    refuse_unless_open,
)


class AnswersBeforeStoring(Plain):
    """Answers first, and stores what it answered later.

    A process that is killed takes with it what it had not stored yet: `stored` must be named.
    """

    def __init__(self, store: Store, issuer: Issuer) -> None:
        super().__init__(store, issuer)
        self._storing: set[asyncio.Task[None]] = set()

    async def issue(self, claim: Claim) -> Issued:
        """Take a number, and promise the rest."""
        async with self.transaction() as connection:
            seen = await look(connection, claim.campaign_id, lock=True)
            refuse_unless_open(seen)
            sequence = await raise_count(connection, claim.campaign_id)
        coupon = Coupon(
            code=random_codes(1)[0],
            campaign_id=claim.campaign_id,
            sequence=sequence,
            user_id=claim.user_id,
            issue_time=seen.read_time,
        )
        task = asyncio.create_task(self._store_later(claim, coupon))
        self._storing.add(task)
        task.add_done_callback(self._storing.discard)
        return Issued(coupon=coupon, already_issued=False)

    async def _store_later(self, claim: Claim, coupon: Coupon) -> None:
        # Stands for the queue that such systems put the coupon into.
        await asyncio.sleep(0.05)
        async with self.transaction() as connection:
            await insert(
                connection,
                claim,
                sequence=coupon.sequence,
                code=coupon.code,
                issue_time=coupon.issue_time,
            )


class GivesUpWaiting(Plain):
    """Refuses what takes too long, and lets it go on.

    The coupon is issued behind the back of a caller who was told that nothing was:
    `accounted` must be named.
    """

    SECONDS = 0.002

    async def issue(self, claim: Claim) -> Issued:
        """Issue a coupon, or say that it takes too long."""
        issuing = asyncio.ensure_future(super().issue(claim))
        try:
            return await asyncio.wait_for(asyncio.shield(issuing), self.SECONDS)
        except TimeoutError:
            raise Overloaded from None


class KeepsTheClaimInAnAttribute(Plain):
    """Keeps the present claim in an attribute, which all calls of a process share.

    While one waits, the next one puts its own there: `own` must be named.
    """

    def __init__(self, store: Store, issuer: Issuer) -> None:
        super().__init__(store, issuer)
        self._claim: Claim | None = None

    async def issue(self, claim: Claim) -> Issued:
        """Issue a coupon to whoever asked last."""
        self._claim = claim
        async with self.transaction() as connection:
            seen = await look(connection, claim.campaign_id, lock=True)
            if had := await coupon_of(connection, self._claim):
                return had
            refuse_unless_open(seen)
            sequence = await raise_count(connection, claim.campaign_id)
            return await insert(connection, self._claim, sequence=sequence)


class LooksUpBeforeLocking(Plain):
    """Looks for the user's coupon before it has the lock.

    Two claims of one user both find none, and then both get one: `user` must be named.
    """

    async def issue(self, claim: Claim) -> Issued:
        """Issue a coupon to a user who had none a moment ago."""
        async with self.transaction() as connection:
            if had := await coupon_of(connection, claim):
                return had
            seen = await look(connection, claim.campaign_id, lock=True)
            refuse_unless_open(seen)
            sequence = await raise_count(connection, claim.campaign_id)
            return await insert(connection, claim, sequence=sequence)


class IssuesAnewOnRetry(Plain):
    """Takes each call for a new claim.

    Who asks again because the answer was lost gets a second coupon: `user` must be named.
    """

    async def issue(self, claim: Claim) -> Issued:
        """Issue a coupon to whoever asks."""
        async with self.transaction() as connection:
            seen = await look(connection, claim.campaign_id, lock=True)
            refuse_unless_open(seen)
            sequence = await raise_count(connection, claim.campaign_id)
            return await insert(connection, claim, sequence=sequence)


class DrawsCodesForOneCampaign(Plain):
    """Draws short codes, and keeps them apart only within their campaign.

    Sooner or later two campaigns have the same one: `codes` must be named.
    """

    async def issue(self, claim: Claim) -> Issued:
        """Issue a coupon whose code the campaign does not have yet."""
        async with self.transaction() as connection:
            seen = await look(connection, claim.campaign_id, lock=True)
            if had := await coupon_of(connection, claim):
                return had
            refuse_unless_open(seen)
            taken = await codes_of(connection, claim.campaign_id)
            while (code := f"가{secrets.randbelow(1000):03}") in taken:
                pass
            sequence = await raise_count(connection, claim.campaign_id)
            return await insert(connection, claim, sequence=sequence, code=code)


class ShowsItsPool(Plain):
    """Draws all codes beforehand, and shows them all as issued.

    Codes are seen before the calls are sent that get them: `snapshot` must be named.
    """

    def __init__(self, store: Store, issuer: Issuer) -> None:
        super().__init__(store, issuer)
        self._pools: dict[UUID, list[str]] = {}

    async def read(self, campaign_id: UUID) -> tuple[Sighting, list[str]]:
        """Return a campaign and all codes that it will ever have."""
        async with self.connection() as connection:
            seen = await look(connection, campaign_id)
        pool = self._pool(seen)
        campaign = dataclasses.replace(seen.campaign, issued_count=len(pool))
        return dataclasses.replace(seen, campaign=campaign), pool

    async def issue(self, claim: Claim) -> Issued:
        """Issue the next code of the pool."""
        async with self.transaction() as connection:
            seen = await look(connection, claim.campaign_id, lock=True)
            if had := await coupon_of(connection, claim):
                return had
            refuse_unless_open(seen)
            sequence = await raise_count(connection, claim.campaign_id)
            code = self._pool(seen)[sequence - 1]
            return await insert(connection, claim, sequence=sequence, code=code)

    def _pool(self, seen: Sighting) -> list[str]:
        campaign = seen.campaign
        if campaign.campaign_id not in self._pools:
            self._pools[campaign.campaign_id] = random_codes(campaign.coupon_limit)
        return self._pools[campaign.campaign_id]


class CountsAndReadsApart(Plain):
    """Reads the count and the codes one after the other, not in one snapshot.

    In between more are issued, and the two do not agree: `snapshot` must be named.
    """

    async def read(self, campaign_id: UUID) -> tuple[Sighting, list[str]]:
        """Return a campaign, and its codes a moment later."""
        async with self.connection() as connection:
            seen = await look(connection, campaign_id)
        async with self.connection() as connection:
            return seen, await codes_of(connection, campaign_id)
