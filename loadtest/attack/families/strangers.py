"""Callers who speak something else: other versions, other protocols, noise."""

import random
from collections.abc import Iterator

from loadtest.attack.families.family import Family, shooting
from loadtest.attack.http2 import PREFACE, settings
from loadtest.attack.shots import JSON, SERVICE, Shot, chunk, head, raw

TLS_HELLO = bytes.fromhex(
    "160301007b010000770303"
    + "5a" * 32
    + "20"
    + "a5" * 32
    + "0006130113021303010000280000000c000a000007636f75706f6e73002b0003020304000d000400020403"
)
VERSIONS = (
    b"0.9",
    b"1.0",
    b"1.2",
    b"2",
    b"2.0",
    b"3",
    b"9.9",
    b"1.1.1",
    b"",
    b"-1",
    b"1.",
    b"01.1",
)
UPGRADES = (b"websocket", b"h2c", b"TLS/1.0", b"HTTP/2.0", b"IRC/6.9, x", b"", b"\xff")
GREETINGS = (
    TLS_HELLO,
    TLS_HELLO[:9],
    b"SSH-2.0-OpenSSH_9.6\r\n",
    b"EHLO coupons\r\n",
    b"GET / HTTP/1.1\n\n",
    b"\r\n\r\n\r\n",
    b"\0" * 1000,
    b"*1\r\n$4\r\nPING\r\n",
    b"\x00\x00\x00\x08\x04\xd2\x16\x2f",
    b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
    b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c",
    PREFACE,
    PREFACE + settings(),
    PREFACE[:16],
    PREFACE + b"\xff" * 100,
    b"GET /healthz\r\n",
    b"HTTP/1.1 200 OK\r\n\r\n",
)


def shots(chance: random.Random, _campaign_id: str) -> Iterator[Shot]:
    """Yield what such callers begin with."""
    while True:
        match chance.randrange(5):
            case 0:
                yield raw(chance.choice(GREETINGS))
            case 1:
                yield raw(chance.randbytes(chance.randint(1, 3000)))
            case 2:
                version = chance.choice(VERSIONS)
                yield raw(head(b"GET", b"/healthz", version=version))
            case 3:
                yield raw(_upgrade(chance))
            case _:
                good = head(b"GET", b"/healthz")
                place = chance.randrange(len(good))
                yield raw(good[:place] + chance.randbytes(chance.randint(1, 9)) + good[place:])


def _upgrade(chance: random.Random) -> bytes:
    offer = [
        (b"connection", chance.choice([b"Upgrade", b"upgrade, HTTP2-Settings", b"close, upgrade"])),
        (b"upgrade", chance.choice(UPGRADES)),
        (b"http2-settings", b"AAMAAABkAAQAoAAAAAIAAAAA"),
        (b"sec-websocket-version", b"13"),
        (b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="),
    ]
    if chance.random() < 0.5:
        return head(b"GET", chance.choice([b"/healthz", b"/"]), offer)
    body = chunk(b"{}") + chunk(b"")
    headers = [*JSON, (b"transfer-encoding", b"chunked"), *offer]
    return head(b"POST", SERVICE + b"GetCampaign", headers) + body


FAMILY = Family(
    name="strangers",
    title="other versions and protocols, upgrades, TLS on the plain port, noise",
    strike=shooting(shots),
)
