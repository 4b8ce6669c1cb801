"""The RPCs: parse, call, reply."""

import asyncio

from connectrpc.request import RequestContext

from coupon_service import callers, codecs, parsing, replies
from coupon_service.errors import CampaignNotFound
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
from coupon_service.pacing import giving_way
from coupon_service.store import Store


class CouponRpcs(CouponService):
    """The implementation of coupon.v1.CouponService."""

    def __init__(self, store: Store, issuer: Issuer) -> None:
        self._store = store
        self._issuer = issuer

    async def create_campaign(
        self,
        request: CreateCampaignRequest,
        _ctx: RequestContext[CreateCampaignRequest, CreateCampaignResponse],
        /,
    ) -> CreateCampaignResponse:
        """Store a new campaign."""
        new = parsing.new_campaign(request)
        # A caller that hangs up must not break off a statement half-way.
        sighting = await asyncio.shield(self._store.create_campaign(new))
        return CreateCampaignResponse(campaign=replies.campaign(sighting))

    async def get_campaign(
        self,
        request: GetCampaignRequest,
        _ctx: RequestContext[GetCampaignRequest, GetCampaignResponse],
        /,
    ) -> GetCampaignResponse:
        """Return a campaign, with its codes unless the BASIC view is asked for."""
        campaign_id, view = parsing.campaign_and_view(request)
        sighting = await self._store.campaign(campaign_id)
        if sighting is None:
            raise CampaignNotFound
        answer = GetCampaignResponse(campaign=replies.campaign(sighting))
        issued_count = sighting.campaign.issued_count
        if view == CampaignView.BASIC or not issued_count:
            return answer
        pages = self._store.pages_of_codes(campaign_id, issued_count)
        paced = giving_way(pages, is_issuing=lambda: self._issuer.is_issuing)
        return await codecs.with_codes(answer, paced)

    async def issue_coupon(
        self,
        request: IssueCouponRequest,
        ctx: RequestContext[IssueCouponRequest, IssueCouponResponse],
        /,
    ) -> IssueCouponResponse:
        """Issue a coupon, or show the one that the user has."""
        claim = parsing.claim(request, ctx.timeout_ms)
        issued = await self._issuer.issue(claim, callers.is_gone.get())
        return replies.issued(issued)
