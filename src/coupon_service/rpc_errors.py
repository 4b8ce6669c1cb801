"""The table from refusals to Connect codes and error details.

Whatever leaves the service as an error goes through here, so that nothing of the
inside can leave by accident.
"""

import random
from datetime import datetime, timedelta
from functools import cache, cached_property, lru_cache

import structlog
from connectrpc._protocol import ConnectWireError
from connectrpc._protocol_grpc import GRPCServerProtocol, GRPCWebServerProtocol
from connectrpc.code import Code
from connectrpc.errors import ConnectError, ErrorDetail
from protobuf.wkt.google.protobuf.duration_pb import Duration

from coupon_service import errors, library_messages
from coupon_service.gen.google.rpc.error_details_pb import BadRequest, ErrorInfo, RetryInfo

log = structlog.get_logger(__name__)

DOMAIN = "coupon.v1"

# How soon a call that met an overload or an outage should be tried again: spread
# out, so that the callers do not come back all at once.
RETRY_SECONDS_MIN = 0.1
RETRY_SECONDS_MAX = 1.0
RETRY_STEP_MILLISECONDS_MAX = 100

REFUSALS: dict[type[errors.Refused], tuple[str, Code]] = {
    errors.InvalidRequest: ("INVALID_REQUEST", Code.INVALID_ARGUMENT),
    errors.CampaignNotFound: ("CAMPAIGN_NOT_FOUND", Code.NOT_FOUND),
    errors.CampaignNotStarted: ("CAMPAIGN_NOT_STARTED", Code.FAILED_PRECONDITION),
    errors.CampaignPaused: ("CAMPAIGN_PAUSED", Code.FAILED_PRECONDITION),
    errors.CampaignEnded: ("CAMPAIGN_ENDED", Code.FAILED_PRECONDITION),
    errors.CampaignSoldOut: ("SOLD_OUT", Code.RESOURCE_EXHAUSTED),
    errors.Overloaded: ("OVERLOADED", Code.UNAVAILABLE),
    errors.StorageUnavailable: ("STORAGE_UNAVAILABLE", Code.UNAVAILABLE),
    errors.OutcomeUnknown: ("OUTCOME_UNKNOWN", Code.UNKNOWN),
    errors.Unauthenticated: ("UNAUTHENTICATED", Code.UNAUTHENTICATED),
    errors.PermissionDenied: ("PERMISSION_DENIED", Code.PERMISSION_DENIED),
}


class Refusal(ConnectError):
    """A refusal of the table; metrics count it under its reason, or one that says more."""

    def __init__(
        self, code: Code, message: str, details: list[ErrorDetail], *, counted_as: str
    ) -> None:
        super().__init__(code, message, details)
        self.counted_as = counted_as

    @cached_property
    def in_connect(self) -> tuple[int, bytes]:
        """The HTTP status and body that say it in the Connect protocol."""
        return in_connect(self)


def in_connect(error: ConnectError) -> tuple[int, bytes]:
    """Return the HTTP status and body that say an error in the Connect protocol."""
    return _encoded(error.code, error.message, tuple(error.details))


# Details are told apart by identity; those of refusals are made once.
@lru_cache(maxsize=1024)
def _encoded(code: Code, message: str, details: tuple[ErrorDetail, ...]) -> tuple[int, bytes]:
    wire = ConnectWireError(code, message, details)
    return wire.to_http_status().code, wire.to_json_bytes()


def in_grpc(error: ConnectError, *, web: bool) -> list[tuple[bytes, bytes]]:
    """Return the headers of an answer in gRPC, or gRPC-Web, that is nothing but an error."""
    protocol = GRPCWebServerProtocol() if web else GRPCServerProtocol()
    headers = protocol.trailers_only_headers(None, error)
    return [(name.encode(), value.encode()) for name, value in headers.allitems()]


# Answered like an outage, but none: the call was broken off.
BROKEN_OFF = "BROKEN_OFF"
# Answered like an overload, but the caller's own.
RATE_LIMITED = "RATE_LIMITED"


def connect_error(error: Exception, *, method: str = "") -> ConnectError:
    """Return the error that a caller gets for an error of the service."""
    match error:
        case errors.CampaignNotStarted():  # thousands a second, before a start
            return _not_started(error.start_time, _as_clocks_keep_it(error.time_left))
        case errors.Refused() if (row := _row(type(error))) is not None:
            return _refusal(error, *row)
        case ConnectError():
            return _of_the_protocol(error)
        case errors.CallerGone():
            return ConnectError(Code.CANCELED, str(error))
        case TimeoutError():
            return ConnectError(Code.DEADLINE_EXCEEDED, "The deadline passed.")
        case _:
            log.error("a call failed", method=method, exc_info=error)
            return ConnectError(Code.INTERNAL, "internal error")


