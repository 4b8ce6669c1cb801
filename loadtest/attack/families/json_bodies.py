"""JSON that is deep, huge, ambiguous, of the wrong types or no JSON at all."""

import json
import random
from collections.abc import Iterator

from loadtest.attack.families.family import Family, shooting
from loadtest.attack.families.mutations import Way, mutated, valid_request
from loadtest.attack.shots import RPCS, Shot, Wanted, call, envelope

FIELDS = (
    "name",
    "couponLimit",
    "startTime",
    "endTime",
    "requestId",
    "campaignId",
    "userId",
    "view",
    "unknown",
)
NUMBERS: tuple[bytes, ...] = (
    b"NaN",
    b"Infinity",
    b"-Infinity",
    b"1e400",
    b"-0",
    b"9" * 5000,
    b"0x10",
    b"1.5",
    b"1e-9",
)
NUMBERS += (b"2147483648", b"-2147483649", b"18446744073709551616", b"01", b"+1", b".5", b"5.")
VALUES: tuple[bytes, ...] = (
    b"null",
    b"true",
    b'""',
    b"[]",
    b"{}",
    b"[[[]]]",
    b'"NaN"',
    b'"\\u0000"',
    b'"\\ud800"',
)
VALUES += (b'"\\udc00\\ud800"', b'"\xed\xa0\x80"', b'"\xff"', b'"\xc0\x80"', b'"\x00"', b"'x'")
TIMES: tuple[bytes, ...] = (
    b'"0000-01-01T00:00:00Z"',
    b'"9999-12-31T23:59:60Z"',
    b'"2020-01-01"',
    b'"now"',
)
TIMES += (b'"99999-01-01T00:00:00Z"', b'"2020-01-01T00:00:00.9999999999Z"', b'{"seconds":1}')
TYPES: tuple[bytes, ...] = (
    b"application/json",
    b"application/json; charset=utf-16",
    b"APPLICATION/JSON",
)
TYPES += (b"application/json; charset=utf-8",)

LETTERS = (b"x", b"\\n", b"\\u0041")
ENCODINGS = ("utf-16", "utf-16-le", "utf-32", "utf-7", "utf-8-sig")
ENDS = (b"{}", b"\0", b" " * 50_000, b"//", b"]", b"\xff")


def shots(chance: random.Random, campaign_id: str) -> Iterator[Shot]:
    """Yield calls with such bodies."""
    while True:
        rpc, request = valid_request(chance, campaign_id)
        body = chance.choice(SPOILT)(chance, request.to_json().encode())
        if chance.random() < 0.2:
            headers = [(b"content-type", b"application/grpc-web+json")]
            yield call(rpc, envelope(body), headers, Wanted.GRPC_WEB)
        else:
            rpc = rpc if chance.random() < 0.9 else chance.choice(RPCS)
            yield call(rpc, body, [(b"content-type", chance.choice(TYPES))])


def _with(chance: random.Random, body: bytes, value: bytes) -> bytes:
    name = chance.choice(FIELDS).encode()
    return body[:-1] + b',"' + name + b'":' + value + b"}"


SPOILT: tuple[Way, ...] = (
    mutated,
    lambda chance, body: _with(chance, body, chance.choice(VALUES + NUMBERS + TIMES)),
    lambda chance, body: _with(chance, body, _deep(chance)),
    lambda chance, body: _with(chance, body, b'"' + chance.choice(LETTERS) * 9000 + b'"'),
    lambda chance, body: body[: chance.randrange(len(body) + 1)],
    lambda chance, body: b"{" + b",".join([body[1:-1]] * chance.randint(2, 200)) + b"}",
    lambda chance, body: body.decode().encode(chance.choice(ENCODINGS)),
    lambda chance, body: body + chance.choice(ENDS),
    lambda chance, body: body[:-1] + b"," + _unknown(chance)[1:],
)


def _deep(chance: random.Random) -> bytes:
    """Return arrays or objects in one another, perhaps never closed."""
    opening, closing = chance.choice([(b"[", b"]"), (b'{"a":', b"}")])
    # Just below a thousand, parsers that recurse come to Python's limit.
    depths = [100, 499, chance.randrange(850, 1000), 999, 1001, 60_000]
    depth = min(chance.choice(depths), 60_000 // (len(opening) + 1))
    return opening * depth + closing * chance.choice([0, depth])


def _unknown(chance: random.Random) -> bytes:
    """Return an object of fields that nobody knows."""
    many = {f"unknown{number}": [number] for number in range(chance.randint(1, 300))}
    return json.dumps(many).encode()


FAMILY = Family(
    name="json",
    title="JSON that is deep, huge, ambiguous, of wrong types, or no JSON at all",
    strike=shooting(shots),
)
