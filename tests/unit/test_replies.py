"""Responses say exactly what the domain data say."""

import dataclasses
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from protobuf.wkt.google.protobuf.timestamp_pb import Timestamp

from coupon_service import parsing, replies
from coupon_service.domain import Campaign, CampaignState, Coupon, Issued, Sighting
from coupon_service.gen.coupon.v1 import coupon_pb as pb

ID = UUID("0b8f3f3e-5f0c-4b2f-9b5e-0c6c3c1d2e4f")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NOW = EPOCH + timedelta(seconds=5000)

OPEN = Campaign(
    campaign_id=ID,
    name="개막 night",
    coupon_limit=100,
    issued_count=42,
    start_time=EPOCH + timedelta(seconds=1000, microseconds=1),
    end_time=EPOCH + timedelta(seconds=9000),
    pause_time=None,
    create_time=EPOCH - timedelta(microseconds=1),
    claim_epoch=3,
)
COUPON = Coupon(
    code="가나다라마바아자거2",
    campaign_id=ID,
    sequence=42,
    user_id="alice",
    issue_time=EPOCH + timedelta(seconds=4000, microseconds=999_999),
)
INSTANTS = st.datetimes(timezones=st.just(UTC))


def sighting(campaign: Campaign, read_time: datetime = NOW) -> Sighting:
    return Sighting(campaign=campaign, read_time=read_time, asked_at=1, answered_at=2)


def test_a_campaign_is_shown_as_it_is() -> None:
    assert replies.campaign(sighting(OPEN)) == pb.Campaign(
        campaign_id="0b8f3f3e-5f0c-4b2f-9b5e-0c6c3c1d2e4f",
        name="개막 night",
        coupon_limit=100,
        issued_count=42,
        start_time=Timestamp(seconds=1000, nanos=1000),
        end_time=Timestamp(seconds=9000),
        state=pb.CampaignState.ACTIVE,
        create_time=Timestamp(seconds=-1, nanos=999_999_000),
    )


def test_a_campaign_without_an_end_has_no_end_time() -> None:
    shown = replies.campaign(sighting(dataclasses.replace(OPEN, end_time=None)))
    assert shown.end_time is None
    assert "endTime" not in shown.to_json()


@pytest.mark.parametrize(
    ("changes", "read_time", "state"),
    [
        ({}, EPOCH, pb.CampaignState.SCHEDULED),
        ({}, NOW, pb.CampaignState.ACTIVE),
        ({"issued_count": 100}, NOW, pb.CampaignState.SOLD_OUT),
        ({"pause_time": EPOCH}, NOW, pb.CampaignState.PAUSED),
        ({}, EPOCH + timedelta(seconds=9000), pb.CampaignState.ENDED),
    ],
)
def test_the_state_is_that_of_the_moment_the_campaign_was_read(
    changes: dict[str, object], read_time: datetime, state: pb.CampaignState
) -> None:
    campaign = dataclasses.replace(OPEN, **changes)  # type: ignore[arg-type]  # what the cases above give
    assert replies.campaign(sighting(campaign, read_time)).state is state


def test_every_state_has_its_own_on_the_wire() -> None:
    shown = [replies._STATES[state] for state in CampaignState]
    assert set(shown) == set(pb.CampaignState) - {pb.CampaignState.UNSPECIFIED}


@pytest.mark.parametrize("already_issued", [True, False])
def test_a_coupon_is_shown_as_it_is(*, already_issued: bool) -> None:
    shown = replies.issued(Issued(coupon=COUPON, already_issued=already_issued))
    assert shown == pb.IssueCouponResponse(
        coupon=pb.Coupon(
            code="가나다라마바아자거2",
            campaign_id="0b8f3f3e-5f0c-4b2f-9b5e-0c6c3c1d2e4f",
            sequence=42,
            user_id="alice",
            issue_time=Timestamp(seconds=4000, nanos=999_999_000),
        ),
        already_issued=already_issued,
    )


def test_an_anonymous_coupon_names_no_user() -> None:
    coupon = dataclasses.replace(COUPON, user_id="")
    shown = replies.issued(Issued(coupon=coupon, already_issued=False))
    assert "userId" not in shown.to_json()


@given(start_time=INSTANTS, end_time=INSTANTS, create_time=INSTANTS)
def test_what_is_shown_is_what_was_stored_to_the_microsecond(
    start_time: datetime, end_time: datetime, create_time: datetime
) -> None:
    campaign = dataclasses.replace(
        OPEN, start_time=start_time, end_time=end_time, create_time=create_time
    )
    shown = pb.Campaign.from_json(replies.campaign(sighting(campaign)).to_json())
    read = [
        parsing._instant([], "", instant)
        for instant in (shown.start_time, shown.end_time, shown.create_time)
    ]
    assert read == [start_time, end_time, create_time]
