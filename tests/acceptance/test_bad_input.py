"""Whatever comes in: a clear answer, nothing of the inside in it, and the service goes on."""

import asyncio
import gzip
import random
import secrets
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from urllib.parse import quote_from_bytes, unquote

import httpx
import pytest
from acceptance.conftest import create_campaign
from protobuf.wkt.google.protobuf.timestamp_pb import Timestamp
from support.refusals import BAD_REQUEST, ERROR_INFO, Refusal, of_grpc_web, of_json
from support.service import Service
from support.wire import (
    CHUNKED,
    GRPC_WEB,
    JSON,
    NO_ANSWER,
    PROTO,
    RPC_PREFIX,
    Answer,
    chunk,
    envelope,
    get,
    head,
    post,
    wire,
)

from coupon_service.gen.coupon.v1 import coupon_pb as pb

REQUEST_BYTES_MAX = 65536
START = '"startTime":"2020-01-01T00:00:00Z"'
GOOD_JSON = f'{{"name":"x","couponLimit":3,{START}}}'.encode()
GOOD_PROTO = pb.CreateCampaignRequest(
    name="x", coupon_limit=3, start_time=Timestamp(seconds=1)
).to_binary()
GZIP = (b"content-encoding", b"gzip")

# What only the inside knows.
INNER = (b"Traceback", b'File "', b"asyncpg", b"SELECT", b"coupon_service", b"connectrpc", b".py")
# How Python and its libraries talk.
PYTHONISH = (b"<class", b"codec can't", b"object at 0x", b"Error -", b"None", b"NoneType", b"(char")

Ask = Callable[[bytes], Awaitable[Answer]]


@pytest.fixture(scope="module")
def campaign_id(shared_service: Service) -> str:
    return asyncio.run(create_campaign(shared_service.url, limit=1_000_000))


@pytest.fixture(scope="module", autouse=True)
def workers_live_on(shared_service: Service) -> Iterator[None]:
    """Hold that nothing in this module kills a worker."""
    workers = sorted(shared_service.worker_pids())
    yield
    assert sorted(shared_service.worker_pids()) == workers
    assert len(workers) == 2


@pytest.fixture
async def ask(shared_service: Service, campaign_id: str) -> AsyncIterator[Ask]:
    """Send odd bytes; both their connection and new ones must serve good calls afterwards."""
    good = post("GetCampaign", f'{{"campaignId":"{campaign_id}"}}'.encode())
    workers = sorted(shared_service.worker_pids())

    async def ask(request: bytes) -> Answer:
        async with wire(shared_service.url) as connection:
            answer = await connection.ask(request)
            if answer.headers.get("connection") != "close" and answer != NO_ANSWER:
                assert (await connection.ask(good)).status == 200, "the connection is spoilt"
        async with wire(shared_service.url) as connection:
            assert (await connection.ask(good)).status == 200, "the service is spoilt"
        assert [inner for inner in INNER if inner in answer.body] == []
        return answer

    yield ask
    assert sorted(shared_service.worker_pids()) == workers


def assert_invalid(status: int, got: Refusal, *fields: str) -> None:
    """Hold that an answer is INVALID_REQUEST for these fields, in the contract's form."""
    want = "invalid_argument", "INVALID_REQUEST", "coupon.v1", (ERROR_INFO, BAD_REQUEST)
    assert (status, got.summary, got.fields) == (400, want, fields)


def assert_readable(answer: Answer, code: str) -> None:
    """Hold that an answer which no RPC gives is one that Connect clients read."""
    got = of_json(answer.body)
    assert (got.code, got.details) == (code, ())
    assert got.message.endswith(".")
    assert (answer.headers["content-type"], answer.headers["cache-control"]) == (
        "application/json",
        "no-store",
    )


async def assert_json_refused(ask: Ask, rpc: str, body: str | bytes, *fields: str) -> None:
    data = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
    answer = await ask(post(rpc, data))
    assert_invalid(answer.status, of_json(answer.body), *fields)


# JSON --------------------------------------------------------------------------------

