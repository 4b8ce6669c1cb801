"""Connect's JSON over HTTP, as far as a rush speaks it: read with msgspec, which is quick."""

import binascii
import functools
from base64 import b64decode
from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec

from coupon_service.gen.google.rpc.error_details_pb import ErrorInfo

SERVICE = "/coupon.v1.CouponService"
CREATE, GET, ISSUE = f"{SERVICE}/CreateCampaign", f"{SERVICE}/GetCampaign", f"{SERVICE}/IssueCoupon"
HEADERS = {"content-type": "application/json", "connect-protocol-version": "1"}
TIMEOUT_HEADER = "connect-timeout-ms"
OK_STATUS = 200
UNREADABLE = "UNREADABLE"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_ERROR_INFO = "google.rpc.ErrorInfo"
# What the protocol has clients make of an answer that is not Connect's.
_CODE_OF_STATUS = {
    400: "internal",
    401: "unauthenticated",
    403: "permission_denied",
    404: "unimplemented",
    429: "unavailable",
    502: "unavailable",
    503: "unavailable",
    504: "unavailable",
}


Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class _Message(msgspec.Struct, rename="camel"):
    """A message of the contract."""


class Coupon(_Message):
    """A coupon."""

    code: str
    issue_time: Moment
    campaign_id: str = ""
    sequence: int = 0
    user_id: str = ""


class IssueAnswer(_Message):
    """The answer of IssueCoupon."""

    coupon: Coupon
    already_issued: bool = False


class Campaign(_Message):
    """A campaign."""

    campaign_id: str
    coupon_limit: int
    start_time: Moment
    create_time: Moment
    state: str = ""
    issued_count: int = 0
    end_time: Moment | None = None


class CampaignAnswer(_Message):
    """The answer of CreateCampaign, and of GetCampaign."""

    campaign: Campaign
    coupon_codes: list[str] = []


class _Detail(_Message):
    type: str = ""
    value: str = ""


class _Error(_Message):
    code: str
    message: str = ""
    details: list[_Detail] = []


encode = msgspec.json.Encoder().encode
issue_answer = msgspec.json.Decoder(IssueAnswer).decode
campaign_answer = msgspec.json.Decoder(CampaignAnswer).decode
_error = msgspec.json.Decoder(_Error).decode


def microseconds(moment: datetime) -> int:
    """Return a time as microseconds since the Unix epoch."""
    return (moment - _EPOCH) // _MICROSECOND


def timestamp(moment_us: int) -> str:
    """Return microseconds since the Unix epoch as the contract's JSON has times."""
    return (_EPOCH + moment_us * _MICROSECOND).isoformat().replace("+00:00", "Z")


def reason(status: int, body: bytes) -> str:
    """Return the reason of a refusal, such as SOLD_OUT, or the Connect code if it has none."""
    try:
        error = _error(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _CODE_OF_STATUS.get(status, "unknown")
    reasons = (_reason(each.value) for each in error.details if each.type == _ERROR_INFO)
    return next(filter(None, reasons), error.code)


def message(body: bytes) -> str:
    """Return the sentence of an error; "" if it has none."""
    try:
        return _error(body).message
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""


# Almost all refusals are the same.
@functools.lru_cache(maxsize=1024)
def _reason(value: str) -> str:
    try:
        return ErrorInfo.from_binary(b64decode(value + "===")).reason
    except (binascii.Error, ValueError):
        return ""