def _row(kind: type) -> tuple[str, Code] | None:
    """Return the table's row for a kind of refusal, which may be finer than the table's."""
    if kind in REFUSALS:
        return REFUSALS[kind]
    kinds: tuple[type, ...] = kind.__mro__
    return next((REFUSALS[each] for each in kinds if each in REFUSALS), None)


def _refusal(error: errors.Refused, reason: str, code: Code) -> Refusal:
    match error:
        case errors.InvalidRequest():
            details = [_info(reason), ErrorDetail(_bad_request(error))]
        case errors.RateLimited():
            details = [_info(reason), _retry_after(_milliseconds(error.time_left))]
            return Refusal(code, error.message, details, counted_as=RATE_LIMITED)
        case errors.Overloaded() | errors.StorageUnavailable():
            seconds = random.uniform(RETRY_SECONDS_MIN, RETRY_SECONDS_MAX)  # noqa: S311 # spreads load, hides nothing
            details = [_info(reason), _retry_after(round(seconds * 1000))]
        case _:
            return _with_nothing_more(reason, error.message)
    return Refusal(code, error.message, details, counted_as=reason)


# A campaign that is sold out or about to start refuses thousands of calls a second, all
# alike: each refusal is made once, with its details and its body. Nobody changes them,
# and a call that is over takes its traceback away.
@cache
def _with_nothing_more(reason: str, message: str) -> Refusal:
    code = next(code for each, code in REFUSALS.values() if each == reason)
    return Refusal(code, message, [_info(reason)], counted_as=reason)


@lru_cache(maxsize=2048)
def _not_started(start_time: datetime, milliseconds: int) -> Refusal:
    reason, code = REFUSALS[errors.CampaignNotStarted]
    sentence = errors.CampaignNotStarted(start_time=start_time, time_left=timedelta()).message
    details = [_not_started_info(reason, start_time), _retry_after(milliseconds)]
    return Refusal(code, sentence, details, counted_as=reason)


@cache
def _info(reason: str) -> ErrorDetail:
    return ErrorDetail(ErrorInfo(reason=reason, domain=DOMAIN))


@lru_cache(maxsize=128)
def _not_started_info(reason: str, start_time: datetime) -> ErrorDetail:
    metadata = {"start_time": start_time.isoformat().replace("+00:00", "Z")}
    return ErrorDetail(ErrorInfo(reason=reason, domain=DOMAIN, metadata=metadata))


@lru_cache(maxsize=2048)
def _retry_after(milliseconds: int) -> ErrorDetail:
    delay = Duration(seconds=milliseconds // 1000, nanos=milliseconds % 1000 * 1_000_000)
    return ErrorDetail(RetryInfo(retry_delay=delay))


def _as_clocks_keep_it(time_left: timedelta) -> int:
    """Return the milliseconds left, rounded up: to 1 ms near the start, to 100 ms before.

    The steps are a ten-thousandth of the time left, which a caller's clock may gain or lose
    meanwhile (100 ppm), and no larger than that. So nobody who waits as told comes before
    the start, or noticeably after, and callers who ask long before it are all told the same.
    """
    milliseconds = max(_milliseconds(time_left), 0)
    step = min(milliseconds // 10_000 + 1, RETRY_STEP_MILLISECONDS_MAX)
    return -(-milliseconds // step) * step


def _milliseconds(duration: timedelta) -> int:
    """Return a duration rounded up; dividing it would take ten times as long."""
    return (duration.days * 86_400 + duration.seconds) * 1000 - (-duration.microseconds // 1000)


def _bad_request(error: errors.InvalidRequest) -> BadRequest:
    return BadRequest(
        field_violations=[
            BadRequest.FieldViolation(field=each.field, description=each.description)
            for each in error.violations
        ]
    )


def _of_the_protocol(error: ConnectError) -> ConnectError:
    """Give the library's own refusals of bad requests the form of ours.

    The library answers an oversized message with resource_exhausted, which means
    sold out in this service.
    """
    if error.code is Code.CANCELED:
        # The caller has gone, or the service is stopping; one that is still there may
        # ask again: nothing was issued, or a repeat shows what was.
        answer = _refusal(errors.StorageUnavailable(), *REFUSALS[errors.StorageUnavailable])
        answer.counted_as = BROKEN_OFF
        return answer
    if error.code is Code.UNIMPLEMENTED and error.message.startswith(
        library_messages.UNKNOWN_COMPRESSION
    ):
        return ConnectError(Code.UNIMPLEMENTED, library_messages.NO_COMPRESSION_BUT_GZIP)
    if error.details or error.code not in {Code.INVALID_ARGUMENT, Code.RESOURCE_EXHAUSTED}:
        return error
    violation = library_messages.violation_in(error.message)
    return connect_error(errors.InvalidRequest(violation))