UNREADABLE_JSON = {
    "cut off": "{",
    "empty": "",
    "null": "null",
    "an array": "[]",
    "a string": '"x"',
    "a number": "5",
    "NaN": "NaN",
    "two documents": '{"name":"x"}{}',
    "a comment": '{"name":"x"/**/}',
    "single quotes": "{'name':'x'}",
    "UTF-16": '{"name":"x"}'.encode("utf-16"),
    "a byte order mark": b'\xef\xbb\xbf{"name":"x"}',
    "a limit of 5000 digits": f'{{"couponLimit":{"9" * 5000}}}',
    "a start that is no time": '{"startTime":"yesterday"}',
    "a start that is a number": '{"startTime":5}',
    "a start that is an object": '{"startTime":{"seconds":5}}',
    "a start in the year 0": '{"startTime":"0000-01-01T00:00:00Z"}',
    "a start in the year 10000": '{"startTime":"10000-01-01T00:00:00Z"}',
    "a start on February 30": '{"startTime":"2026-02-30T00:00:00Z"}',
    "a start without an offset": '{"startTime":"2026-02-03T00:00:00"}',
    "a start beyond 9999 by its offset": '{"startTime":"9999-12-31T23:59:59-23:59"}',
    "a raw control character": b'{"name":"a\x01b"}',
    "a raw NUL": b'{"name":"a\x00b"}',
    "a lone high surrogate": '{"name":"\\ud800"}',
    "a lone low surrogate": '{"name":"\\udc00x"}',
    "surrogates in the wrong order": '{"name":"\\udc00\\ud800"}',
    "a raw surrogate": b'{"name":"\xed\xa0\x80"}',
    "bytes that are not UTF-8": b'{"name":"\xff"}',
    "an overlong encoding": b'{"name":"\xc0\x80"}',
    "60,000 brackets": "[" * 60_000,
    "60,000 braces": '{"a":' * 13_000,
    "900 brackets": '{"a":' + "[" * 900 + "]" * 900 + "}",
}


@pytest.mark.parametrize("body", UNREADABLE_JSON.values(), ids=UNREADABLE_JSON.keys())
async def test_json_that_cannot_be_read_is_refused(ask: Ask, body: str | bytes) -> None:
    await assert_json_refused(ask, "CreateCampaign", body, "request")


UNFIT_JSON = {
    "a name that is a number": '{"name":5}',
    "a name that is an array": '{"name":["x"]}',
    "a name that is an object": '{"name":{}}',
    "a name that is true": '{"name":true}',
    "a limit that is text": '{"couponLimit":"many"}',
    "a limit that is true": '{"couponLimit":true}',
    "a limit with a fraction": '{"couponLimit":1.5}',
    "a limit beyond 32 bits": '{"couponLimit":2147483648}',
    "a limit below 32 bits": '{"couponLimit":-2147483649}',
    "a limit beyond 64 bits": '{"couponLimit":18446744073709551616}',
    "a limit beyond floats": '{"couponLimit":1e400}',
}


@pytest.mark.parametrize("body", UNFIT_JSON.values(), ids=UNFIT_JSON.keys())
async def test_a_json_value_that_does_not_fit_is_refused_by_its_field(ask: Ask, body: str) -> None:
    field = "name" if "name" in body else "coupon_limit"
    await assert_json_refused(ask, "CreateCampaign", body, field)


@pytest.mark.parametrize(
    "body",
    [b'{"name":5}', b'{"startTime":5}', b"null", b"{", b'{"couponLimit":true}', b'{"name":[1]}'],
)
async def test_a_refusal_of_json_is_a_plain_sentence(ask: Ask, body: bytes) -> None:
    answer = await ask(post("CreateCampaign", body))
    assert [word for word in PYTHONISH if word in answer.body] == []


@pytest.mark.parametrize(
    "request_bytes",
    [
        post("CreateCampaign", b"\x0a\x01\xff", PROTO),
        post("CreateCampaign", b"not gzip", [*JSON, GZIP]),
        post("CreateCampaign", gzip.compress(GOOD_JSON)[:-12], [*JSON, GZIP]),
    ],
    ids=["not UTF-8", "not gzip", "gzip cut off"],
)
async def test_a_refusal_of_bytes_is_a_plain_sentence(ask: Ask, request_bytes: bytes) -> None:
    answer = await ask(request_bytes)
    assert [word for word in PYTHONISH if word in answer.body] == []


@pytest.mark.parametrize("rpc", ["IssueCoupon", "GetCampaign"])
@pytest.mark.parametrize("body", ["{", "", "null", "[]", "[" * 60_000])
async def test_every_rpc_refuses_what_it_cannot_read(ask: Ask, rpc: str, body: str) -> None:
    await assert_json_refused(ask, rpc, body, "request")


