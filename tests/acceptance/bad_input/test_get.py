"""GetCampaign by GET with queries that are garbled."""

from urllib.parse import quote_from_bytes

import pytest
from acceptance.bad_input.asking import Ask, assert_invalid
from support.refusals import of_json
from support.wire import get, post

BAD_QUERIES = {
    "no message": (b"encoding=json", "request"),
    "an empty message": (b"encoding=json&message=", "request"),
    "an empty object": (b"encoding=json&message={}", "campaign_id"),
    "garbled JSON": (b"encoding=json&message=%7B%7B", "request"),
    "bytes that are not UTF-8": (b"encoding=json&message=%ff%fe", "request"),
    "a surrogate": (b"encoding=json&message=%ed%a0%80", "request"),
    "a NUL": (b"encoding=json&message=%00", "request"),
    "cut off percents": (b"encoding=json&message=%7B%7", "request"),
    "Korean": (b"encoding=json&message=%ED%95%9C", "request"),
    "garbled binary": (b"encoding=proto&message=%ff%ff", "request"),
    "an empty binary": (b"encoding=proto&message=", "campaign_id"),
    "garbled base64": (b"encoding=json&base64=1&message=!!!", "request"),
    "base64 of nonsense": (b"encoding=proto&base64=1&message=_w", "request"),
    "base64 that is not ASCII": (b"encoding=json&base64=1&message=%ED%95%9C", "request"),
    "base64 of one character": (b"encoding=json&base64=1&message=e", "request"),
    "a broken gzip": (b"encoding=json&compression=gzip&message={}", "request"),
    "30,000 brackets": (b"encoding=json&message=" + b"[" * 30_000, "request"),
}


@pytest.mark.parametrize("case", BAD_QUERIES.values(), ids=BAD_QUERIES.keys())
async def test_a_garbled_query_is_refused(ask: Ask, case: tuple[bytes, str]) -> None:
    query, bad_field = case
    answer = await ask(get("GetCampaign", query))
    assert_invalid(answer.status, of_json(answer.body), bad_field)


@pytest.mark.parametrize(
    "query",
    [b"", b"message={}", b"encoding=&message={}", b"encoding=xml&message={}", b"&&==%%%;", b"%00"],
)
async def test_a_query_without_a_known_encoding_is_415(ask: Ask, query: bytes) -> None:
    assert (await ask(get("GetCampaign", query))).status == 415


async def test_a_query_of_raw_bytes_is_not_http(ask: Ask) -> None:
    assert (await ask(get("GetCampaign", b"encoding=json&message=\xed\x95\x9c"))).status == 400


@pytest.mark.parametrize("view", [b'"CAMPAIGN_VIEW_BASICC"', b'"basic"', b'""', b"3", b"-1"])
async def test_a_view_that_json_cannot_name_is_refused_and_not_read_as_every_code(
    ask: Ask, campaign_id: str, view: bytes
) -> None:
    message = b'{"campaignId":"%b","view":%b}' % (campaign_id.encode(), view)
    query = b"encoding=json&message=" + quote_from_bytes(message).encode()
    for request in (post("GetCampaign", message), get("GetCampaign", query)):
        answer = await ask(request)
        assert_invalid(answer.status, of_json(answer.body), "view")
