"""Frames of gRPC-Web and gRPC that lie about their length, their flags or their number."""

import gzip
import random
from collections.abc import Iterator

from loadtest.attack.families.family import Family, shooting
from loadtest.attack.families.mutations import Way, mutated, valid_request
from loadtest.attack.shots import GRPC, GRPC_WEB, Shot, Wanted, call, envelope

FLAGS = (0, 1, 2, 3, 0x7E, 0x80, 0x81, 0x82, 0xFF)
LENGTHS = (0, 1, 2**16 - 1, 2**16, 2**24, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1)
FORMATS = (b"", b"+proto", b"+json", b"+thrift", b"-text", b"-text+proto")
ENCODINGS = (b"", b"gzip", b"identity", b"br", b"zstd", b"gzip, gzip", b"\xff")


def shots(chance: random.Random, campaign_id: str) -> Iterator[Shot]:
    """Yield calls with such frames."""
    while True:
        rpc, request = valid_request(chance, campaign_id)
        data = request.to_binary()
        wanted, headers = Wanted.GRPC_WEB, list(GRPC_WEB)
        if chance.random() < 0.4:
            wanted, headers = Wanted.GRPC, list(GRPC)
        if chance.random() < 0.3:
            name = headers[0][1].removesuffix(b"+proto") + chance.choice(FORMATS)
            headers[0] = (b"content-type", name)
            data = request.to_json().encode() if b"json" in name else data
        if encoding := chance.choice(ENCODINGS) if chance.random() < 0.4 else b"":
            headers.append((b"grpc-encoding", encoding))
            data = gzip.compress(data) if chance.random() < 0.7 else data
        yield call(rpc, chance.choice(BODIES)(chance, data), headers, wanted)


# Seldom one frame as it should be.
BODIES: tuple[Way, ...] = (
    lambda _chance, data: envelope(data),
    lambda chance, data: envelope(data, length=chance.choice([*LENGTHS, len(data) + 1])),
    lambda _chance, data: envelope(data, length=max(len(data) - 1, 0)),
    lambda chance, data: envelope(data, flags=chance.choice(FLAGS)),
    lambda chance, data: envelope(data)[: chance.randrange(len(data) + 6)],
    lambda chance, data: envelope(data) + chance.randbytes(chance.randint(1, 40)),
    lambda chance, data: envelope(data) * chance.randint(2, 50),
    lambda _chance, data: envelope(data) + envelope(b"grpc-status: 0\r\n", flags=0x80),
    lambda chance, _data: envelope(b"") * chance.randint(0, 5000),
    lambda _chance, data: envelope(b"{}", flags=2) + envelope(data),
    lambda chance, data: mutated(chance, envelope(data)),
)


FAMILY = Family(
    name="envelopes",
    title="frames of gRPC-Web and gRPC that lie about length, flags or number",
    strike=shooting(shots),
)
