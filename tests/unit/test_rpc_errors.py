"""What a caller gets for each error, and that nothing of the inside goes with it."""

import inspect
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest
from connectrpc.code import Code
from connectrpc.errors import ConnectError
from connectrpc.method import IdempotencyLevel, MethodInfo, StreamType
from connectrpc.request import Headers, RequestContext
from hypothesis import example, given
from hypothesis import strategies as st
from protobuf import Message
from structlog.testing import capture_logs

from coupon_service import errors, rpc_errors
from coupon_service.error_border import ErrorBorder
from coupon_service.gen.coupon.v1.coupon_pb import IssueCouponRequest, IssueCouponResponse
from coupon_service.gen.google.rpc.error_details_pb import BadRequest, ErrorInfo, RetryInfo
from coupon_service.rpc_errors import connect_error

START_TIME = datetime(2030, 1, 31, 20, 0, tzinfo=UTC)
VIOLATIONS = (
    errors.FieldViolation(field="name", description="It is too long."),
    errors.FieldViolation(field="coupon_limit", description="It is too small."),
)
INVALID = errors.InvalidRequest(*VIOLATIONS)
NOT_STARTED = errors.CampaignNotStarted(
    start_time=START_TIME, time_left=timedelta(seconds=90, microseconds=5)
)

# The contract's table, written out by hand: what else than ErrorInfo is told.
CONTRACT: list[tuple[errors.Refused, str, str, list[type[Message]]]] = [
    (INVALID, "INVALID_REQUEST", "invalid_argument", [BadRequest]),
    (errors.CampaignNotFound(), "CAMPAIGN_NOT_FOUND", "not_found", []),
    (NOT_STARTED, "CAMPAIGN_NOT_STARTED", "failed_precondition", [RetryInfo]),
    (errors.CampaignPaused(), "CAMPAIGN_PAUSED", "failed_precondition", []),
    (errors.CampaignEnded(), "CAMPAIGN_ENDED", "failed_precondition", []),
    (errors.CampaignSoldOut(), "SOLD_OUT", "resource_exhausted", []),
    (errors.Overloaded(), "OVERLOADED", "unavailable", [RetryInfo]),
    (errors.StorageUnavailable(), "STORAGE_UNAVAILABLE", "unavailable", [RetryInfo]),
    (errors.OutcomeUnknown(), "OUTCOME_UNKNOWN", "unknown", []),
    (errors.Unauthenticated(), "UNAUTHENTICATED", "unauthenticated", []),
    (errors.PermissionDenied(), "PERMISSION_DENIED", "permission_denied", []),
]


FINER: dict[type[errors.Refused], tuple[errors.Refused, str]] = {
    errors.RateLimited: (errors.RateLimited(time_left=timedelta(seconds=1)), "OVERLOADED"),
    errors.TooManyConnections: (errors.TooManyConnections(), "OVERLOADED"),
    errors.WatchersFull: (errors.WatchersFull(), "OVERLOADED"),
    errors.CredentialsMissing: (errors.CredentialsMissing(), "UNAUTHENTICATED"),
    errors.CodesDenied: (errors.CodesDenied(), "PERMISSION_DENIED"),
    errors.OtherUserDenied: (errors.OtherUserDenied(), "PERMISSION_DENIED"),
}


def all_refusals() -> set[type[errors.Refused]]:
    """Return every refusal there is: the classes that are not only there to be derived from.

    Those that say more exactly what another does have that one's row.
    """
    classes = [
        each
        for _, each in inspect.getmembers(errors, inspect.isclass)
        if issubclass(each, errors.Refused) and each not in FINER
    ]
    return {each for each in classes if not any(each in other.__bases__ for other in classes)}


def details(error: ConnectError) -> list[Message]:
    """Return an error's details as they were given."""
    found = [detail.value() for detail in error.details]
    return [message for message in found if message is not None]


def retry_seconds(error: ConnectError) -> float:
    (info,) = (each for each in details(error) if isinstance(each, RetryInfo))
    assert info.retry_delay is not None
    return info.retry_delay.to_timedelta().total_seconds()


def seen_by_caller(error: ConnectError) -> tuple[Code, str, list[Message]]:
    return error.code, error.message, details(error)


