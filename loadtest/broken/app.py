"""The application in which all these issuers run, beside one another."""

import inspect
from uuid import UUID

from connectrpc.request import RequestContext

from coupon_service.app import App, create_app
from coupon_service.gen.coupon.v1.coupon_connect import CouponService
from coupon_service.gen.coupon.v1.coupon_pb import (
    CreateCampaignRequest,
    CreateCampaignResponse,
    GetCampaignRequest,
    GetCampaignResponse,
    IssueCouponRequest,
    IssueCouponResponse,
)
from coupon_service.issuing import Issuer
from coupon_service.store import Store
from loadtest.broken import answering, counting, timing
from loadtest.broken.plain import Plain

APPLICATION = "loadtest.broken.app:create_broken_app"


def issuers() -> dict[str, type[Plain]]:
    """Return all issuers by name: the broken ones, and the plain one that is not."""
    return {
        name: kind
        for module in (counting, timing, answering)
        for name, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, Plain)
    }


class BrokenRpcs(CouponService):
    """Leaves each campaign to the issuer that it is named after."""

    def __init__(self, store: Store, issuer: Issuer) -> None:
        self._store = store
        self._issuers = {name: kind(store, issuer) for name, kind in issuers().items()}
        self._known: dict[str, Plain] = {}

    async def create_campaign(
        self,
        request: CreateCampaignRequest,
        ctx: RequestContext[CreateCampaignRequest, CreateCampaignResponse],
        /,
    ) -> CreateCampaignResponse:
        """Store a new campaign."""
        return await self._issuers[request.name].create_campaign(request, ctx)

    async def get_campaign(
        self,
        request: GetCampaignRequest,
        ctx: RequestContext[GetCampaignRequest, GetCampaignResponse],
        /,
    ) -> GetCampaignResponse:
        """Return a campaign as its issuer does."""
        issuer = await self._issuer_of(request.campaign_id)
        return await issuer.get_campaign(request, ctx)

    async def issue_coupon(
        self,
        request: IssueCouponRequest,
        ctx: RequestContext[IssueCouponRequest, IssueCouponResponse],
        /,
    ) -> IssueCouponResponse:
        """Issue a coupon as the campaign's issuer does."""
        issuer = await self._issuer_of(request.campaign_id)
        return await issuer.issue_coupon(request, ctx)

    async def _issuer_of(self, campaign_id: str) -> Plain:
        if campaign_id not in self._known:
            sighting = await self._store.campaign(UUID(campaign_id))
            name = Plain.__name__ if sighting is None else sighting.campaign.name
            self._known[campaign_id] = self._issuers[name]
        return self._known[campaign_id]


def create_broken_app() -> App:
    """Build the application."""
    return create_app(BrokenRpcs)
