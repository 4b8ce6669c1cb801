"""Domain data become responses."""

from datetime import datetime
from functools import lru_cache
from uuid import UUID

from protobuf.wkt.google.protobuf.timestamp_pb import Timestamp

from coupon_service.domain import CampaignState, Issued, Sighting
from coupon_service.gen.coupon.v1 import coupon_pb as pb

_STATES = {state: pb.CampaignState[state.name] for state in CampaignState}


def campaign(sighting: Sighting) -> pb.Campaign:
    """Show a campaign as it was at the moment it was read."""
    seen = sighting.campaign
    return pb.Campaign(
        campaign_id=str(seen.campaign_id),
        name=seen.name,
        coupon_limit=seen.coupon_limit,
        issued_count=seen.issued_count,
        start_time=Timestamp.from_datetime(seen.start_time),
        end_time=None if seen.end_time is None else Timestamp.from_datetime(seen.end_time),
        state=_STATES[seen.state_at(sighting.read_time)],
        create_time=Timestamp.from_datetime(seen.create_time),
    )


def issued(answer: Issued) -> pb.IssueCouponResponse:
    """Show an issued coupon."""
    coupon = answer.coupon
    return pb.IssueCouponResponse(
        coupon=pb.Coupon(
            code=coupon.code,
            campaign_id=_text(coupon.campaign_id),
            sequence=coupon.sequence,
            user_id=coupon.user_id,
            issue_time=_timestamp(coupon.issue_time),
        ),
        already_issued=answer.already_issued,
    )


# The coupons of a group have the campaign and the issue time in common, and writing
# them anew for each costs a third of its reply. Nobody changes a reply.
@lru_cache(maxsize=64)
def _text(campaign_id: UUID) -> str:
    return str(campaign_id)


@lru_cache(maxsize=64)
def _timestamp(issue_time: datetime) -> Timestamp:
    return Timestamp.from_datetime(issue_time)
