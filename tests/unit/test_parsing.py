"""A request becomes domain data unchanged, or is refused with every violation it has."""

import time
import unicodedata
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from protobuf.wkt.google.protobuf.timestamp_pb import Timestamp

from coupon_service import parsing
from coupon_service.domain import Claim, NewCampaign
from coupon_service.errors import FieldViolation, InvalidRequest
from coupon_service.gen.coupon.v1.coupon_pb import (
    CampaignView,
    CreateCampaignRequest,
    GetCampaignRequest,
    IssueCouponRequest,
)

ID_TEXT = "0b8f3f3e-5f0c-4b2f-9b5e-0c6c3c1d2e4f"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST_SECOND = -62_135_596_800  # 0001-01-01T00:00:00Z
LAST_SECOND = 253_402_300_799  # 9999-12-31T23:59:59Z
YEAR_1 = datetime(1, 1, 1, tzinfo=UTC)
END_OF_9999 = datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)

CONTROL_CHARACTERS = [chr(code) for code in (*range(0x20), 0x7F, *range(0x80, 0xA0))]

NAME_LENGTH = "It must have 1 to 200 characters."
ID_LENGTH = "It must have 1 to 128 characters."
NO_CONTROL = "It must not contain control characters."
LIMIT = "It must be from 1 to 10,000,000."
REQUIRED = "It is required."
YEARS = "It must be a valid time in the years 1 to 9999."
LATER = "It must be later than start_time."
UUID_TEXT = "It must be a UUID of 36 characters."


def request(  # a valid one, unless told otherwise
    *,
    name: str = "Launch night",
    coupon_limit: int = 100,
    start_time: Timestamp | None = Timestamp(seconds=1000),  # noqa: B008 # nobody changes it
    end_time: Timestamp | None = None,
    request_id: str = "",
) -> CreateCampaignRequest:
    return CreateCampaignRequest(
        name=name,
        coupon_limit=coupon_limit,
        start_time=start_time,
        end_time=end_time,
        request_id=request_id,
    )


def violations(asked: CreateCampaignRequest) -> list[tuple[str, str]]:
    """Return what is wrong with a request, [] if nothing is."""
    try:
        parsing.new_campaign(asked)
    except InvalidRequest as exc:
        return [(each.field, each.description) for each in exc.violations]
    return []


def violations_of_claim(asked: IssueCouponRequest) -> list[tuple[str, str]]:
    try:
        parsing.claim(asked, None)
    except InvalidRequest as exc:
        return [(each.field, each.description) for each in exc.violations]
    return []


def test_a_whole_request_becomes_a_new_campaign() -> None:
    asked = request(end_time=Timestamp(seconds=2000, nanos=1000), request_id="r-1")
    assert parsing.new_campaign(asked) == NewCampaign(
        name="Launch night",
        coupon_limit=100,
        start_time=EPOCH + timedelta(seconds=1000),
        end_time=EPOCH + timedelta(seconds=2000, microseconds=1),
        request_id="r-1",
    )


def test_end_time_and_request_id_may_be_left_out() -> None:
    asked = CreateCampaignRequest(name="x", coupon_limit=1, start_time=Timestamp())
    assert parsing.new_campaign(asked) == NewCampaign(
        name="x", coupon_limit=1, start_time=EPOCH, end_time=None, request_id=""
    )


def test_an_empty_request_has_three_violations() -> None:
    assert violations(CreateCampaignRequest()) == [
        ("name", NAME_LENGTH),
        ("coupon_limit", LIMIT),
        ("start_time", REQUIRED),
    ]


def test_every_bad_field_is_named_at_once() -> None:
    asked = request(
        name="a\tb",
        coupon_limit=0,
        request_id="x" * 129,
        start_time=Timestamp(seconds=LAST_SECOND + 1),
        end_time=Timestamp(nanos=-1),
    )
    assert violations(asked) == [
        ("name", NO_CONTROL),
        ("coupon_limit", LIMIT),
        ("request_id", ID_LENGTH),
        ("start_time", YEARS),
        ("end_time", YEARS),
    ]


