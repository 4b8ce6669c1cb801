"""Whatever JSON comes in: a clear answer, or it is read as the rules say."""

import gzip

import pytest
from acceptance.bad_input.asking import GOOD_JSON, GZIP, PYTHONISH, START, Ask, assert_json_refused
from support.refusals import of_json
from support.wire import JSON, PROTO, post

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


@pytest.mark.parametrize("depth", [900, 930, 960, 990, 998])
@pytest.mark.parametrize(
    ("rpc", "value"), [("GetCampaign", '"view":1'), ("CreateCampaign", '"startTime":5')]
)
async def test_json_that_nests_deeply_beside_a_field_is_refused(
    ask: Ask, rpc: str, value: str, depth: int
) -> None:
    answer = await ask(post(rpc, f'{{{value},"a":{"[" * depth}{"]" * depth}}}'.encode()))
    assert of_json(answer.body).summary[:2] == ("invalid_argument", "INVALID_REQUEST")


NO_TIMES = {
    "a word": '"yesterday"',
    "a number": "5",
    "an object": '{"seconds":5}',
    "the year 0": '"0000-01-01T00:00:00Z"',
    "the year 10000": '"10000-01-01T00:00:00Z"',
    "February 30": '"2026-02-30T00:00:00Z"',
    "without an offset": '"2026-02-03T00:00:00"',
    "beyond 9999 by its offset": '"9999-12-31T23:59:59-23:59"',
    "empty": '""',
}


@pytest.mark.parametrize("value", NO_TIMES.values(), ids=NO_TIMES.keys())
@pytest.mark.parametrize(
    ("key", "field"), [("startTime", "start_time"), ("end_time", "end_time")], ids=str
)
async def test_what_is_no_time_is_refused_by_its_field(
    ask: Ask, key: str, field: str, value: str
) -> None:
    good = '"name":"x","couponLimit":1'
    good += f",{START}" if field == "end_time" else ""
    await assert_json_refused(ask, "CreateCampaign", f'{{{good},"{key}":{value}}}', field)


async def test_a_refusal_of_a_time_shows_how_one_is_written(ask: Ask) -> None:
    answer = await ask(post("CreateCampaign", b'{"startTime":"tomorrow"}'))
    assert "2026-01-31T20:00:00+09:00" in answer.body.decode()


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
