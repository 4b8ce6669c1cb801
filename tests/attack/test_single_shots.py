"""Attacks that once hit: one request each, and what it must come to on both servers."""

import asyncio
from collections.abc import Iterator
from urllib.parse import unquote

import pytest

from loadtest.attack.answers import read_answers
from loadtest.attack.families.slowness import GRACE_SECONDS
from loadtest.attack.http2 import (
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PREFACE,
    RST_STREAM,
    frame,
    headers_of,
    settings,
)
from loadtest.attack.judging import grpc_trailers
from loadtest.attack.shots import GRPC, JSON, SERVICE, Request, call, envelope, get, head
from loadtest.attack.target import KEEP_ALIVE_SECONDS, RECEIVE_SECONDS_MAX, Target
from loadtest.attack.wire import exchange, wire

ANSWERS_WITHIN_SECONDS = 10
UNIMPLEMENTED = "12"
CUT_WITHIN_SECONDS = RECEIVE_SECONDS_MAX + KEEP_ALIVE_SECONDS + GRACE_SECONDS
CALL = Request(target=SERVICE + b"GetCampaign", headers=tuple(JSON), body=b"{}" * 500)
OPEN = PREFACE + settings()
BEGUN = OPEN + frame(HEADERS, headers_of(CALL), flags=END_HEADERS, stream=1)


@pytest.fixture(autouse=True)
def log_is_clean(target: Target) -> Iterator[None]:
    """Hold that nothing that a test does leaves an error in the log, or a line that is none."""
    yield
    assert list(target.log_violations()) == []


@pytest.mark.parametrize("path", [b"/healthz", SERVICE + b"GetCampaign", b"/nothing"])
async def test_an_answer_to_head_has_no_body(target: Target, path: bytes) -> None:
    async with wire(target.url) as connection:
        await connection.send(head(b"HEAD", path) + head(b"GET", b"/healthz"))
        data = b""
        async with asyncio.timeout(ANSWERS_WITHIN_SECONDS):
            while b"alive" not in data:
                data += await connection.read()
    first, rest = data.split(b"\r\n\r\n", 1)
    assert first.startswith(b"HTTP/1.1 ")
    (second,), _ = read_answers(rest, is_closed=True)
    assert (second.status, second.body) == (200, b'{"status": "alive"}')


@pytest.mark.parametrize("path", [b"/%c0%ae", b"/%ed%a0%80", b"/%ff", SERVICE + b"%80"])
async def test_a_path_that_is_no_text_is_answered(target: Target, path: bytes) -> None:
    got = await exchange(target.url, get(path), seconds_max=ANSWERS_WITHIN_SECONDS)
    assert [answer.status in {400, 404} for answer in got.answers] == [True]


async def test_a_grpc_call_over_http1_is_told_what_to_do(target: Target) -> None:
    shot = call("GetCampaign", envelope(b""), GRPC)
    got = await exchange(target.url, shot, seconds_max=ANSWERS_WITHIN_SECONDS)
    (trailers,) = map(grpc_trailers, got.answers)
    assert trailers["grpc-status"] == UNIMPLEMENTED
    assert "HTTP/2" in unquote(trailers["grpc-message"])


@pytest.mark.parametrize(
    ("begun", "byte"),
    [
        (OPEN + frame(HEADERS, headers_of(CALL), stream=1), b""),
        (BEGUN, b""),
        (BEGUN, frame(DATA, b"{", stream=1)),
    ],
    ids=["headers without an end", "no body", "a body byte by byte"],
)
async def test_a_stream_of_http2_that_does_not_arrive_is_given_up(
    target: Target, begun: bytes, byte: bytes
) -> None:
    async with wire(target.url) as connection:

        async def trickle() -> None:
            while byte:
                await connection.send(byte)
                await asyncio.sleep(0.2)

        await connection.send(begun)
        trickling = asyncio.create_task(trickle())
        took = await connection.closed_within(CUT_WITHIN_SECONDS)
        trickling.cancel()
        await asyncio.wait([trickling])
    assert took is not None


@pytest.mark.parametrize(
    "sent",
    [
        OPEN
        + frame(HEADERS, headers_of(CALL), flags=END_HEADERS | END_STREAM, stream=1)
        + frame(RST_STREAM, (8).to_bytes(4, "big"), stream=1),
        PREFACE
        + settings(_4=0)
        + frame(HEADERS, headers_of(CALL), flags=END_HEADERS | END_STREAM, stream=1),
    ],
    ids=["reset at once", "no room for an answer"],
)
async def test_a_caller_of_http2_who_wants_no_answer_is_given_up_without_an_error(
    target: Target, sent: bytes
) -> None:
    async with wire(target.url) as connection:
        await connection.send(sent)
        assert await connection.closed_within(CUT_WITHIN_SECONDS) is not None