def test_a_refusal_s_message_names_each_field() -> None:
    with pytest.raises(InvalidRequest) as refused:
        parsing.new_campaign(request(name="", coupon_limit=0))
    named = f"name: {NAME_LENGTH[:-1]}; coupon_limit: {LIMIT[:-1]}"
    assert refused.value.message == f"The request is not valid ({named})."
    assert refused.value.violations == (
        FieldViolation(field="name", description=NAME_LENGTH),
        FieldViolation(field="coupon_limit", description=LIMIT),
    )


@pytest.mark.parametrize(
    ("limit", "wrong"),
    [
        (-(2**31), [LIMIT]),
        (-1, [LIMIT]),
        (0, [LIMIT]),
        (1, []),
        (10_000_000, []),
        (10_000_001, [LIMIT]),
        (2**31 - 1, [LIMIT]),
    ],
)
def test_a_limit_is_from_1_to_10_000_000(limit: int, wrong: list[str]) -> None:
    assert violations(request(coupon_limit=limit)) == [("coupon_limit", each) for each in wrong]


@pytest.mark.parametrize("character", ["a", "가", "😀", "\u0301"])
@pytest.mark.parametrize(
    ("length", "wrong"), [(0, [NAME_LENGTH]), (1, []), (200, []), (201, [NAME_LENGTH])]
)
def test_a_name_has_1_to_200_characters_however_many_bytes_they_take(
    character: str, length: int, wrong: list[str]
) -> None:
    assert violations(request(name=character * length)) == [("name", each) for each in wrong]


@pytest.mark.parametrize("character", ["a", "가", "😀"])
@pytest.mark.parametrize(
    ("length", "wrong"), [(0, []), (1, []), (128, []), (129, [ID_LENGTH]), (60_000, [ID_LENGTH])]
)
def test_an_id_of_a_request_or_user_has_at_most_128_characters(
    character: str, length: int, wrong: list[str]
) -> None:
    text = character * length
    claim = IssueCouponRequest(campaign_id=ID_TEXT, user_id=text)
    assert violations(request(request_id=text)) == [("request_id", each) for each in wrong]
    assert violations_of_claim(claim) == [("user_id", each) for each in wrong]


def test_there_are_65_control_characters() -> None:
    by_unicode = [chr(i) for i in range(0x110000) if unicodedata.category(chr(i)) == "Cc"]
    assert (by_unicode, len(CONTROL_CHARACTERS)) == (CONTROL_CHARACTERS, 65)


@pytest.mark.parametrize("place", ["{}ab", "a{}b", "ab{}", "{}"])
@pytest.mark.parametrize("character", CONTROL_CHARACTERS, ids=ascii)
def test_no_text_may_contain_a_control_character(character: str, place: str) -> None:
    text = place.format(character)
    claim = IssueCouponRequest(campaign_id=ID_TEXT, user_id=text)
    assert violations(request(name=text)) == [("name", NO_CONTROL)]
    assert violations(request(request_id=text)) == [("request_id", NO_CONTROL)]
    assert violations_of_claim(claim) == [("user_id", NO_CONTROL)]


@given(text=st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=128))
@example(text=unicodedata.normalize("NFD", "가나다 é"))
@example(text=" ")
@example(text=" \u2028\ufeff\U0010ffff")
@example(text="' ; DROP TABLE coupon; -- \\")
def test_any_other_text_is_taken_unchanged(text: str) -> None:
    new = parsing.new_campaign(request(name=text, request_id=text))
    claim = parsing.claim(IssueCouponRequest(campaign_id=ID_TEXT, user_id=text), None)
    assert (new.name, new.request_id, claim.user_id) == (text, text, text)


@given(seconds=st.integers(FIRST_SECOND + 1, LAST_SECOND - 1), nanos=st.integers(0, 999_999_999))
@example(seconds=1000, nanos=1)
@example(seconds=1000, nanos=999)
@example(seconds=1000, nanos=1000)
@example(seconds=1000, nanos=1001)
@example(seconds=-1, nanos=999_999_999)
@example(seconds=FIRST_SECOND, nanos=1)
def test_an_instant_is_rounded_up_to_whole_microseconds(seconds: int, nanos: int) -> None:
    start_time = parsing.new_campaign(
        request(start_time=Timestamp(seconds=seconds, nanos=nanos))
    ).start_time
    stored = (start_time - EPOCH) // timedelta(microseconds=1) * 1000
    assert 0 <= stored - (seconds * 10**9 + nanos) < 1000
    assert start_time.tzinfo is UTC


