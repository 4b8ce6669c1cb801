"""Bodies that grow when they are unpacked, or cannot be."""

import gzip
import random
import zlib
from collections.abc import Iterator
from functools import cache

from loadtest.attack.families.family import Family, shooting
from loadtest.attack.families.mutations import Way, mutated, valid_request
from loadtest.attack.shots import GRPC_WEB, JSON, PROTO, Shot, Wanted, call, envelope

MEGABYTE = 1_000_000
# 300 MB of zeros are 300 kB when packed, and those again less than 1 kB.
BOMB_MEGABYTES = (1, 10, 100, 300)
ENCODINGS: tuple[bytes, ...] = (
    b"gzip",
    b"GZIP",
    b"gzip, gzip",
    b"br",
    b"zstd",
    b"deflate",
    b"identity",
    b"x",
    b"*",
)
ENCODINGS += (b"", b"gzip;q=1", b"\xff", b"gzip" * 500)


@cache
def bomb(megabytes: int) -> bytes:
    """Return so many zeros, packed."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    # After a full flush nothing refers to what came before, so the same can come again.
    block = packer.compress(bytes(MEGABYTE)) + packer.flush(zlib.Z_FULL_FLUSH)
    checksum = 0
    for _ in range(megabytes):
        checksum = zlib.crc32(bytes(MEGABYTE), checksum)
    size = (megabytes * MEGABYTE) % 2**32
    end = packer.flush() + checksum.to_bytes(4, "little") + size.to_bytes(4, "little")
    return gzip.compress(b"")[:10] + block * megabytes + end


@cache
def bomb_in_bomb(megabytes: int) -> bytes:
    """Return a bomb that was packed once more."""
    return gzip.compress(bomb(megabytes))


def shots(chance: random.Random, campaign_id: str) -> Iterator[Shot]:
    """Yield calls with such bodies."""
    while True:
        rpc, request = valid_request(chance, campaign_id)
        is_json = chance.random() < 0.5
        data = request.to_json().encode() if is_json else request.to_binary()
        body = chance.choice(PACKED)(chance, data)
        encoding = b"gzip" if chance.random() < 0.8 else chance.choice(ENCODINGS)
        if chance.random() < 0.3:
            headers = [*GRPC_WEB, (b"grpc-encoding", encoding)]
            yield call(rpc, envelope(body, flags=1), headers, Wanted.GRPC_WEB)
        else:
            headers = [*(JSON if is_json else PROTO), (b"content-encoding", encoding)]
            yield call(rpc, body, headers)


PACKED: tuple[Way, ...] = (
    lambda chance, _data: bomb(chance.choice(BOMB_MEGABYTES))[: chance.choice([60_000, MEGABYTE])],
    lambda chance, _data: bomb(chance.choice(BOMB_MEGABYTES))[:65_000],
    lambda chance, _data: bomb_in_bomb(chance.choice(BOMB_MEGABYTES)),
    lambda chance, data: gzip.compress(data)[: chance.randrange(len(data) + 10)],
    # Members of gzip that follow one another are one text; thousands of them cost.
    lambda chance, data: gzip.compress(data) + gzip.compress(b"") * chance.randint(1, 2900),
    lambda chance, data: gzip.compress(data) + chance.randbytes(chance.randint(1, 100)),
    lambda chance, data: mutated(chance, gzip.compress(data)),
    lambda _chance, data: zlib.compress(data),
    lambda _chance, data: data,
)


FAMILY = Family(
    name="compression",
    title="bodies that unpack to hundreds of megabytes, or not at all",
    strike=shooting(shots),
)
