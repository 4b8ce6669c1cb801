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
    seen = answer.coupon
    # Setting fields costs half of what giving them to the constructor does.
    coupon = pb.Coupon()
    coupon.code = seen.code
    coupon.campaign_id = _text(seen.campaign_id)
    coupon.sequence = seen.sequence
    coupon.issue_time = _timestamp(seen.issue_time)
    if seen.user_id:
        coupon.user_id = seen.user_id
    response = pb.IssueCouponResponse()
    response.coupon = coupon
    if answer.already_issued:
        response.already_issued = True
    return response


# The coupons of a group have the campaign and the issue time in common, and writing
# them anew for each costs a third of its reply. Nobody changes a reply.
@lru_cache(maxsize=64)
def _text(campaign_id: UUID) -> str:
    return str(campaign_id)


@lru_cache(maxsize=64)
def _timestamp(issue_time: datetime) -> Timestamp:
    return Timestamp.from_datetime(issue_time)
