"""The gate: answers that need no database.

It remembers what the database last said of a campaign and refuses what cannot
have become possible since. It never grants anything. A remembered fact is used
for a short time only, and forgotten at once when a notification says that an
operator has changed the campaign.

The database's clock is the only clock. The gate carries its last reading forward
with this host's monotonic clock, which no wrong or stepped wall clock touches,
and keeps a margin for drift; within the margin the database is asked.
"""

import math
import time
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

from coupon_service.domain import CampaignState, Sighting
from coupon_service.errors import (
    CampaignEnded,
    CampaignNotStarted,
    CampaignPaused,
    CampaignSoldOut,
    IssueRefused,
)

CLOCK_MARGIN_SECONDS = 0.25
CAMPAIGNS_MAX = 10_000


def refusal_seen(sighting: Sighting) -> IssueRefused | None:
    """Return why the database refused claims when it was read, or None if it did not."""
    match sighting.campaign.state_at(sighting.read_time):
        case CampaignState.ENDED:
            return CampaignEnded()
        case CampaignState.SOLD_OUT:
            return CampaignSoldOut()
        case CampaignState.PAUSED:
            return CampaignPaused()
        case CampaignState.SCHEDULED:
            start_time = sighting.campaign.start_time
            time_left = start_time - sighting.read_time
            return CampaignNotStarted(start_time=start_time, time_left=time_left)
        case CampaignState.ACTIVE:
            return None


def refusal_since(sighting: Sighting, instant: float) -> IssueRefused | None:
    """Return why the database certainly refuses at a later monotonic instant, or None.

    A pause is never certain: it may have been lifted.
    """
    campaign = sighting.campaign
    if campaign.end_time is not None:
        seconds_to_end = (campaign.end_time - sighting.read_time).total_seconds()
        if instant - sighting.answered_at - CLOCK_MARGIN_SECONDS >= seconds_to_end:
            return CampaignEnded()
    if campaign.issued_count >= campaign.coupon_limit:
        return CampaignSoldOut()
    if campaign.pause_time is not None or campaign.start_time <= sighting.read_time:
        return None
    seconds_to_start = (campaign.start_time - sighting.read_time).total_seconds()
    if instant - sighting.asked_at + CLOCK_MARGIN_SECONDS >= seconds_to_start:
        return None
    time_left = timedelta(0, seconds_to_start - (instant - sighting.answered_at))
    return CampaignNotStarted(start_time=campaign.start_time, time_left=time_left)


def open_until(sighting: Sighting) -> float:
    """Return a monotonic instant before which `refusal_since` certainly returns None."""
    if refusal_seen(sighting) is not None:
        return -math.inf
    campaign = sighting.campaign
    if campaign.end_time is None:
        return math.inf
    return sighting.asked_at + (campaign.end_time - sighting.read_time).total_seconds()


class Gate:
    """Remembers campaigns' sightings, each for `seconds_max`, `CAMPAIGNS_MAX` in all."""

    def __init__(
        self, *, seconds_max: float, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._seconds_max = seconds_max
        self._monotonic = monotonic
        # With each sighting, until when it surely refuses nothing.
        self._sightings: dict[UUID, tuple[Sighting, float]] = {}
        self._changed_at = -math.inf

    def remember(self, sighting: Sighting) -> None:
        """Keep the newest sighting of a campaign; the one kept longest makes room."""
        if sighting.asked_at < self._changed_at:
            return  # it may show what was before the change
        campaign_id = sighting.campaign.campaign_id
        self._sightings.pop(campaign_id, None)
        if len(self._sightings) >= CAMPAIGNS_MAX:
            del self._sightings[next(iter(self._sightings))]
        self._sightings[campaign_id] = sighting, open_until(sighting)

    def forget(self, campaign_id: UUID) -> None:
        """Drop what is known of a campaign: it has been changed."""
        self._changed_at = self._monotonic()
        self._sightings.pop(campaign_id, None)

    def clear(self) -> None:
        """Drop everything: changes may have been missed."""
        self._changed_at = self._monotonic()
        self._sightings.clear()

    def is_open(self, campaign_id: UUID) -> bool:
        """Tell whether a campaign was open when it was last seen, and has not ended since."""
        known = self._sightings.get(campaign_id)
        return known is not None and self._monotonic() < known[1]

    def claim_epoch(self, campaign_id: UUID) -> int | None:
        """Return the epoch last seen, however long ago; the database checks it anyway."""
        known = self._sightings.get(campaign_id)
        return None if known is None else known[0].campaign.claim_epoch

    def refusal(self, campaign_id: UUID) -> IssueRefused | None:
        """Return why a claim would certainly be refused now, or None if it must be asked."""
        known = self._sightings.get(campaign_id)
        if known is None:
            return None
        sighting, certainly_open_until = known
        now = self._monotonic()
        if now < certainly_open_until or now - sighting.answered_at > self._seconds_max:
            return None
        return refusal_since(sighting, now)