INVALID_JSON = {
    "everything missing": ("{}", "name", "coupon_limit", "start_time"),
    "every field null": (
        '{"name":null,"couponLimit":null,"startTime":null}',
        *("name", "coupon_limit", "start_time"),
    ),
    "a limit of 0": (f'{{"name":"x","couponLimit":0,{START}}}', "coupon_limit"),
    "a negative limit": (f'{{"name":"x","couponLimit":-1,{START}}}', "coupon_limit"),
    "the least limit": (f'{{"name":"x","couponLimit":-2147483648,{START}}}', "coupon_limit"),
    "the greatest limit": (f'{{"name":"x","couponLimit":2147483647,{START}}}', "coupon_limit"),
    "10,000,001 coupons": (f'{{"name":"x","couponLimit":10000001,{START}}}', "coupon_limit"),
    "201 characters": (f'{{"name":"{"가" * 201}","couponLimit":1,{START}}}', "name"),
    "an empty name": (f'{{"name":"","couponLimit":1,{START}}}', "name"),
    "an end before the start": (
        f'{{"name":"x","couponLimit":1,{START},"endTime":"2019-01-01T00:00:00Z"}}',
        "end_time",
    ),
    "an end at the start": (
        f'{{"name":"x","couponLimit":1,{START},"endTime":"2020-01-01T00:00:00Z"}}',
        "end_time",
    ),
    "a request id of 129": (
        f'{{"name":"x","couponLimit":1,{START},"requestId":"{"r" * 129}"}}',
        "request_id",
    ),
}


@pytest.mark.parametrize("case", INVALID_JSON.values(), ids=INVALID_JSON.keys())
async def test_a_bad_field_is_named(ask: Ask, case: tuple[str, ...]) -> None:
    body, *fields = case
    await assert_json_refused(ask, "CreateCampaign", body, *fields)


CONTROL_CHARACTERS = [*range(0x20), *range(0x7F, 0xA0)]


@pytest.mark.parametrize("field", ["name", "requestId"])
async def test_no_text_of_a_campaign_may_hold_a_control_character(ask: Ask, field: str) -> None:
    for character in CONTROL_CHARACTERS:
        texts = {"name": "x", "requestId": "r"} | {field: f"a\\u{character:04x}"}
        body = f'{{"name":"{texts["name"]}","requestId":"{texts["requestId"]}"}}'
        fields = [("name", "request_id")[field == "requestId"], "coupon_limit", "start_time"]
        await assert_json_refused(ask, "CreateCampaign", body, *sorted(fields, key=ORDER.index))


ORDER = ["name", "coupon_limit", "request_id", "start_time"]


async def test_no_user_id_may_hold_a_control_character(ask: Ask, campaign_id: str) -> None:
    for character in CONTROL_CHARACTERS:
        body = f'{{"campaignId":"{campaign_id}","userId":"a\\u{character:04x}b"}}'
        await assert_json_refused(ask, "IssueCoupon", body, "user_id")


@pytest.mark.parametrize("rpc", ["IssueCoupon", "GetCampaign"])
@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "\\u0000",
        "00000000000000000000000000000000",
        "{00000000-0000-0000-0000-000000000000}",
        "urn:uuid:00000000-0000-0000-0000-000000000000",
        "00000000-0000-0000-0000-000000000000\\n",
        " 00000000-0000-0000-0000-000000000000",
        "\uff10" * 8 + "-0000-0000-0000-000000000000",
        "0000000-00000-0000-0000-000000000000",
        "0" * 60_000,
    ],
)
async def test_a_campaign_id_is_36_characters_of_a_uuid(ask: Ask, rpc: str, text: str) -> None:
    await assert_json_refused(ask, rpc, f'{{"campaignId":"{text}"}}', "campaign_id")


async def test_a_campaign_id_may_be_written_in_capitals(ask: Ask, campaign_id: str) -> None:
    answer = await ask(post("GetCampaign", f'{{"campaignId":"{campaign_id.upper()}"}}'.encode()))
    assert (answer.status, answer.json()["campaign"]["campaignId"]) == (200, campaign_id)


@pytest.mark.parametrize(
    "name",
    ["e\u0301 \u1100\u1161 한글", "\U0001f600", "\u202e\u200b\ufeff", "\ufffe\uffff", "가" * 200],
    ids=["decomposed", "beyond 16 bits", "invisible", "non-characters", "200 characters"],
)
async def test_text_comes_back_unchanged(ask: Ask, name: str) -> None:
    answer = await ask(
        post("CreateCampaign", f'{{"name":"{name}","couponLimit":1,{START}}}'.encode())
    )
    assert (answer.status, answer.json()["campaign"]["name"]) == (200, name)


async def test_a_decomposed_user_id_is_another_user_than_a_composed_one(
    ask: Ask, campaign_id: str
) -> None:
    answers = [
        await ask(
            post("IssueCoupon", f'{{"campaignId":"{campaign_id}","userId":"{user}"}}'.encode())
        )
        for user in ("\u00e9", "e\u0301")
    ]
    assert [answer.json()["coupon"]["userId"] for answer in answers] == ["\u00e9", "e\u0301"]
    assert len({answer.json()["coupon"]["code"] for answer in answers}) == 2


