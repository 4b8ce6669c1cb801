"""What the service is measured against: other answers to the same RPC, in the same stack.

Each runs under the service's own server, with its HTTP protocol, codecs, interceptor
and settings, so that a ratio to it shows what the difference in the handler costs.
"""

from datetime import UTC, datetime
from typing import Any

from connectrpc.code import Code
from connectrpc.errors import ConnectError, ErrorDetail
from protobuf.wkt.google.protobuf.duration_pb import Duration
from protobuf.wkt.google.protobuf.timestamp_pb import Timestamp

from coupon_service import parsing, replies
from coupon_service.app import App, create_app
from coupon_service.codes import random_codes
from coupon_service.domain import Claim, Coupon, Issued
from coupon_service.errors import CampaignNotFound, CampaignSoldOut
from coupon_service.gate import refusal_seen
from coupon_service.gen.coupon.v1.coupon_connect import CouponService
from coupon_service.gen.coupon.v1.coupon_pb import (
    Coupon as CouponMessage,
)
from coupon_service.gen.coupon.v1.coupon_pb import (
    IssueCouponRequest,
    IssueCouponResponse,
)
from coupon_service.gen.google.rpc.error_details_pb import ErrorInfo, RetryInfo
from coupon_service.issuing import Issuer
from coupon_service.rpc_errors import DOMAIN
from coupon_service.store import Store

ANSWER = IssueCouponResponse(
    coupon=CouponMessage(
        code="가7나도라마바아자9",
        campaign_id="6f2f0a52-6c1c-4c8c-9d0e-3a9d7c1f4b11",
        sequence=123_456,
        issue_time=Timestamp.from_datetime(datetime(2030, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)),
    )
)


class EmptyRpcs(CouponService):
    """Answers IssueCoupon at once, with a message as large as a real answer."""

    def __init__(self, _store: Store, _issuer: Issuer) -> None:
        pass

    async def issue_coupon(self, _request: IssueCouponRequest, _ctx: Any, /) -> IssueCouponResponse:  # noqa: ANN401 # not looked at
        """Answer."""
        return ANSWER


class SoldOutRpcs(CouponService):
    """Refuses IssueCoupon at once, with an error like that of a sold-out campaign."""

    code = Code.RESOURCE_EXHAUSTED
    message = CampaignSoldOut().message
    details: tuple[ErrorDetail, ...] = (ErrorDetail(ErrorInfo(reason="SOLD_OUT", domain=DOMAIN)),)

    def __init__(self, _store: Store, _issuer: Issuer) -> None:
        pass

    async def issue_coupon(self, _request: IssueCouponRequest, _ctx: Any, /) -> IssueCouponResponse:  # noqa: ANN401 # not looked at
        """Refuse."""
        raise ConnectError(self.code, self.message, self.details)


class NotStartedRpcs(SoldOutRpcs):
    """Refuses IssueCoupon at once, with an error like that of a campaign not started yet."""

    code = Code.FAILED_PRECONDITION
    message = "The campaign has not started yet."
    details = (
        ErrorDetail(
            ErrorInfo(
                reason="CAMPAIGN_NOT_STARTED",
                domain=DOMAIN,
                metadata={"start_time": "2030-01-01T12:00:00.123456Z"},
            )
        ),
        ErrorDetail(RetryInfo(retry_delay=Duration(seconds=86_399, nanos=123_000_000))),
    )


class PlainRpcs(CouponService):
    """Issues with one transaction for each claim: the obvious way to write this service.

    It uses the service's own statement, which is one round trip, and the service's own
    pool. What it leaves out is what a first version would: settling, repeats, the gate.
    """

    def __init__(self, store: Store, _issuer: Issuer) -> None:
        self._store = store

    async def issue_coupon(self, request: IssueCouponRequest, ctx: Any, /) -> IssueCouponResponse:  # noqa: ANN401 # not looked at
        """Issue one coupon in a transaction of its own."""
        claim = parsing.claim(request, ctx.timeout_ms)
        return replies.issued(await issue_plainly(self._store, claim))


async def issue_plainly(store: Store, claim: Claim) -> Issued:
    """Issue a coupon in a transaction of its own.

    Raises:
        CampaignNotFound, IssueRefused: nothing was issued.
    """
    codes = random_codes(1)
    async with store.session() as session:
        granted = await session.claim(claim.campaign_id, 0, codes, [claim.user_id])
        if granted is None:
            sighting = await session.campaign(claim.campaign_id)
            raise (refusal_seen(sighting) if sighting else None) or CampaignNotFound
    coupon = Coupon(
        code=codes[0],
        campaign_id=claim.campaign_id,
        sequence=granted.first_sequence,
        user_id=claim.user_id,
        issue_time=granted.issue_time,
    )
    return Issued(coupon=coupon, already_issued=False)


def create_empty_app() -> App:
    """Build the application that only answers."""
    return create_app(EmptyRpcs)


def create_sold_out_app() -> App:
    """Build the application that only says that a campaign is sold out."""
    return create_app(SoldOutRpcs)


def create_not_started_app() -> App:
    """Build the application that only says that a campaign has not started."""
    return create_app(NotStartedRpcs)


def create_plain_app() -> App:
    """Build the application that issues with one transaction for each claim."""
    return create_app(PlainRpcs)
