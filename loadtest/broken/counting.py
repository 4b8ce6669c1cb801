"""Mistakes in counting: too many coupons, too few, or with the wrong numbers."""

from collections import Counter, deque
from uuid import UUID

import asyncpg

from coupon_service.domain import Claim, Issued
from coupon_service.errors import CampaignSoldOut, StorageUnavailable
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


class ReadsThenWrites(Plain):
    """Reads the count without a lock, and then raises it.

    All who read before the first of them has written find the last coupon still there:
    `limit` must be named.
    """

    async def issue(self, claim: Claim) -> Issued:
        """Issue what a look a moment ago left to issue."""
        async with self.transaction() as connection:
            seen = await look(connection, claim.campaign_id)
            refuse_unless_open(seen)
            sequence = await raise_count(connection, claim.campaign_id)
            return await insert(connection, claim, sequence=sequence)


class CountsInMemory(Plain):
    """Counts in each process's memory, beside the rows in the database.

    Each process issues all the coupons, under the same numbers: `limit` and `sequences`
    must be named.
    """

    def __init__(self, store: Store, issuer: Issuer) -> None:
        super().__init__(store, issuer)
        self._counts: dict[UUID, int] = {}

    async def issue(self, claim: Claim) -> Issued:
        """Issue the next coupon that this process knows of."""
        async with self.transaction() as connection:
            seen = await look(connection, claim.campaign_id)
            sequence = self._counts.get(claim.campaign_id, seen.campaign.issued_count) + 1
            if sequence > seen.campaign.coupon_limit:
                raise CampaignSoldOut
            self._counts[claim.campaign_id] = sequence
            await raise_count(connection, claim.campaign_id)
            return await insert(connection, claim, sequence=sequence)


class SnapshotBeforeLock(Plain):
    """Trusts REPEATABLE READ, whose snapshot is older than the lock it waits for.

    PostgreSQL refuses all who waited, and they are told of an internal error: `answers`
    must be named.
    """

    async def issue(self, claim: Claim) -> Issued:
        """Issue as if nobody else did."""
        async with self.transaction(isolation="repeatable_read") as connection:
            seen = await look(connection, claim.campaign_id, lock=True)
            if had := await coupon_of(connection, claim):
                return had
            refuse_unless_open(seen)
            sequence = await raise_count(connection, claim.campaign_id)
            return await insert(connection, claim, sequence=sequence)


class CountsBeforeStoring(Plain):
    """Moves the counter in a transaction of its own, and then finds that it was a repeat.

    The number is lost, and with it a coupon: `sequences` and `exact` must be named.
    """

    async def issue(self, claim: Claim) -> Issued:
        """Take a number first, and then see who asks."""
        async with self.transaction() as connection:
            seen = await look(connection, claim.campaign_id, lock=True)
            refuse_unless_open(seen)
            sequence = await raise_count(connection, claim.campaign_id)
        async with self.transaction() as connection:
            await look(connection, claim.campaign_id, lock=True)
            if had := await coupon_of(connection, claim):
                return had
            return await insert(connection, claim, sequence=sequence)


class NumbersInBlocks(Plain):
    """Lets each process take numbers by the block.

    Who comes to a process with a new block overtakes those who were served before at
    another with an older one: `order` must be named.
    """

    # Large beside the number of callers, so that few of those who are overtaken called at once.
    BLOCK = 60

    def __init__(self, store: Store, issuer: Issuer) -> None:
        super().__init__(store, issuer)
        self._blocks: dict[UUID, deque[int]] = {}

    async def issue(self, claim: Claim) -> Issued:
        """Issue the next number of this process's block."""
        async with self.transaction() as connection:
            seen = await look(connection, claim.campaign_id, lock=True)
            if had := await coupon_of(connection, claim):
                return had
            block = self._blocks.setdefault(claim.campaign_id, deque())
            if not block:
                refuse_unless_open(seen)
                last = await raise_count(connection, claim.campaign_id, by=self.BLOCK)
                block.extend(range(last - self.BLOCK + 1, last + 1))
            return await insert(connection, claim, sequence=block.popleft())


class CountsClaimsUnderWay(Plain):
    """Counts claims under way as issued, although some of them fail.

    Callers are told that all is gone, and others who come later are given what the failed
    ones left: `sold_out` must be named.
    """

    LOCK = "SELECT FROM campaign WHERE campaign_id = $1 FOR UPDATE NOWAIT"

    def __init__(self, store: Store, issuer: Issuer) -> None:
        super().__init__(store, issuer)
        self._taken: Counter[UUID] = Counter()

    async def issue(self, claim: Claim) -> Issued:
        """Issue a coupon, unless the claims so far take all."""
        async with self.connection() as connection:
            limit = (await look(connection, claim.campaign_id)).campaign.coupon_limit
        if self._taken[claim.campaign_id] >= limit:
            raise CampaignSoldOut
        self._taken[claim.campaign_id] += 1
        try:
            return await self._issue_impatiently(claim)
        except StorageUnavailable:
            self._taken[claim.campaign_id] -= 1
            raise

    async def _issue_impatiently(self, claim: Claim) -> Issued:
        """Issue a coupon, but rather fail than wait for the lock."""
        async with self.transaction() as connection:
            try:
                await connection.execute(self.LOCK, claim.campaign_id)
            except asyncpg.LockNotAvailableError as exc:
                raise StorageUnavailable from exc
            seen = await look(connection, claim.campaign_id)
            refuse_unless_open(seen)
            sequence = await raise_count(connection, claim.campaign_id)
            return await insert(connection, claim, sequence=sequence)


class RemembersSoldOutTooEarly(CountsClaimsUnderWay):
    """Remembers for ever that all is gone, when it was only claimed.

    What the failed claims leave is never issued: `exact` must be named.
    """

    def __init__(self, store: Store, issuer: Issuer) -> None:
        super().__init__(store, issuer)
        self._sold_out: set[UUID] = set()

    async def issue(self, claim: Claim) -> Issued:
        """Issue a coupon, unless somebody was told before that all is gone."""
        if claim.campaign_id in self._sold_out:
            raise CampaignSoldOut
        try:
            return await super().issue(claim)
        except CampaignSoldOut:
            self._sold_out.add(claim.campaign_id)
            raise
