"""What a campaign does at an instant, and that domain data cannot be changed."""

import dataclasses
from datetime import UTC, datetime, timedelta
from itertools import product
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coupon_service import domain
from coupon_service.domain import Campaign, CampaignState

START = datetime(2030, 1, 31, 20, 0, tzinfo=UTC)
END = START + timedelta(hours=1)
MICROSECOND = timedelta(microseconds=1)

OPEN = Campaign(
    campaign_id=UUID(int=1),
    name="Launch night",
    coupon_limit=100,
    issued_count=0,
    start_time=START,
    end_time=END,
    pause_time=None,
    create_time=START - timedelta(days=1),
    claim_epoch=0,
)

INSTANTS = {
    "before the start": START - MICROSECOND,
    "at the start": START,
    "before the end": END - MICROSECOND,
    "at the end": END,
    "after the end": END + MICROSECOND,
}


@pytest.mark.parametrize(
    ("when", "has_end", "issued_count", "is_paused"),
    list(product(INSTANTS, [True, False], [0, 99, 100], [True, False])),
)
def test_ended_goes_before_sold_out_before_paused_before_scheduled(
    when: str, *, has_end: bool, issued_count: int, is_paused: bool
) -> None:
    campaign = dataclasses.replace(
        OPEN,
        issued_count=issued_count,
        end_time=END if has_end else None,
        pause_time=START if is_paused else None,
    )
    holds = {
        CampaignState.ENDED: has_end and when in {"at the end", "after the end"},
        CampaignState.SOLD_OUT: issued_count == 100,
        CampaignState.PAUSED: is_paused,
        CampaignState.SCHEDULED: when == "before the start",
        CampaignState.ACTIVE: True,
    }
    first = next(state for state, is_so in holds.items() if is_so)
    assert campaign.state_at(INSTANTS[when]) is first


@given(st.timedeltas(min_value=timedelta(days=-9000), max_value=timedelta(days=9000)))
def test_a_campaign_is_open_from_its_start_until_just_before_its_end(
    since_start: timedelta,
) -> None:
    is_open = timedelta(0) <= since_start < END - START
    assert (OPEN.state_at(START + since_start) is CampaignState.ACTIVE) == is_open


def test_a_campaign_that_never_ends_is_open_in_the_year_9999() -> None:
    campaign = dataclasses.replace(OPEN, end_time=None)
    assert campaign.state_at(datetime.max.replace(tzinfo=UTC)) is CampaignState.ACTIVE


def test_instants_are_compared_whatever_their_time_zone() -> None:
    seoul = datetime.fromisoformat("2030-02-01T05:00:00+09:00")
    assert OPEN.state_at(seoul) is CampaignState.ACTIVE
    assert OPEN.state_at(seoul - MICROSECOND) is CampaignState.SCHEDULED


def test_the_states_are_those_of_the_contract() -> None:
    names = ["SCHEDULED", "ACTIVE", "SOLD_OUT", "PAUSED", "ENDED"]
    assert [state.name for state in CampaignState] == names


def test_the_limits_are_those_of_the_contract() -> None:
    assert (
        domain.COUPON_LIMIT_MAX,
        domain.NAME_CHARACTERS_MAX,
        domain.USER_ID_CHARACTERS_MAX,
        domain.REQUEST_ID_CHARACTERS_MAX,
    ) == (10_000_000, 200, 128, 128)


def test_a_campaign_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        OPEN.issued_count = 1  # type: ignore[misc]  # that is the point


MADE_FOR_EVERY_CALL = [domain.Coupon, domain.Claim, domain.Issued]


@pytest.mark.parametrize("data_type", [domain.Campaign, domain.Sighting, domain.NewCampaign])
def test_domain_data_is_frozen_has_slots_and_is_made_by_keyword(data_type: type) -> None:
    assert how_it_is_made(data_type) == (True, True, True)


@pytest.mark.parametrize("data_type", MADE_FOR_EVERY_CALL)
def test_what_is_made_for_every_call_is_final_for_the_type_checker_instead(
    data_type: type,
) -> None:
    hints = [str(field.type) for field in dataclasses.fields(data_type)]
    assert how_it_is_made(data_type) == (False, True, True)
    assert [hint for hint in hints if not hint.startswith("typing.Final[")] == []


def how_it_is_made(data_type: type) -> tuple[bool, bool, bool]:
    parameters = data_type.__dataclass_params__  # type: ignore[attr-defined]  # every dataclass has it
    keyword_only = all(field.kw_only for field in dataclasses.fields(data_type))
    return parameters.frozen, hasattr(data_type, "__slots__"), keyword_only