def test_every_refusal_has_exactly_one_row_in_the_contract_and_in_the_table() -> None:
    in_contract = [type(refusal) for refusal, *_ in CONTRACT]
    assert len(in_contract) == len(set(in_contract))
    assert set(in_contract) == all_refusals() == set(rpc_errors.REFUSALS)


def test_every_reason_is_told_apart() -> None:
    reasons = [reason for reason, _ in rpc_errors.REFUSALS.values()]
    assert sorted(reasons) == sorted(reason for _, reason, _, _ in CONTRACT)
    assert len(reasons) == len(set(reasons))


@pytest.mark.parametrize(
    ("refusal", "reason", "code", "further"), CONTRACT, ids=[row[1] for row in CONTRACT]
)
def test_a_refusal_has_the_code_reason_and_details_of_the_contract(
    refusal: errors.Refused, reason: str, code: str, further: Iterable[type[Message]]
) -> None:
    error = connect_error(refusal)
    info = details(error)[0]
    assert isinstance(info, ErrorInfo)
    assert (error.code.value, info.reason, info.domain) == (code, reason, "coupon.v1")
    assert [type(each) for each in details(error)[1:]] == list(further)


@pytest.mark.parametrize(("refusal", "reason"), FINER.values(), ids=str)
def test_a_finer_refusal_has_the_row_of_its_kind_and_a_sentence_of_its_own(
    refusal: errors.Refused, reason: str
) -> None:
    error = connect_error(refusal)
    info = details(error)[0]
    assert isinstance(info, ErrorInfo)
    assert info.reason == reason
    text = (type(refusal).__doc__ or "").strip()
    assert error.message == text
    assert (text[-1:], text.count("."), text.isprintable()) == (".", 1, True)


@pytest.mark.parametrize("milliseconds", [0, 1, 999, 1000, 59_500])
def test_a_caller_who_calls_too_often_is_told_exactly_when_to_come_back(milliseconds: int) -> None:
    refusal = errors.RateLimited(time_left=timedelta(milliseconds=milliseconds))
    assert retry_seconds(connect_error(refusal)) == milliseconds / 1000


@pytest.mark.parametrize("refusal", [row[0] for row in CONTRACT], ids=[row[1] for row in CONTRACT])
def test_only_a_campaign_not_started_has_metadata(refusal: errors.Refused) -> None:
    info = details(connect_error(refusal))[0]
    assert isinstance(info, ErrorInfo)
    wanted = {"start_time": "2030-01-31T20:00:00Z"} if refusal is NOT_STARTED else {}
    assert dict(info.metadata) == wanted


@pytest.mark.parametrize(
    "refusal", [type(row[0]) for row in CONTRACT], ids=[row[1] for row in CONTRACT]
)
def test_the_message_of_a_refusal_is_one_plain_sentence(refusal: type[errors.Refused]) -> None:
    """It is the class's docstring, that of InvalidRequest aside, which names the fields."""
    text = (refusal.__doc__ or "").strip()
    assert text[:1].isupper()
    assert (text[-1:], text.count("."), text.isprintable()) == (".", 1, True)
    if refusal not in {errors.InvalidRequest, errors.CampaignNotStarted}:
        assert connect_error(refusal()).message == text


def test_the_message_of_an_invalid_request_names_every_bad_field() -> None:
    message = connect_error(INVALID).message
    expected = "(name: It is too long; coupon_limit: It is too small)"
    assert message == f"The request is not valid {expected}."


def test_an_invalid_request_has_one_violation_for_each_bad_field() -> None:
    assert details(connect_error(INVALID))[1:] == [
        BadRequest(
            field_violations=[
                BadRequest.FieldViolation(field="name", description="It is too long."),
                BadRequest.FieldViolation(field="coupon_limit", description="It is too small."),
            ]
        )
    ]


@pytest.mark.parametrize("refusal", [errors.Overloaded(), errors.StorageUnavailable()])
def test_a_retry_is_asked_for_within_bounds_and_not_of_all_at_once(
    refusal: errors.Refused,
) -> None:
    delays = [retry_seconds(connect_error(refusal)) for _ in range(1000)]
    assert 0.1 <= min(delays) <= max(delays) <= 1.0
    # A thousand draws from 901 milliseconds: about 600 differ.
    assert len(set(delays)) > 400
    # Spread over the whole range: each tenth of it is drawn (misses one in 1e45).
    assert {int((delay - 0.1) / 0.09) for delay in delays} >= set(range(10))


