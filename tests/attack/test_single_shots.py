"""Attacks that once hit: one request each, and what it must come to on both servers."""

import asyncio
import time
from collections.abc import Iterator
from urllib.parse import unquote

import pytest

from loadtest.attack.answers import read_answers
from loadtest.attack.families.slowness import BYTE_PAUSE_SECONDS, GRACE_SECONDS
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
# By so much Envoy may be early: it counts from when it last looked at the clock.
CLOCK_SECONDS = 0.1
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


NOT_ARRIVING = {
    "headers without an end": (OPEN + frame(HEADERS, headers_of(CALL), stream=1), b""),
    "no body": (BEGUN, b""),
    "a body byte by byte": (BEGUN, frame(DATA, b"{", stream=1)),
}
WHOLE = frame(HEADERS, headers_of(CALL), flags=END_HEADERS | END_STREAM, stream=1)
WANTING_NO_ANSWER = {
    "reset at once": (OPEN + WHOLE + frame(RST_STREAM, (8).to_bytes(4, "big"), stream=1), b""),
    "no room for an answer": (PREFACE + settings(_4=0) + WHOLE, b""),
}


async def seconds_until_cut(target: Target, begun: bytes, byte: bytes) -> float | None:
    """Begin a request, go on byte by byte, and return how long it took to be cut off."""
    begun_at = time.monotonic()
    async with wire(target.url) as connection:

        async def trickle() -> None:
            while byte:
                await connection.send(byte)
                await asyncio.sleep(BYTE_PAUSE_SECONDS)

        await connection.send(begun)
        trickling = asyncio.create_task(trickle())
        took = await connection.closed_within(CUT_WITHIN_SECONDS)
        trickling.cancel()
        await asyncio.wait([trickling])
    return None if took is None else time.monotonic() - begun_at


async def cut_at_the_wrong_time(
    target: Target, cases: dict[str, tuple[bytes, bytes]], *, seconds_min: float
) -> dict[str, float | None]:
    """Begin requests all at once; return when those were cut off that were so too early.

    None is for never. uvicorn only says that it does not speak HTTP/2, in a time of its own.
    """
    cuts = await asyncio.gather(*(seconds_until_cut(target, *case) for case in cases.values()))
    took = dict(zip(cases, cuts, strict=True))
    earliest = seconds_min - CLOCK_SECONDS if target.server == "pyvoy" else 0
    return {name: each for name, each in took.items() if each is None or each < earliest}


async def test_a_stream_of_http2_that_does_not_arrive_is_given_up(target: Target) -> None:
    assert await cut_at_the_wrong_time(target, NOT_ARRIVING, seconds_min=RECEIVE_SECONDS_MAX) == {}


async def test_a_caller_of_http2_who_wants_no_answer_is_given_up_without_an_error(
    target: Target,
) -> None:
    wrong = await cut_at_the_wrong_time(target, WANTING_NO_ANSWER, seconds_min=KEEP_ALIVE_SECONDS)
    assert wrong == {}
