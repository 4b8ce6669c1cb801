"""Heads with too many headers, too long ones, and values that make no sense."""

import random
from collections.abc import Iterator

from loadtest.attack.families.family import Family, shooting
from loadtest.attack.families.mutations import valid_request
from loadtest.attack.shots import (
    GRPC_WEB,
    JSON,
    SERVICE,
    Header,
    Shot,
    Wanted,
    call,
    envelope,
    head,
    raw,
)

TIMEOUTS: tuple[bytes, ...] = (
    b"0",
    b"-1",
    b"1e3",
    b"99999999999",
    b"9999999999",
    b"",
    b" ",
    b"NaN",
    b"1.5",
    b"\xb2",
)
TIMEOUTS += (b"0x10", b"1_000", b"\xd9\xa1", b"1" * 5000, b"1S", b"99999999H", b"00000000n", b"1 S")
NAMES: tuple[bytes, ...] = (
    b"connect-timeout-ms",
    b"grpc-timeout",
    b"connect-protocol-version",
    b"accept-encoding",
)
NAMES += (
    b"authorization",
    b"x-forwarded-for",
    b"forwarded",
    b"cookie",
    b"origin",
    b"content-language",
)
NAMES += (
    b"connect-accept-encoding",
    b"grpc-accept-encoding",
    b"user-agent",
    b"x-user-agent",
)
NAMES += (
    b"traceparent",
    b"if-none-match",
    b"range",
    b"x-http-method-override",
    b"prefer",
    b"accept",
)
VALUES: tuple[bytes, ...] = (
    b"",
    b"\xff\xfe",
    b"*" * 3000,
    b"Bearer ",
    b"Bearer \xff",
    b"Basic Og==",
    b"bearer x y",
)
VALUES += (
    b"Bearer " + b"a." * 2000,
    b"Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.",  # pragma: allowlist secret
    b"null",
    b"%00",
)
VALUES += (
    b"1.2.3.4, 5.6.7.8",
    b"::1",
    b"unknown",
    b"\xed\xa0\x80",
    b"${jndi:ldap://x}",
    b"{}" * 900,
)
# Where a header is a form of gRPC, its value must be one.
INVALID: tuple[bytes, ...] = (
    b"a\0b: c",
    b": x",
    b"na me: x",
    b"a\x0bb: x",
    b"x",
    b"\x7f: x",
    b"a: \x01",
    b"x: a\rb",
)
INVALID += (b"h\xc3\xa4: x", b"(a): b", b" folded", b"x : y", b"host: other", b"\tx: y")


def shots(chance: random.Random, campaign_id: str) -> Iterator[Shot]:
    """Yield requests with such heads."""
    while True:
        rpc, request = valid_request(chance, campaign_id)
        body = request.to_json().encode()
        match chance.randrange(8):
            case 0 | 1 | 2:
                yield call(rpc, body, [*JSON, *_odd_headers(chance)])
            case 3:
                timeout = (b"grpc-timeout", chance.choice(TIMEOUTS))
                data = envelope(request.to_binary())
                yield call(rpc, data, [*GRPC_WEB, timeout], Wanted.GRPC_WEB)
            case 4:
                many = [(b"x-%d" % n, b"y") for n in range(chance.choice([50, 90, 500, 5000]))]
                yield _either(call(rpc, body, [*JSON, *many]))
            case 5:
                long = (b"x-long", b"z" * chance.choice([8000, 16_300, 20_000, 200_000, 2_000_000]))
                yield _either(call(rpc, body, [*JSON, long]))
            case 6:
                yield raw(_with_line(rpc, body, chance.choice(INVALID)))
            case _:
                yield raw(_endless(chance, rpc))


def _odd_headers(chance: random.Random) -> list[Header]:
    odd = []
    for _ in range(chance.randint(1, 5)):
        name = chance.choice(NAMES)
        values = TIMEOUTS if b"timeout" in name else VALUES
        odd.append((name, chance.choice(values)))
    return odd


def _either(shot: Shot) -> Shot:
    """Let a head that may be too large be refused by HTTP as well."""
    return Shot(data=shot.data, wanted=Wanted.HTTP, request=shot.request)


def _with_line(rpc: str, body: bytes, line: bytes) -> bytes:
    length = (b"content-length", b"%d" % len(body))
    whole = head(b"POST", SERVICE + rpc.encode(), [*JSON, length])
    return whole.removesuffix(b"\r\n") + line + b"\r\n\r\n" + body


def _endless(chance: random.Random, rpc: str) -> bytes:
    """Return a head without an end: one header, many, or none but the path."""
    begun = head(b"POST", SERVICE + rpc.encode()).removesuffix(b"\r\n")
    match chance.randrange(3):
        case 0:
            return begun + b"x: " + b"y" * 300_000
        case 1:
            return begun + b"x: y\r\n" * 50_000
        case _:
            return b"GET /" + b"z" * 300_000


FAMILY = Family(
    name="heads",
    title="heads with too many, too long, endless or senseless headers",
    strike=shooting(shots),
)
