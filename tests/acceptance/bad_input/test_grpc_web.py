"""gRPC-Web with malformed envelopes and odd headers."""

import gzip

import pytest
from acceptance.bad_input.asking import GOOD_PROTO, Ask
from support.refusals import of_grpc_web
from support.wire import GRPC_WEB, envelope, post

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
