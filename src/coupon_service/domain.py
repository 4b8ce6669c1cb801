"""Campaigns, coupons and claims: data that nobody changes, and the rules that need nothing else.

Claim, Coupon and Issued are made for every call, so they say `Final` for the type
checker instead of being frozen at run time, which would double what they cost.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from typing import Final
from uuid import UUID

COUPON_LIMIT_MAX = 10_000_000
NAME_CHARACTERS_MAX = 200
USER_ID_CHARACTERS_MAX = 128
REQUEST_ID_CHARACTERS_MAX = 128


class CampaignState(Enum):
    """What a campaign does at an instant; see `Campaign.state_at`."""

    SCHEDULED = auto()
    ACTIVE = auto()
    SOLD_OUT = auto()
    PAUSED = auto()
    ENDED = auto()


@dataclass(frozen=True, kw_only=True, slots=True)
class Campaign:
    """A campaign as one snapshot of the database showed it.

    Times are aware datetimes of the database's clock. `claim_epoch` is the
    number that a claim must name to be granted (see docs/design.md).
    """

    campaign_id: UUID
    name: str
    coupon_limit: int
    issued_count: int
    start_time: datetime
    end_time: datetime | None
    pause_time: datetime | None
    create_time: datetime
    claim_epoch: int

    def state_at(self, instant: datetime) -> CampaignState:
        """Return the campaign's state at an instant of the database's clock.

        What is final comes first: an ended campaign stays ended, and a sold-out
        one has nothing left to pause.
        """
        if self.end_time is not None and instant >= self.end_time:
            return CampaignState.ENDED
        if self.issued_count >= self.coupon_limit:
            return CampaignState.SOLD_OUT
        if self.pause_time is not None:
            return CampaignState.PAUSED
        if instant < self.start_time:
            return CampaignState.SCHEDULED
        return CampaignState.ACTIVE


@dataclass(frozen=True, kw_only=True, slots=True)
class Sighting:
    """A campaign as the database showed it, and when.

    `read_time` is the database's clock; it was read at some moment between
    `asked_at` and `answered_at`, in seconds of this process's monotonic clock.
    """

    campaign: Campaign
    read_time: datetime
    asked_at: float
    answered_at: float


@dataclass(frozen=True, kw_only=True, slots=True)
class NewCampaign:
    """What is asked for when a campaign is created; `request_id` "" is none."""

    name: str
    coupon_limit: int
    start_time: datetime
    end_time: datetime | None = None
    request_id: str = ""


@dataclass(unsafe_hash=True, kw_only=True, slots=True)
class Coupon:
    """An issued coupon; `user_id` "" is an anonymous one."""

    code: Final[str]
    campaign_id: Final[UUID]
    sequence: Final[int]
    user_id: Final[str]
    issue_time: Final[datetime]


@dataclass(unsafe_hash=True, kw_only=True, slots=True)
class Claim:
    """A caller's wish for a coupon.

    `user_id` "" is an anonymous claim. `deadline` is the instant, in seconds of
    the process's monotonic clock, after which the claim must not be granted.
    """

    campaign_id: Final[UUID]
    user_id: Final[str] = ""
    deadline: Final[float | None] = None


@dataclass(unsafe_hash=True, kw_only=True, slots=True)
class Issued:
    """The answer to a granted claim; `already_issued` marks a repeat."""

    coupon: Final[Coupon]
    already_issued: Final[bool]
