"""Whatever binary message comes in: a clear answer."""

import pytest
from acceptance.bad_input.asking import GOOD_PROTO, Ask, assert_invalid
from protobuf.wkt.google.protobuf.timestamp_pb import Timestamp
from support.refusals import of_json
from support.wire import PROTO, post

from coupon_service.gen.coupon.v1 import coupon_pb as pb


def timestamped(timestamp: bytes) -> bytes:
    """Return a CreateCampaignRequest with a start_time of these bytes."""
    return b"\x0a\x01x\x10\x03\x1a" + bytes([len(timestamp)]) + timestamp


MINUS_ONE = b"\xff" * 9 + b"\x01"
LEAST = b"\x80" * 9 + b"\x01"
GREATEST = b"\xff" * 8 + b"\x7f"

BAD_PROTO = {
    "an endless number": (b"\xff" * 10, "request"),
    "a name that is not UTF-8": (b"\x0a\x01\xff", "request"),
    "a name with a surrogate": (b"\x0a\x03\xed\xa0\x80", "request"),
    "a name longer than the message": (b"\x0a\xff\xff\xff\xff\x0f", "request"),
    "a name of negative length": (b"\x0a" + MINUS_ONE + b"x", "request"),
    "a cut off tag": (b"\x80", "request"),
    "field 0": (b"\x00\x01", "request"),
    "wire type 7": (b"\x0f", "request"),
    "an end without a group": (b"\x0c", "request"),
    "60,000 open groups": (b"\x0b" * 60_000, "request"),
    "30,000 closed groups": (b"\x0b" * 30_000 + b"\x0c" * 30_000, "request"),
    "30,000 groups of field 99": (b"\x9b\x06" * 30_000, "request"),
    "60,000 groups in the start": (b"\x1a\xe0\xd4\x03" + b"\x0b" * 60_000, "request"),
    "nothing": (b"", "name", "coupon_limit", "start_time"),
    "a number for the name": (b"\x08\x01", "name", "coupon_limit", "start_time"),
    "a NUL in the name": (b"\x0a\x01\x00\x10\x03\x1a\x00", "name"),
    "a limit of 64 bits": (b"\x0a\x01x\x10" + MINUS_ONE + b"\x1a\x00", "coupon_limit"),
    "the greatest seconds": (timestamped(b"\x08" + GREATEST), "start_time"),
    "the least seconds": (timestamped(b"\x08" + LEAST), "start_time"),
    "a second before the year 1": (
        timestamped(Timestamp(seconds=-62_135_596_801).to_binary()),
        "start_time",
    ),
    "a second after the year 9999": (
        timestamped(Timestamp(seconds=253_402_300_800).to_binary()),
        "start_time",
    ),
    "a rounding into the year 10000": (
        timestamped(Timestamp(seconds=253_402_300_799, nanos=999_999_001).to_binary()),
        "start_time",
    ),
    "negative nanos": (timestamped(b"\x10" + MINUS_ONE), "start_time"),
    "a second of nanos": (timestamped(Timestamp(nanos=1_000_000_000).to_binary()), "start_time"),
    "the greatest nanos": (timestamped(b"\x10\xff\xff\xff\xff\x07"), "start_time"),
}


@pytest.mark.parametrize("case", BAD_PROTO.values(), ids=BAD_PROTO.keys())
async def test_a_bad_binary_message_is_refused(
    ask: Ask, case: tuple[bytes, *tuple[str, ...]]
) -> None:
    body, *fields = case
    answer = await ask(post("CreateCampaign", body, PROTO))
    assert_invalid(answer.status, of_json(answer.body), *fields)


@pytest.mark.parametrize("view", [b"\x03", b"\x7f", MINUS_ONE, GREATEST])
async def test_a_view_that_does_not_exist_is_refused(
    ask: Ask, campaign_id: str, view: bytes
) -> None:
    body = pb.GetCampaignRequest(campaign_id=campaign_id).to_binary() + b"\x10" + view
    answer = await ask(post("GetCampaign", body, PROTO))
    assert_invalid(answer.status, of_json(answer.body), "view")


async def test_unknown_binary_fields_are_ignored(ask: Ask) -> None:
    answer = await ask(post("CreateCampaign", GOOD_PROTO + b"\xfa\x07\x03\xff\xff\xff", PROTO))
    created = pb.CreateCampaignResponse.from_binary(answer.body).campaign
    assert created is not None
    assert (answer.status, created.name) == (200, "x")