@pytest.mark.parametrize(
    ("seconds", "nanos", "parsed"),
    [
        (FIRST_SECOND, 1, YEAR_1 + timedelta(microseconds=1)),
        (LAST_SECOND, 0, END_OF_9999.replace(microsecond=0)),
        (LAST_SECOND, 999_998_000, END_OF_9999 - timedelta(microseconds=1)),
    ],
)
def test_an_instant_lies_in_the_years_1_to_9999(seconds: int, nanos: int, parsed: datetime) -> None:
    asked = request(start_time=Timestamp(seconds=seconds, nanos=nanos))
    assert parsing.new_campaign(asked).start_time == parsed


@pytest.mark.parametrize("field", ["start_time", "end_time"])
@pytest.mark.parametrize(
    ("seconds", "nanos"),
    [
        # The very first and last instants mean minus and plus infinity to the driver.
        (FIRST_SECOND, 0),
        (LAST_SECOND, 999_999_000),
        (LAST_SECOND, 999_998_001),
        (FIRST_SECOND - 1, 0),
        (FIRST_SECOND - 1, 999_999_000),
        (LAST_SECOND + 1, 0),
        (10**12, 0),
        (-(10**12), 0),
        (10**15, 0),
        (2**63 - 1, 0),
        (-(2**63), 0),
        (2**63 - 1, 2**31 - 1),
        (-(2**63), -(2**31)),
        (0, -1),
        (0, -999),
        (0, 1_000_000_000),
        (0, 2**31 - 1),
        (0, -(2**31)),
        (LAST_SECOND, 1_000_000_000),
    ],
)
def test_an_instant_that_cannot_be_is_a_violation(field: str, seconds: int, nanos: int) -> None:
    instant = Timestamp(seconds=seconds, nanos=nanos)
    asked = request(start_time=instant) if field == "start_time" else request(end_time=instant)
    assert violations(asked) == [(field, YEARS)]


@given(seconds=st.integers(-(2**63), 2**63 - 1), nanos=st.integers(-(2**31), 2**31 - 1))
def test_any_timestamp_that_the_wire_can_carry_is_taken_or_refused(
    seconds: int, nanos: int
) -> None:
    carried = Timestamp.from_binary(Timestamp(seconds=seconds, nanos=nanos).to_binary())
    microseconds = seconds * 10**6 - (-nanos // 1000)
    is_instant = (
        FIRST_SECOND * 10**6 < microseconds < (LAST_SECOND + 1) * 10**6 - 1 and 0 <= nanos < 10**9
    )
    wrong = [] if is_instant else [("start_time", YEARS)]
    assert violations(request(start_time=carried)) == wrong


@pytest.mark.parametrize(
    ("start", "end", "wrong"),
    [
        (Timestamp(seconds=10), Timestamp(seconds=10, nanos=1), []),
        (Timestamp(seconds=10), Timestamp(seconds=10, nanos=1000), []),
        (Timestamp(seconds=10), Timestamp(seconds=10), [("end_time", LATER)]),
        (Timestamp(seconds=10), Timestamp(seconds=9, nanos=999_999_999), [("end_time", LATER)]),
        (Timestamp(seconds=10), Timestamp(), [("end_time", LATER)]),
        # They would be stored as the same microsecond.
        (Timestamp(nanos=1), Timestamp(nanos=2), [("end_time", LATER)]),
        (Timestamp(nanos=1), Timestamp(nanos=1000), [("end_time", LATER)]),
        (Timestamp(nanos=1), Timestamp(nanos=1001), []),
    ],
)
def test_the_end_is_later_than_the_start_as_stored(
    start: Timestamp, end: Timestamp, wrong: list[tuple[str, str]]
) -> None:
    assert violations(request(start_time=start, end_time=end)) == wrong


def test_an_end_without_a_start_is_not_compared() -> None:
    asked = request(start_time=None, end_time=Timestamp(seconds=-1))
    assert violations(asked) == [("start_time", REQUIRED)]


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "x",
        ID_TEXT.replace("-", ""),
        f"{{{ID_TEXT}}}",
        f"urn:uuid:{ID_TEXT}",
        f" {ID_TEXT}",
        f"{ID_TEXT}\n",
        f"{ID_TEXT}0",
        ID_TEXT[:-1],
        ID_TEXT.replace("-", "_"),
        ID_TEXT.replace("0b8f", "0b8g"),
        ID_TEXT.replace(
            "0b8f", "\N{ARABIC-INDIC DIGIT ZERO}b8f"
        ),  # digits of other scripts are none here
        "0b8f3f3e5-f0c-4b2f-9b5e-0c6c3c1d2e4f",
        "0" * 60_000,
        "\x00" * 36,
    ],
)
def test_other_forms_of_a_uuid_are_refused(text: str) -> None:
    wrong = (FieldViolation(field="campaign_id", description=UUID_TEXT),)
    with pytest.raises(InvalidRequest) as refused:
        parsing.claim(IssueCouponRequest(campaign_id=text), None)
    assert refused.value.violations == wrong
    with pytest.raises(InvalidRequest) as refused:
        parsing.campaign_and_view(GetCampaignRequest(campaign_id=text))
    assert refused.value.violations == wrong


