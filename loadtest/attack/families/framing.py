"""Requests whose end two readers may see at different places: what smuggling lives on."""

import random
from collections.abc import Iterator

from loadtest.attack.families.family import Family, shooting
from loadtest.attack.families.mutations import valid_request
from loadtest.attack.shots import JSON, SERVICE, Header, Headers, Shot, Wanted, chunk, head, raw

CHUNKED = (b"transfer-encoding", b"chunked")
# Beside a length, or alone, each of these is either not known or ambiguous.
ENCODINGS: tuple[bytes, ...] = (
    b"xchunked",
    b"chunked, identity",
    b"identity",
    b"gzip",
    b"\x0bchunked",
    b"chunked\x0b",
)
ENCODINGS += (b"chunked, chunked", b"chunked;q=1", b"'chunked'", b"chunke", b"chunked\0")
LENGTHS: tuple[bytes, ...] = (
    b"+5",
    b"-1",
    b"0x5",
    b"5, 6",
    b"5 6",
    b"",
    b"1e1",
    b"\xd9\xa5",
    b"9" * 30,
    b"5\0",
    b"5;",
)
LENGTHS += (b"18446744073709551616", b"0_5", b"5.0")
SIZES: tuple[bytes, ...] = (
    b"-1",
    b"0x5",
    b"g",
    b"",
    b" ",
    b"ffffffffffffffff",
    b"fffffffffffffffff",
    b"+5",
)
SIZES += (b"\x005", b"5\x0b", b"1_0")
HIDDEN = b"GET /healthz?hidden HTTP/1.1\r\nhost: coupons\r\n\r\n"


def shots(chance: random.Random, campaign_id: str) -> Iterator[Shot]:
    """Yield such requests, most of them with another one in their body."""
    while True:
        rpc, request = valid_request(chance, campaign_id)
        path = SERVICE + rpc.encode()
        body = request.to_json().encode()
        match chance.randrange(7):
            case 0:
                yield _refused(
                    path, [_length(len(body)), CHUNKED], chunk(body) + chunk(b"") + HIDDEN
                )
            case 1:
                yield _refused(path, [_length(len(body)), _length(len(body) + 5)], body + HIDDEN)
            case 2:
                coding = (b"transfer-encoding", chance.choice(ENCODINGS))
                yield _refused(path, [coding], chunk(body) + chunk(b"") + HIDDEN)
            case 3:
                length = (b"content-length", chance.choice(LENGTHS))
                yield _refused(path, [length], body + HIDDEN)
            case 4:
                size = chance.choice(SIZES)
                yield _refused(path, [CHUNKED], size + b"\r\n" + body + b"\r\n0\r\n\r\n" + HIDDEN)
            case 5:
                name = chance.choice(
                    [b"transfer-encoding ", b"transfer\x0bencoding", b"\ttransfer-encoding"]
                )
                yield _refused(path, [_length(3), (name, b"chunked")], chunk(body) + HIDDEN)
            case _:
                yield _pipeline(chance, path, body)


def _length(byte_count: int) -> Header:
    return b"content-length", b"%d" % byte_count


def _refused(path: bytes, headers: Headers, body: bytes) -> Shot:
    return raw(head(b"POST", path, [*JSON, *headers]) + body, Wanted.REFUSED)


def _pipeline(chance: random.Random, path: bytes, body: bytes) -> Shot:
    """Return several good requests at once; each has one answer."""
    count = chance.randint(2, 20)
    good = head(b"POST", path, [*JSON, _length(len(body))]) + body
    in_chunks = (
        head(b"POST", path, [*JSON, CHUNKED]) + chunk(body[:3]) + chunk(body[3:]) + chunk(b"")
    )
    data = b"".join(chance.choice([good, in_chunks]) for _ in range(count))
    return raw(data, Wanted.CONNECT, answer_count=count)


FAMILY = Family(
    name="framing",
    title="requests whose end two readers may see at different places; pipelines",
    strike=shooting(shots),
)