ACCEPTED_JSON = {
    "unknown fields": (GOOD_JSON[:-1] + b',"zzz":{"a":[1,null,{}]}}', "x", 3),
    "the last of two equal keys": (GOOD_JSON[:-1] + b',"name":"y"}', "y", 3),
    "the last of a key's two spellings": (GOOD_JSON[:-1] + b',"coupon_limit":4}', "x", 4),
    "a limit in quotes": (GOOD_JSON.replace(b"3", b'"3"', 1), "x", 3),
    "a whole limit with a fraction": (GOOD_JSON.replace(b"3", b"3.0", 1), "x", 3),
    "a whole limit with an exponent": (GOOD_JSON.replace(b"3", b"1e1", 1), "x", 10),
}


@pytest.mark.parametrize("case", ACCEPTED_JSON.values(), ids=ACCEPTED_JSON.keys())
async def test_json_is_read_as_the_protobuf_rules_say(
    ask: Ask, case: tuple[bytes, str, int]
) -> None:
    body, name, limit = case
    answer = await ask(post("CreateCampaign", body))
    campaign = answer.json()["campaign"]
    assert (answer.status, campaign["name"], campaign["couponLimit"]) == (200, name, limit)


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"),
        ("2020-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"),
        ("0001-01-01T00:00:00.000001Z", "9999-12-31T23:59:59.999998Z"),
        ("1969-12-31T23:59:59.999999Z", "1970-01-01T00:00:00Z"),
    ],
)
async def test_the_farthest_instants_are_kept_or_refused(ask: Ask, start: str, end: str) -> None:
    body = f'{{"name":"x","couponLimit":1,"startTime":"{start}","endTime":"{end}"}}'
    answer = await ask(post("CreateCampaign", body.encode()))
    if answer.status == 400:
        assert of_json(answer.body).reason == "INVALID_REQUEST"
        assert set(of_json(answer.body).fields) <= {"start_time", "end_time"}
        return
    assert answer.status == 200
    created = answer.json()["campaign"]
    shown = await ask(post("GetCampaign", f'{{"campaignId":"{created["campaignId"]}"}}'.encode()))
    assert (shown.status, shown.json()["campaign"]) == (200, created)
    assert (created["startTime"], created["endTime"]) == (start, end)


# Binary ------------------------------------------------------------------------------


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


# Bodies ------------------------------------------------------------------------------

SPACES = b" " * (REQUEST_BYTES_MAX + 1)
BOMB = gzip.compress(b" " * 50_000_000)
CREATE = RPC_PREFIX + b"CreateCampaign"

OVERSIZED = {
    "by its length": post("CreateCampaign", SPACES),
    "by far": post("CreateCampaign", SPACES * 20),
    "in chunks": head(b"POST", CREATE, [*JSON, *CHUNKED])
    + b"".join(chunk(each) for each in (SPACES[:40_000], SPACES[40_000:], b"")),
    "in small chunks": head(b"POST", CREATE, [*JSON, *CHUNKED])
    + chunk(b" " * 50) * 2000
    + chunk(b""),
    "once expanded": post("CreateCampaign", gzip.compress(SPACES), [*JSON, GZIP]),
    "a gzip bomb": post("CreateCampaign", BOMB, [*JSON, GZIP]),
    "a gzip bomb in a query": get(
        "GetCampaign",
        b"encoding=json&compression=gzip&base64=1&message="
        + urlsafe_b64encode(gzip.compress(b" " * 5_000_000)),
    ),
}


@pytest.mark.parametrize("request_bytes", OVERSIZED.values(), ids=OVERSIZED.keys())
async def test_an_oversized_message_is_refused(ask: Ask, request_bytes: bytes) -> None:
    answer = await ask(request_bytes)
    assert_invalid(answer.status, of_json(answer.body), "request")
    assert str(REQUEST_BYTES_MAX) in of_json(answer.body).message


async def test_a_message_of_exactly_the_greatest_size_is_read(ask: Ask) -> None:
    body = GOOD_JSON.ljust(REQUEST_BYTES_MAX)
    plain = await ask(post("CreateCampaign", body))
    compressed = await ask(post("CreateCampaign", gzip.compress(body), [*JSON, GZIP]))
    assert (plain.status, compressed.status) == (200, 200)


BAD_GZIP = {
    "no gzip": GOOD_JSON,
    "cut off": gzip.compress(GOOD_JSON)[:-12],
    "without its end": gzip.compress(GOOD_JSON)[:-1],
    "a wrong checksum": gzip.compress(GOOD_JSON)[:-8] + b"\0" * 8,
    "rubbish behind it": gzip.compress(GOOD_JSON) + b"rubbish",
    "3,000 empty members": gzip.compress(b"") * 3000,
}