@given(campaign_id=st.uuids(), is_upper=st.booleans())
@example(campaign_id=UUID(int=0), is_upper=False)
@example(campaign_id=UUID(int=2**128 - 1), is_upper=True)
def test_a_uuid_may_be_written_in_either_case(campaign_id: UUID, *, is_upper: bool) -> None:
    text = str(campaign_id).upper() if is_upper else str(campaign_id)
    claim = parsing.claim(IssueCouponRequest(campaign_id=text), None)
    got, _ = parsing.campaign_and_view(GetCampaignRequest(campaign_id=text))
    assert (claim.campaign_id, got) == (campaign_id, campaign_id)


@pytest.mark.parametrize("view", list(CampaignView))
def test_every_view_is_taken(view: CampaignView) -> None:
    asked = GetCampaignRequest(campaign_id=ID_TEXT, view=view)
    assert parsing.campaign_and_view(asked) == (UUID(ID_TEXT), view)


@pytest.mark.parametrize("number", [3, 99, 2**31 - 1, -1])
def test_a_view_that_there_is_not_is_a_violation_beside_the_others(number: int) -> None:
    varint = GetCampaignRequest(view=CampaignView.BASIC).to_binary()[:1] + varint_of(number)
    with pytest.raises(InvalidRequest) as refused:
        parsing.campaign_and_view(GetCampaignRequest.from_binary(varint))
    assert refused.value.violations == (
        FieldViolation(field="campaign_id", description=UUID_TEXT),
        FieldViolation(field="view", description="There is no such view."),
    )


def varint_of(number: int) -> bytes:
    """Return a number as the binary wire format writes it."""
    number %= 2**64
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*encoded, number])


def test_a_claim_has_every_violation_at_once() -> None:
    asked = IssueCouponRequest(campaign_id="x", user_id="\x85")
    assert violations_of_claim(asked) == [("campaign_id", UUID_TEXT), ("user_id", NO_CONTROL)]


def test_a_claim_of_a_caller_who_waits_for_ever_has_no_deadline() -> None:
    asked = IssueCouponRequest(campaign_id=ID_TEXT, user_id="alice")
    assert parsing.claim(asked, None) == Claim(
        campaign_id=UUID(ID_TEXT), user_id="alice", deadline=None
    )


@pytest.mark.parametrize("timeout_ms", [-250.0, 0.0, 1.0, 1500.0, 9_999_999_999.0])
def test_a_deadline_is_as_far_off_as_the_caller_waits(timeout_ms: float) -> None:
    before = time.monotonic()
    deadline = parsing.claim(IssueCouponRequest(campaign_id=ID_TEXT), timeout_ms).deadline
    after = time.monotonic()
    assert deadline is not None
    assert before + timeout_ms / 1000 <= deadline <= after + timeout_ms / 1000