@given(time_left=st.timedeltas(timedelta(days=-800_000), timedelta(days=3_000_000)))
@example(time_left=timedelta(0))
@example(time_left=timedelta(microseconds=-1))
@example(time_left=timedelta(microseconds=1))
@example(time_left=datetime.max.replace(tzinfo=UTC) - datetime.min.replace(tzinfo=UTC))
def test_not_started_asks_to_retry_after_the_time_left_and_never_before_now(
    time_left: timedelta,
) -> None:
    refusal = errors.CampaignNotStarted(start_time=START_TIME, time_left=time_left)
    retry = details(connect_error(refusal))[1]
    assert isinstance(retry, RetryInfo)
    assert retry.retry_delay is not None
    asked = timedelta(
        seconds=retry.retry_delay.seconds, microseconds=retry.retry_delay.nanos // 1000
    )
    left = max(time_left, timedelta(0))
    # Rounded up, so that whoever waits as told does not come too early.
    assert asked >= left
    # To milliseconds, and long before the start to what clocks lose meanwhile, 100 ppm.
    millisecond = timedelta(milliseconds=1)
    assert asked % millisecond == timedelta(0)
    assert asked - left < millisecond + min(left / 10_000 + millisecond, 100 * millisecond)


@given(time_left=st.timedeltas(timedelta(0), timedelta(seconds=9, milliseconds=999)))
def test_not_started_counts_the_last_ten_seconds_in_milliseconds(time_left: timedelta) -> None:
    refusal = errors.CampaignNotStarted(start_time=START_TIME, time_left=time_left)
    milliseconds = -(-time_left // timedelta(milliseconds=1))
    assert retry_seconds(connect_error(refusal)) == milliseconds / 1000


@given(start_time=st.datetimes(timezones=st.just(UTC)))
def test_not_started_tells_the_exact_start_in_utc(start_time: datetime) -> None:
    refusal = errors.CampaignNotStarted(start_time=start_time, time_left=timedelta(0))
    info = details(connect_error(refusal))[0]
    assert isinstance(info, ErrorInfo)
    told = info.metadata["start_time"]
    assert (told[-1], datetime.fromisoformat(told)) == ("Z", start_time)


INTERNAL = (Code.INTERNAL, "internal error", list[Message]())


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("password of db.internal is hunter2"),
        KeyError("hunter2"),
        ValueError("hunter2"),
        OSError(111, "hunter2"),
        ExceptionGroup("hunter2", [ValueError("hunter2")]),
        AssertionError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_unexpected_error_is_an_internal_error_alone_and_the_log_has_the_rest(
    error: Exception,
) -> None:
    with capture_logs() as logged:
        seen = seen_by_caller(connect_error(error, method="IssueCoupon"))
    assert seen == INTERNAL
    assert logged == [
        {
            "event": "a call failed",
            "log_level": "error",
            "method": "IssueCoupon",
            "exc_info": error,
        }
    ]


@pytest.mark.parametrize("error", [errors.Refused(), errors.IssueRefused()])
def test_a_refusal_that_is_not_in_the_table_is_an_internal_error(error: Exception) -> None:
    with capture_logs() as logged:
        seen = seen_by_caller(connect_error(error))
    assert seen == INTERNAL
    assert [each["event"] for each in logged] == ["a call failed"]


def test_a_deadline_that_passed_is_deadline_exceeded() -> None:
    seen = seen_by_caller(connect_error(TimeoutError("hunter2")))
    assert seen == (Code.DEADLINE_EXCEEDED, "The deadline passed.", [])


@pytest.mark.parametrize(
    ("text", "field", "why"),
    [
        ("unmarshal message: it has too many brackets", "request", "It cannot be read."),
        ("x" * 1000, "request", "It cannot be read."),
        (
            (
                "unmarshal message: expected string got: <class 'int'>"
                " for field coupon.v1.CreateCampaignRequest.name"
            ),
            "name",
            "Its value does not fit.",
        ),
        (
            "unmarshal message: EOF while parsing a value: line 1 column 15 (char 14)",
            "request",
            "It is not valid JSON at line 1, column 15.",
        ),
        (
            (
                "unmarshal message: cannot decode google.protobuf.Timestamp from JSON: why not"
                ", for field coupon.v1.CreateCampaignRequest.start_time"
            ),
            "start_time",
            "It is not a valid time; write one like 2026-01-31T20:00:00+09:00.",
        ),
    ],
)
def test_what_the_library_cannot_read_is_said_in_our_words(text: str, field: str, why: str) -> None:
    error = connect_error(ConnectError(Code.INVALID_ARGUMENT, text))
    assert (error.code, error.message) == (
        Code.INVALID_ARGUMENT,
        f"The request is not valid ({field}: {why[:-1]}).",
    )
    assert details(error) == [
        ErrorInfo(reason="INVALID_REQUEST", domain="coupon.v1"),
        BadRequest(field_violations=[BadRequest.FieldViolation(field=field, description=why)]),
    ]


def test_a_message_that_is_too_large_is_an_invalid_request() -> None:
    """So nothing but sold out is resource_exhausted."""
    text = "message is larger than configured max 65536"
    error = connect_error(ConnectError(Code.RESOURCE_EXHAUSTED, text))
    assert error.code is Code.INVALID_ARGUMENT
    assert error.message == "The request is not valid (request: It is larger than 65536 bytes)."


@pytest.mark.parametrize("data", ["a\nb", "a\rb", "a\x00b", "a\x1b[31mb", "a\u2028b", "a\x85b"])
def test_a_caller_s_own_text_puts_no_line_break_or_control_character_in_a_message(
    data: str,
) -> None:
    """The library quotes what it cannot read."""
    text = f"unmarshal message: invalid integer value: {data}"
    error = connect_error(ConnectError(Code.INVALID_ARGUMENT, text))
    (bad,) = (each for each in details(error) if isinstance(each, BadRequest))
    assert error.message.isprintable()
    assert [each.description.isprintable() for each in bad.field_violations] == [True]


def test_a_call_that_was_broken_off_may_be_made_again() -> None:
    error = connect_error(ConnectError(Code.CANCELED, "Request was cancelled"))
    assert error.code is Code.UNAVAILABLE
    assert details(error)[0] == ErrorInfo(reason="STORAGE_UNAVAILABLE", domain="coupon.v1")


@pytest.mark.parametrize(
    "error",
    [
        ConnectError(Code.UNIMPLEMENTED, "unary request has zero messages"),
        ConnectError(Code.DEADLINE_EXCEEDED, "Request timed out"),
        connect_error(errors.CampaignSoldOut()),
        connect_error(INVALID),
    ],
    ids=lambda error: error.code.value,
)
def test_any_other_error_of_the_protocol_is_passed_on(error: ConnectError) -> None:
    assert connect_error(error) is error


@pytest.fixture
def call() -> RequestContext[IssueCouponRequest, IssueCouponResponse]:
    method = MethodInfo(
        name="IssueCoupon",
        service_name="coupon.v1.CouponService",
        input=IssueCouponRequest,
        output=IssueCouponResponse,
        idempotency_level=IdempotencyLevel.UNKNOWN,
        stream_type=StreamType.UNARY,
    )
    return RequestContext(method=method, http_method="POST", request_headers=Headers())


async def test_the_border_lets_a_call_without_an_error_end(
    call: RequestContext[IssueCouponRequest, IssueCouponResponse],
) -> None:
    border = ErrorBorder()
    await border.on_start(call)
    await border.on_end(None, call, None)


async def test_the_border_replaces_an_error_by_what_the_caller_may_see(
    call: RequestContext[IssueCouponRequest, IssueCouponResponse],
) -> None:
    with capture_logs() as logged, pytest.raises(ConnectError) as raised:
        await ErrorBorder().on_end(None, call, RuntimeError("hunter2"))
    assert seen_by_caller(raised.value) == INTERNAL
    assert [each["method"] for each in logged] == ["IssueCoupon"]


async def test_the_border_replaces_a_refusal_by_its_row(
    call: RequestContext[IssueCouponRequest, IssueCouponResponse],
) -> None:
    with pytest.raises(ConnectError) as raised:
        await ErrorBorder().on_end(None, call, errors.CampaignSoldOut())
    assert raised.value.code is Code.RESOURCE_EXHAUSTED