@pytest.mark.parametrize("body", BAD_GZIP.values(), ids=BAD_GZIP.keys())
async def test_bad_gzip_is_refused(ask: Ask, body: bytes) -> None:
    answer = await ask(post("CreateCampaign", body, [*JSON, GZIP]))
    assert_invalid(answer.status, of_json(answer.body), "request")


@pytest.mark.parametrize("encoding", [b"br", b"zstd", b"deflate", b"GZIP", b"gzip, gzip", b"\xff'"])
async def test_an_unknown_content_encoding_is_unimplemented_as_connect_has_it(
    ask: Ask, encoding: bytes
) -> None:
    answer = await ask(post("CreateCampaign", GOOD_JSON, [*JSON, (b"content-encoding", encoding)]))
    # 501 is what the Connect protocol makes of it; the message must say what is known.
    assert (answer.status, of_json(answer.body).code) == (501, "unimplemented")
    assert of_json(answer.body).message.endswith("the supported encoding is gzip.")


# Headers and the request line --------------------------------------------------------


@pytest.mark.parametrize(
    "content_type",
    [
        b"text/plain",
        b"application/xml",
        b"application/x-www-form-urlencoded",
        b"multipart/form-data; boundary=x",
        b"application/connect+json",
        b"application/grpc-web-text",
        b"Application/GRPC",
        b"json",
        b"",
        b";",
        b"\xff\xfe",
    ],
)
async def test_a_content_type_that_is_not_spoken_is_415(ask: Ask, content_type: bytes) -> None:
    answer = await ask(post("CreateCampaign", GOOD_JSON, [(b"content-type", content_type)]))
    if content_type == b"json":
        # The Connect implementations agree to take a bare codec's name.
        assert answer.status == 200
    else:
        assert answer.status == 415
        assert "json" in answer.headers["accept-post"]
        assert_readable(answer, "unknown")


async def test_a_codec_that_grpc_web_does_not_have_is_415_without_a_body(ask: Ask) -> None:
    content_type = b"application/grpc-web+nonsense"
    answer = await ask(post("CreateCampaign", GOOD_JSON, [(b"content-type", content_type)]))
    # Its clients read the status; JSON would be taken for a message.
    assert (answer.status, answer.body) == (415, b"")


async def test_no_content_type_is_415(ask: Ask) -> None:
    assert (await ask(post("CreateCampaign", GOOD_JSON, []))).status == 415


@pytest.mark.parametrize("subtype", [b"", b"+proto", b"+json"])
async def test_grpc_without_http2_is_told_what_to_use_instead(ask: Ask, subtype: bytes) -> None:
    body = envelope(GOOD_PROTO)
    answer = await ask(
        post("CreateCampaign", body, [(b"content-type", b"application/grpc" + subtype)])
    )
    # As gRPC's clients and proxies read it: a status without trailers, in the headers.
    assert (answer.status, answer.body) == (200, b"")
    assert (answer.headers["content-type"], answer.headers["grpc-status"]) == (
        "application/grpc",
        "12",
    )
    assert "`coupon-service serve --server pyvoy`" in unquote(answer.headers["grpc-message"])


async def test_the_parameters_of_a_content_type_do_not_matter(ask: Ask) -> None:
    headers = [(b"content-type", b"Application/JSON ; charset=utf-8")]
    assert (await ask(post("CreateCampaign", GOOD_JSON, headers))).status == 200


@pytest.mark.parametrize(
    "told",
    [b"abc", b"-1", b"+5", b"1.5", b"1 0", b"99999999999", b"\xff", "\uff15".encode(), b"1_0"],
)
async def test_a_connect_timeout_that_is_no_number_is_refused(ask: Ask, told: bytes) -> None:
    headers = [*JSON, (b"connect-timeout-ms", told)]
    answer = await ask(post("CreateCampaign", GOOD_JSON, headers))
    assert_invalid(answer.status, of_json(answer.body), "connect-timeout-ms")


@pytest.mark.parametrize("told", [b"", b"60000", b"9999999999"])
async def test_a_connect_timeout_that_has_not_passed_changes_nothing(ask: Ask, told: bytes) -> None:
    headers = [*JSON, (b"connect-timeout-ms", told)]
    assert (await ask(post("CreateCampaign", GOOD_JSON, headers))).status == 200


async def test_a_passed_deadline_is_deadline_exceeded(ask: Ask, campaign_id: str) -> None:
    body = f'{{"campaignId":"{campaign_id}"}}'.encode()
    answer = await ask(post("IssueCoupon", body, [*JSON, (b"connect-timeout-ms", b"0")]))
    assert (answer.status, of_json(answer.body).code) == (504, "deadline_exceeded")


