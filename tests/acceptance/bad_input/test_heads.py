"""Odd heads: content types, timeouts, headers, methods, paths."""

from urllib.parse import unquote

import pytest
from acceptance.bad_input.asking import (
    CREATE,
    GOOD_JSON,
    GOOD_PROTO,
    Ask,
    assert_invalid,
    assert_readable,
)
from support.refusals import of_json
from support.service import Service
from support.wire import CHUNKED, JSON, RPC_PREFIX, envelope, get, head, post, wire


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
    assert answer.headers["cache-control"] == "no-store"
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
