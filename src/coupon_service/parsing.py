"""Requests become domain data, or InvalidRequest with a violation for each bad field."""

import re
import time
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from uuid import UUID

from protobuf.wkt.google.protobuf.timestamp_pb import Timestamp

from coupon_service.domain import (
    COUPON_LIMIT_MAX,
    NAME_CHARACTERS_MAX,
    REQUEST_ID_CHARACTERS_MAX,
    USER_ID_CHARACTERS_MAX,
    Claim,
    NewCampaign,
)
from coupon_service.errors import FieldViolation, InvalidRequest
from coupon_service.gen.coupon.v1.coupon_pb import (
    CampaignView,
    CreateCampaignRequest,
    GetCampaignRequest,
    IssueCouponRequest,
)

_CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_UUID_TEXT = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# The first and the last instant are what asyncpg stores as -infinity and infinity.
_INFINITIES = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))


def new_campaign(request: CreateCampaignRequest) -> NewCampaign:
    """Parse a CreateCampaignRequest.

    Raises:
        InvalidRequest: with a violation for each bad field.
    """
    violations: list[FieldViolation] = []
    _check_text(violations, "name", request.name, NAME_CHARACTERS_MAX, required=True)
    if not 1 <= request.coupon_limit <= COUPON_LIMIT_MAX:
        _add(violations, "coupon_limit", f"It must be from 1 to {COUPON_LIMIT_MAX:,}.")
    _check_text(violations, "request_id", request.request_id, REQUEST_ID_CHARACTERS_MAX)
    if request.start_time is None:
        _add(violations, "start_time", "It is required.")
    start_time = _instant(violations, "start_time", request.start_time)
    end_time = _instant(violations, "end_time", request.end_time)
    if start_time and end_time and end_time <= start_time:
        _add(violations, "end_time", "It must be later than start_time.")
    if violations or start_time is None:
        raise InvalidRequest(*violations)
    return NewCampaign(
        name=request.name,
        coupon_limit=request.coupon_limit,
        start_time=start_time,
        end_time=end_time,
        request_id=request.request_id,
    )


def campaign_and_view(request: GetCampaignRequest) -> tuple[UUID, CampaignView]:
    """Parse a GetCampaignRequest.

    Raises:
        InvalidRequest: with a violation for each bad field.
    """
    violations: list[FieldViolation] = []
    campaign_id = _campaign_id(violations, request.campaign_id)
    if request.view not in list(CampaignView):
        _add(violations, "view", "There is no such view.")
    if violations or campaign_id is None:
        raise InvalidRequest(*violations)
    return campaign_id, request.view


def claim(request: IssueCouponRequest, timeout_ms: float | None) -> Claim:
    """Parse an IssueCouponRequest whose caller waits `timeout_ms` milliseconds, None for ever.

    Raises:
        InvalidRequest: with a violation for each bad field.
    """
    violations: list[FieldViolation] = []
    campaign_id = _campaign_id(violations, request.campaign_id)
    user_id = request.user_id
    if user_id:
        _check_text(violations, "user_id", user_id, USER_ID_CHARACTERS_MAX)
    if violations or campaign_id is None:
        raise InvalidRequest(*violations)
    return Claim(
        campaign_id=campaign_id,
        user_id=user_id,
        deadline=None if timeout_ms is None else time.monotonic() + timeout_ms / 1000,
    )


def is_user_id(text: str) -> bool:
    """Tell whether a text that no message has carried yet may name a user."""
    violations: list[FieldViolation] = []
    _check_text(violations, "user_id", text, USER_ID_CHARACTERS_MAX, required=True)
    # Half of a surrogate pair, which JSON can spell, is no character.
    return not violations and not _SURROGATE.search(text)


def _add(violations: list[FieldViolation], field: str, description: str) -> None:
    violations.append(FieldViolation(field=field, description=description))


def _campaign_id(violations: list[FieldViolation], text: str) -> UUID | None:
    campaign_id = _uuid(text)
    if campaign_id is None:
        _add(violations, "campaign_id", "It must be a UUID of 36 characters.")
    return campaign_id


# Nearly every request names one of a few campaigns.
@lru_cache(maxsize=1024)
def _uuid(text: str) -> UUID | None:
    return UUID(text) if _UUID_TEXT.fullmatch(text) else None


def _check_text(
    violations: list[FieldViolation],
    field: str,
    text: str,
    characters_max: int,
    *,
    required: bool = False,
) -> None:
    if len(text) > characters_max or (required and not text):
        _add(violations, field, f"It must have 1 to {characters_max} characters.")
    elif not text.isprintable() and _CONTROL_CHARACTER.search(text):
        _add(violations, field, "It must not contain control characters.")


def _instant(
    violations: list[FieldViolation], field: str, timestamp: Timestamp | None
) -> datetime | None:
    """Return a timestamp rounded up to microseconds, which is what the database keeps."""
    if timestamp is None:
        return None
    try:
        microseconds = -(-timestamp.nanos // 1000)
        instant = _EPOCH + timedelta(seconds=timestamp.seconds, microseconds=microseconds)
    except OverflowError:
        instant = None
    if instant is None or not 0 <= timestamp.nanos < 1_000_000_000 or instant in _INFINITIES:
        _add(violations, field, "It must be a valid time in the years 1 to 9999.")
        return None
    return instant