async def test_another_connect_protocol_version_is_refused(ask: Ask) -> None:
    headers = [*JSON, (b"connect-protocol-version", b"2")]
    answer = await ask(post("CreateCampaign", GOOD_JSON, headers))
    assert_invalid(answer.status, of_json(answer.body), "connect-protocol-version")


@pytest.mark.parametrize(
    "header",
    [
        (b"x-odd", b"\xff\xfe\x80"),
        (b"x-odd", "한글".encode()),
        (b"x-odd", b""),
        (b"x-odd", b"\t tab \t"),
        (b"authorization", b"Bearer \xff"),
        (b"accept-encoding", b"\xff, gzip;q=x"),
        (b"user-agent", b"\xe0\x80"),
        (b"cookie", b"=;;=\xc0"),
        (b"connect-accept-encoding", b"\xff"),
        (b"host", b"[::1"),
        (b"expect", b"nonsense"),
        (b"range", b"bytes=9-1"),
        (b"content-type", b"text/plain"),
        (b"x-forwarded-for", b"'; DROP TABLE coupon; --"),
    ],
)
async def test_an_odd_header_changes_nothing(ask: Ask, header: tuple[bytes, bytes]) -> None:
    answer = await ask(post("CreateCampaign", GOOD_JSON, [*JSON, header]))
    assert answer.status == 200


@pytest.mark.parametrize(
    "header",
    [
        (b"x-odd", b"\x01"),
        (b"x-odd", b"\x00"),
        (b"x-odd", b"a\rb"),
        (b"x odd", b"1"),
        (b"x-odd\xff", b"1"),
        (b"", b"1"),
        (b"content-length", b"-1"),
        (b"content-length", b"abc"),
        (b"content-length", b"5"),
        (b"transfer-encoding", b"chunked"),
        (b"transfer-encoding", b"nonsense"),
    ],
)
async def test_a_head_that_is_not_http_is_a_bad_request(
    ask: Ask, header: tuple[bytes, bytes]
) -> None:
    answer = await ask(post("CreateCampaign", GOOD_JSON, [*JSON, header]))
    assert_invalid(answer.status, of_json(answer.body), "request")


@pytest.mark.parametrize("token", [b"h2c", b"websocket", b"nonsense"])
async def test_an_offered_upgrade_is_ignored(ask: Ask, token: bytes) -> None:
    headers = [*JSON, (b"connection", b"Upgrade"), (b"upgrade", token)]
    assert (await ask(post("CreateCampaign", GOOD_JSON, headers))).status == 200


async def test_a_head_of_megabytes_is_refused(ask: Ask) -> None:
    headers = [*JSON, (b"x-endless", b"a" * 4_000_000)]
    answer = await ask(post("CreateCampaign", GOOD_JSON, headers))
    assert answer.status in {400, 431}


async def test_a_body_is_asked_for_where_the_caller_waits_for_that(
    shared_service: Service,
) -> None:
    length = (b"content-length", str(len(GOOD_JSON)).encode())
    async with wire(shared_service.url) as connection:
        asked = await connection.ask(
            head(b"POST", CREATE, [*JSON, length, (b"expect", b"100-continue")])
        )
        answer = await connection.ask(GOOD_JSON)
    assert (asked.status, answer.status) == (100, 200)


@pytest.mark.parametrize(
    "data",
    [
        b"GET\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET /healthz HTTP/9.9\r\n\r\n",
        b"NONSENSE / HTTP/1.1\r\n\r\n",
        head(b"GET", b"http://"),
        head(b"GET", b"/\xff"),
        head(b"GET", b"/a b"),
        head(b"GET", b"?x"),
        head(b"GET", b""),
        head(b"POST", CREATE, [*JSON, *CHUNKED]) + b"zz\r\nxx\r\n",
        head(b"POST", CREATE, [*JSON, *CHUNKED]) + b"fffffffffffffffff\r\n",
    ],
)
async def test_what_is_not_http_is_a_bad_request(ask: Ask, data: bytes) -> None:
    assert (await ask(data)).status == 400


@pytest.mark.parametrize(
    "target",
    [
        *(b"/", b"//", b"*", b"/%ff", b"/%00", b"/x#y", b"/../etc/passwd", b"/HEALTHZ"),
        *(b"/coupon.v1.CouponService", RPC_PREFIX, RPC_PREFIX + b"Nonsense"),
        *(RPC_PREFIX + b"CreateCampaign/", RPC_PREFIX + b"issue_coupon"),
        b"/coupon.v2.CouponService/IssueCoupon",
    ],
)
@pytest.mark.parametrize("method", [b"GET", b"POST"])
async def test_what_does_not_exist_is_404(ask: Ask, method: bytes, target: bytes) -> None:
    length = (b"content-length", str(len(GOOD_JSON)).encode())
    body = GOOD_JSON if method == b"POST" else b""
    answer = await ask(head(method, target, [*JSON, length] if body else []) + body)
    assert answer.status == 404
    assert_readable(answer, "unimplemented")


