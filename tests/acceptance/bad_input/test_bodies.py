"""Bodies that are too large, or not compressed as they say."""

import gzip
import json
from base64 import urlsafe_b64encode

import pytest
from acceptance.bad_input.asking import (
    CREATE,
    GOOD_JSON,
    GZIP,
    REQUEST_BYTES_MAX,
    Ask,
    assert_invalid,
)
from support.refusals import of_json
from support.wire import CHUNKED, JSON, HeaderList, chunk, envelope, get, head, post

SPACES = b" " * (REQUEST_BYTES_MAX + 1)
BOMB = gzip.compress(b" " * 50_000_000)

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


HEALTH = b"/grpc.health.v1.Health/Check"
REFLECTION = [
    f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo".encode()
    for version in ("v1", "v1alpha")
]
STREAM = ((b"content-type", b"application/connect+json"),)
# Without the limits, the first could be read, and the second would end the process.
UNREAD = {"oversized": b'{"listServices":""}' + SPACES, "deep": b"[" * 60_000}


def posted(path: bytes, headers: HeaderList, body: bytes) -> bytes:
    length = (b"content-length", str(len(body)).encode())
    return head(b"POST", path, [*headers, length]) + body


@pytest.mark.parametrize("body", UNREAD.values(), ids=UNREAD.keys())
async def test_a_health_check_is_held_to_the_limits_of_every_message(ask: Ask, body: bytes) -> None:
    answer = await ask(posted(HEALTH, JSON, body))
    assert_invalid(answer.status, of_json(answer.body), "request")


@pytest.mark.parametrize("path", REFLECTION, ids=["v1", "v1alpha"])
@pytest.mark.parametrize("body", UNREAD.values(), ids=UNREAD.keys())
async def test_reflection_is_held_to_the_limits_of_every_message(
    ask: Ask, path: bytes, body: bytes
) -> None:
    answer = await ask(posted(path, STREAM, envelope(body)))
    # The end of the stream, after the five bytes that say so and how long it is.
    ended = of_json(json.dumps(json.loads(answer.body[5:])["error"]).encode())
    assert (answer.status, ended.summary[:2]) == (200, ("invalid_argument", "INVALID_REQUEST"))


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
