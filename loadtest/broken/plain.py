"""The issuer without a mistake, which the broken ones change in one place each."""

import contextlib
from collections.abc import AsyncIterator
from typing import Literal
from uuid import UUID

from asyncpg.pool import PoolConnectionProxy
from connectrpc.request import RequestContext

from coupon_service import parsing, replies
from coupon_service.domain import Claim, Issued, Sighting
from coupon_service.gen.coupon.v1.coupon_connect import CouponService
from coupon_service.gen.coupon.v1.coupon_pb import (
    CampaignView,
    CreateCampaignRequest,
    CreateCampaignResponse,
    GetCampaignRequest,
    GetCampaignResponse,
    IssueCouponRequest,
    IssueCouponResponse,
)
from coupon_service.issuing import Issuer
from coupon_service.store import Store
from loadtest.broken.statements import (
    codes_of,
    coupon_of,
    insert,
    look,
    raise_count,
    refuse_unless_open,
)


class Plain(CouponService):
    """Issues each coupon in a transaction of its own, under the lock of the campaign's row.

    Slow, and right without any constraint in the schema: no rule may be broken.
    """

    def __init__(self, store: Store, _issuer: Issuer) -> None:
        self._store = store

    async def create_campaign(
        self,
        request: CreateCampaignRequest,
        _ctx: RequestContext[CreateCampaignRequest, CreateCampaignResponse],
        /,
    ) -> CreateCampaignResponse:
        """Store a new campaign."""
        sighting = await self._store.create_campaign(parsing.new_campaign(request))
        return CreateCampaignResponse(campaign=replies.campaign(sighting))

    async def get_campaign(
        self,
        request: GetCampaignRequest,
        _ctx: RequestContext[GetCampaignRequest, GetCampaignResponse],
        /,
    ) -> GetCampaignResponse:
        """Return a campaign, with its codes unless the BASIC view is asked for."""
        campaign_id, view = parsing.campaign_and_view(request)
        seen, codes = await self.read(campaign_id)
        return GetCampaignResponse(
            campaign=replies.campaign(seen),
            coupon_codes=[] if view == CampaignView.BASIC else codes,
        )

    async def issue_coupon(
        self,
        request: IssueCouponRequest,
        ctx: RequestContext[IssueCouponRequest, IssueCouponResponse],
        /,
    ) -> IssueCouponResponse:
        """Issue a coupon, or show the one that the user has."""
        claim = parsing.claim(request, ctx.timeout_ms)
        return replies.issued(await self.issue(claim))

    async def read(self, campaign_id: UUID) -> tuple[Sighting, list[str]]:
        """Return a campaign and its codes, both from one snapshot."""
        async with self.transaction(isolation="repeatable_read") as connection:
            seen = await look(connection, campaign_id)
            return seen, await codes_of(connection, campaign_id)

    async def issue(self, claim: Claim) -> Issued:
        """Issue a coupon, or return the one that the user has.

        Raises:
            CampaignNotFound, IssueRefused: nothing was issued.
        """
        async with self.transaction() as connection:
            seen = await look(connection, claim.campaign_id, lock=True)
            if had := await coupon_of(connection, claim):
                return had
            refuse_unless_open(seen)
            sequence = await raise_count(connection, claim.campaign_id)
            return await insert(connection, claim, sequence=sequence)

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[PoolConnectionProxy]:
        """Lend a connection of the service's own pool."""
        async with self._store.session() as session:
            yield session._connection  # noqa: SLF001 # for statements that the service lacks

    @contextlib.asynccontextmanager
    async def transaction(
        self, isolation: Literal["read_committed", "repeatable_read"] = "read_committed"
    ) -> AsyncIterator[PoolConnectionProxy]:
        """Lend a connection with a transaction, which is committed at the end."""
        async with self.connection() as connection, connection.transaction(isolation=isolation):
            yield connection