@pytest.mark.parametrize("method", [b"PUT", b"DELETE", b"PATCH", b"OPTIONS", b"HEAD", b"TRACE"])
@pytest.mark.parametrize(
    ("rpc", "allowed"),
    [("CreateCampaign", "POST"), ("IssueCoupon", "POST"), ("GetCampaign", "GET, POST")],
)
async def test_another_method_is_405_and_told_what_is_allowed(
    ask: Ask, method: bytes, rpc: str, allowed: str
) -> None:
    answer = await ask(head(method, RPC_PREFIX + rpc.encode()))
    assert (answer.status, answer.headers["allow"]) == (405, allowed)
    if method != b"HEAD":
        assert_readable(answer, "unknown")


@pytest.mark.parametrize("rpc", ["CreateCampaign", "IssueCoupon"])
async def test_what_changes_something_cannot_be_called_by_get(ask: Ask, rpc: str) -> None:
    answer = await ask(get(rpc, b"encoding=json&message={}"))
    assert (answer.status, answer.headers["allow"]) == (405, "POST")


# GET of GetCampaign ------------------------------------------------------------------

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


# gRPC-Web ----------------------------------------------------------------------------

WEB_GZIP = [*GRPC_WEB, (b"grpc-encoding", b"gzip")]
BAD_ENVELOPES = {
    "three bytes": (b"\0\0\0", GRPC_WEB),
    "shorter than it says": (envelope(b"x", length=100), GRPC_WEB),
    "longer than it says": (envelope(GOOD_PROTO) + b"\0\0", GRPC_WEB),
    "4 GiB": (envelope(b"x", length=2**32 - 1), GRPC_WEB),
    "unknown flags": (envelope(GOOD_PROTO, flags=0x7E), GRPC_WEB),
    "trailers": (envelope(b"grpc-status: 0", flags=0x80), GRPC_WEB),
    "garbage inside": (envelope(b"\xff\xff"), GRPC_WEB),
    "no gzip inside": (envelope(GOOD_PROTO, flags=1), WEB_GZIP),
    "a gzip bomb inside": (envelope(gzip.compress(b"\0" * 10_000_000), flags=1), WEB_GZIP),
    "groups inside": (envelope(b"\x0b" * 60_000), GRPC_WEB),
    "brackets inside": (
        envelope(b"[" * 60_000),
        [(b"content-type", b"application/grpc-web+json")],
    ),
}


@pytest.mark.parametrize("case", BAD_ENVELOPES.values(), ids=BAD_ENVELOPES.keys())
async def test_a_malformed_envelope_is_refused(
    ask: Ask, case: tuple[bytes, list[tuple[bytes, bytes]]]
) -> None:
    body, headers = case
    answer = await ask(post("CreateCampaign", body, headers))
    got = of_grpc_web(answer)
    assert (answer.status, got.code, got.reason) == (200, "3", "INVALID_REQUEST")
    assert (got.domain, got.fields) == ("coupon.v1", ("request",))


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"", GRPC_WEB, "12"),
        (envelope(GOOD_PROTO) * 2, GRPC_WEB, "12"),
        (envelope(GOOD_PROTO), [*GRPC_WEB, (b"grpc-encoding", b"br")], "12"),
        (envelope(GOOD_PROTO, flags=1), GRPC_WEB, "13"),
    ],
    ids=["no message", "two messages", "unknown encoding", "compressed without an encoding"],
)
async def test_a_breach_of_grpc_has_the_status_that_grpc_prescribes(
    ask: Ask, body: bytes, headers: list[tuple[bytes, bytes]], status: str
) -> None:
    answer = await ask(post("CreateCampaign", body, headers))
    assert (answer.status, of_grpc_web(answer).code) == (200, status)


@pytest.mark.parametrize("told", [b"1x", b"S", b"5", b"-1S", b"999999999S", b"\xff", b"", b"1.5S"])
async def test_a_grpc_timeout_that_cannot_be_read_is_refused(ask: Ask, told: bytes) -> None:
    headers = [*GRPC_WEB, (b"grpc-timeout", told)]
    answer = await ask(post("CreateCampaign", envelope(GOOD_PROTO), headers))
    got = of_grpc_web(answer)
    assert (answer.status, got.code, got.reason) == (200, "3", "INVALID_REQUEST")
    assert (got.domain, got.fields) == ("coupon.v1", ("grpc-timeout",))


