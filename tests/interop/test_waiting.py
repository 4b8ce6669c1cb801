"""Claims that cannot get through in time, over every way in."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import pytest
from interop.access import Credentials
from interop.calls import NotMade
from interop.campaigns import new_campaign, read_stored
from interop.cells import cell
from interop.conftest import QUEUE_LIMIT, AskRefused
from interop.held import claims_waiting, held
from interop.lanes import Lane
from support.refusals import ERROR_INFO, RETRY_INFO, Refusal
from support.service import Service


@dataclass(frozen=True, kw_only=True, slots=True)
class Waiting:
    """Campaigns whose rows are locked: claims wait, and those of `full` find no room."""

    campaign_id: str
    full: str


@pytest.fixture(scope="module")
def waiting(
    interop_database_url: str, services: dict[str, Service], credentials: Credentials
) -> Iterator[Waiting]:
    """Keep both up for the tests of this module, and see what they took in the end."""
    made = Waiting(
        campaign_id=new_campaign(interop_database_url),
        full=new_campaign(interop_database_url, limit=1000),
    )
    with held(
        claims_waiting(
            interop_database_url,
            [service.url for service in services.values()],
            credentials.admin,
            campaign_id=made.campaign_id,
            full_campaign_id=made.full,
            queue_limit=QUEUE_LIMIT,
        )
    ):
        yield made
    # Only the claims that filled the lines have coupons, none of those of the tests.
    campaigns = [read_stored(interop_database_url, each) for each in (made.campaign_id, made.full)]
    under_way = [None] * len(services)
    assert [each.user_ids for each in campaigns] == [under_way, under_way * (1 + QUEUE_LIMIT)]


def refused_as_late(ask_refused: AskRefused, fields: dict[str, str]) -> Refusal:
    """Claim with a deadline that passes once the call was made.

    buf curl counts its own start, which takes longer on a busy machine.
    """
    for timeout_ms in (500, 2_000):
        with suppress(NotMade):
            return ask_refused("IssueCoupon", fields, timeout_ms=timeout_ms)
    return ask_refused("IssueCoupon", fields, timeout_ms=10_000)


@cell("late")
def test_a_claim_whose_deadline_passes_is_told_so_and_takes_nothing(
    ask_refused: AskRefused, lane: Lane, waiting: Waiting
) -> None:
    refusal = refused_as_late(ask_refused, {"campaignId": waiting.campaign_id, "userId": lane.id})
    assert refusal.code == "deadline_exceeded"


@cell("refusals", "OVERLOADED")
def test_a_claim_beyond_the_queue_may_come_again(
    ask_refused: AskRefused, lane: Lane, waiting: Waiting
) -> None:
    refusal = ask_refused("IssueCoupon", {"campaignId": waiting.full, "userId": lane.id})
    assert refusal.summary == ("unavailable", "OVERLOADED", "coupon.v1", (ERROR_INFO, RETRY_INFO))
    assert refusal.retry_seconds is not None
    assert 0.1 <= refusal.retry_seconds <= 1
