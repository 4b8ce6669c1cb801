"""The wire formats, and the requests that would take the process with them."""

import json
from collections.abc import AsyncIterator

import pytest
from connectrpc.codec import Codec, proto_binary_codec
from hypothesis import given
from hypothesis import strategies as st

from coupon_service.codecs import OPENING_BRACKETS_MAX, Encoded, codecs, speaks_json, with_codes
from coupon_service.gen.coupon.v1.coupon_pb import (
    Campaign,
    CampaignView,
    CreateCampaignRequest,
    GetCampaignRequest,
    GetCampaignResponse,
    IssueCouponRequest,
)

BINARY, CODEC = codecs()


@pytest.mark.parametrize(
    "bomb",
    [
        b"[" * 60_000,
        b'{"a":' * 12_000,
        b'{"name":' + b"[" * 60_000,
        b'{"unknown":' + b"[" * 30_000 + b"]" * 30_000 + b"}",
        b'{"unknown":' + b'[{"a":' * 10_000,
        b" [\n" * 20_000,
        b'{"startTime":' * 5_000,
        b"[" * 1_000_000,
    ],
    ids=["array", "object", "field", "unknown", "mixed", "spaced", "known", "huge"],
)
def test_deep_nesting_is_refused_before_it_is_decoded(bomb: bytes) -> None:
    """The underlying decoder kills the process on these; that this goes on is the proof."""
    with pytest.raises(ValueError, match=r"^it has too many brackets$"):
        CODEC.decode(bomb, CreateCampaignRequest)
    with pytest.raises(ValueError, match=r"^it has too many brackets$"):
        CODEC.decode(bytearray(bomb), CreateCampaignRequest)


@pytest.mark.parametrize("opening", [b"[", b"{", b'{"a":', b'[{"a":'])
def test_the_deepest_nesting_that_is_let_through_does_no_harm(opening: bytes) -> None:
    deep = opening * (OPENING_BRACKETS_MAX // (opening.count(b"[") + opening.count(b"{")))
    with pytest.raises(ValueError, match="line 1 column"):
        CODEC.decode(deep, CreateCampaignRequest)


def test_1000_brackets_are_let_through_and_1001_are_not() -> None:
    def request(brackets: int) -> bytes:
        return json.dumps({"name": "[{" * (brackets // 2) + "[" * (brackets % 2)}).encode()

    decoded = CODEC.decode(request(999), CreateCampaignRequest)  # with the object's own
    assert decoded.name.count("[") + decoded.name.count("{") == 999
    with pytest.raises(ValueError, match="too many brackets"):
        CODEC.decode(request(1000), CreateCampaignRequest)


def test_the_longest_valid_request_made_of_brackets_is_let_through() -> None:
    asked = CreateCampaignRequest(name="[" * 200, request_id="{" * 128)
    assert CODEC.decode(CODEC.encode(asked), CreateCampaignRequest) == asked


@pytest.mark.parametrize("group", [b"\x0b", b"\x7b", b"\xa3\x06"])
def test_deeply_nested_groups_in_binary_are_refused(group: bytes) -> None:
    with pytest.raises(RecursionError, match="maximum recursion depth"):
        proto_binary_codec().decode(group * 30_000, IssueCouponRequest)


def test_unknown_fields_are_passed_over() -> None:
    decoded = CODEC.decode(b'{"userId":"alice","later":[{"a":[1]}]}', IssueCouponRequest)
    assert decoded == IssueCouponRequest(user_id="alice")


@given(
    name=st.text(st.characters(exclude_categories=["Cs"]), max_size=200),
    coupon_limit=st.integers(-(2**31), 2**31 - 1),
)
def test_what_is_encoded_is_decoded_again(name: str, coupon_limit: int) -> None:
    asked = CreateCampaignRequest(name=name, coupon_limit=coupon_limit)
    decoded = [c.decode(c.encode(asked), CreateCampaignRequest) for c in codecs()]
    assert decoded == [asked, asked]


def test_the_service_speaks_binary_and_json_alone() -> None:
    assert [codec.name() for codec in codecs()] == ["proto", "json"]


@pytest.mark.parametrize("codec", codecs(), ids=["binary", "json"])
@given(pages=st.lists(st.lists(st.text("가나다234", min_size=1), min_size=1), min_size=1))
async def test_an_answer_encoded_page_by_page_is_the_whole_answer(
    codec: Codec, pages: list[list[str]]
) -> None:
    async def paged() -> AsyncIterator[list[str]]:
        for page in pages:
            yield page

    campaign = Campaign(campaign_id="x", name='"]}가', coupon_limit=7)
    speaks_json.set(codec.name() == "json")
    answer: object = await with_codes(GetCampaignResponse(campaign=campaign), paged())
    whole = GetCampaignResponse(campaign=campaign, coupon_codes=[c for page in pages for c in page])
    assert isinstance(answer, Encoded)
    assert codec.decode(codec.encode(answer), GetCampaignResponse) == whole


@pytest.mark.parametrize(
    "view", ["CAMPAIGN_VIEW_BASICC", "campaign_view_basic", "BASIC", "", "1", 3, -1, 2**31 - 1]
)
@pytest.mark.parametrize("among", ["", '"unknown":{"view":1},'])
def test_a_view_that_does_not_exist_is_refused_and_not_read_as_every_code(
    view: str | int, among: str
) -> None:
    request = f'{{{among}"view":{json.dumps(view)}}}'
    with pytest.raises(ValueError, match=r"for field coupon\.v1\.GetCampaignRequest\.view$"):
        CODEC.decode(request.encode(), GetCampaignRequest)


@pytest.mark.parametrize(
    ("json_of_view", "view"),
    [
        ("null", CampaignView.UNSPECIFIED),
        ("0", CampaignView.UNSPECIFIED),
        ('"CAMPAIGN_VIEW_UNSPECIFIED"', CampaignView.UNSPECIFIED),
        ("1", CampaignView.BASIC),
        ('"CAMPAIGN_VIEW_BASIC"', CampaignView.BASIC),
        ('"CAMPAIGN_VIEW_FULL"', CampaignView.FULL),
    ],
)
def test_a_view_that_exists_is_read(json_of_view: str, view: CampaignView) -> None:
    request = f'{{"view":{json_of_view},"viewer":"unknown"}}'.encode()
    assert CODEC.decode(request, GetCampaignRequest).view == view