async def test_a_passed_grpc_deadline_is_deadline_exceeded(ask: Ask) -> None:
    headers = [*GRPC_WEB, (b"grpc-timeout", b"0n")]
    answer = await ask(post("CreateCampaign", envelope(GOOD_PROTO), headers))
    assert (answer.status, of_grpc_web(answer).code) == (200, "4")


# Connections -------------------------------------------------------------------------


async def test_callers_that_hang_up_half_way_disturb_nobody(
    shared_service: Service, ask: Ask
) -> None:
    whole = post("CreateCampaign", GOOD_JSON)
    for length in range(0, len(whole), 7):
        async with wire(shared_service.url) as connection:
            await connection.send(whole[:length])
    assert (await ask(whole)).status == 200


async def test_pipelined_requests_are_answered_in_order(shared_service: Service) -> None:
    requests = [
        post("CreateCampaign", GOOD_JSON),
        post("CreateCampaign", b"{"),
        head(b"GET", b"/healthz"),
        head(b"GET", b"/nonsense"),
    ]
    async with wire(shared_service.url) as connection:
        await connection.send(b"".join(requests))
        answers = [await connection.answer() for _ in requests]
    assert [answer.status for answer in answers] == [200, 400, 200, 404]


async def test_a_client_library_is_served_after_all_this(
    shared_service: Service, campaign_id: str
) -> None:
    async with httpx.AsyncClient(base_url=shared_service.url) as plain:
        response = await plain.post(
            "/coupon.v1.CouponService/IssueCoupon", json={"campaignId": campaign_id}
        )
    assert response.status_code == 200


# Anything at all ---------------------------------------------------------------------

FUZZ_REQUESTS = 600
SEEDS = [
    (GOOD_JSON, JSON),
    (b'{"campaignId":"00000000-0000-0000-0000-000000000000","userId":"u","view":1}', JSON),
    (GOOD_PROTO, PROTO),
    (envelope(GOOD_PROTO), GRPC_WEB),
    (gzip.compress(GOOD_JSON), [*JSON, GZIP]),
]
HARMLESS = {200, 400, 404, 405, 415, 501, 504}


def mutated(chance: random.Random, data: bytes) -> bytes:
    """Change, drop, double or insert some bytes."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 8)):
        place = chance.randrange(len(changed) + 1)
        match chance.randrange(4):
            case 0:
                changed[place : place + 1] = bytes([chance.randrange(256)])
            case 1:
                del changed[place : place + chance.randint(1, 8)]
            case 2:
                changed[place:place] = changed[place : place + chance.randint(1, 64)]
            case _:
                changed[place:place] = chance.choice(
                    [b"\0", b"\xff" * 10, b"[" * 1200, b'"', b"\\ud800", b"\x0b" * 200, b"-1e999"]
                )
    return bytes(changed)


def fuzzed_request(chance: random.Random) -> bytes:
    body, headers = chance.choice(SEEDS)
    rpc = chance.choice(["CreateCampaign", "GetCampaign", "IssueCoupon"])
    extra = mutated(chance, chance.choice([b"1000", b"gzip", b"1S", b"text/plain", b"*/*"]))
    name = chance.choice(
        [b"connect-timeout-ms", b"grpc-timeout", b"accept-encoding", b"x-odd", b"content-encoding"]
    )
    # A line break would make another head of it; whether that has an end, nobody knows.
    value = extra.translate(None, b"\r\n")
    if chance.random() < 0.2:
        return get(rpc, mutated(chance, b"encoding=json&message=%7B%7D").translate(None, b"\r\n "))
    return post(rpc, mutated(chance, body), [*headers, (name, value)])


async def test_random_requests_are_answered_and_harm_nothing(shared_service: Service) -> None:
    seed = secrets.randbits(32)
    print(f"seed {seed}")  # noqa: T201 # pytest shows it with a failure
    chance = random.Random(seed)
    workers = sorted(shared_service.worker_pids())
    for number in range(FUZZ_REQUESTS):
        request = fuzzed_request(chance)
        async with wire(shared_service.url) as connection:
            answer = await connection.ask(request)
        told = f"seed {seed}, request {number}: {request!r} was answered {answer}"
        assert answer.status in HARMLESS, told
        assert [inner for inner in INNER if inner in answer.body] == [], told
    async with wire(shared_service.url) as connection:
        assert (await connection.ask(post("CreateCampaign", GOOD_JSON))).status == 200
    assert sorted(shared_service.worker_pids()) == workers
