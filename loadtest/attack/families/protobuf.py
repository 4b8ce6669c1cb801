"""Binary messages with wrong types, false lengths, endless nesting and unknown fields."""

import random
from collections.abc import Iterator

from loadtest.attack.families.family import Family, shooting
from loadtest.attack.families.mutations import Way, mutated, valid_request
from loadtest.attack.shots import GRPC_WEB, PROTO, Shot, Wanted, call, envelope

ROOM_BYTES = 60_000
SIZES = (2**31 - 1, 2**31, 2**32, 2**63, 2**64 - 1, ROOM_BYTES)


def shots(chance: random.Random, campaign_id: str) -> Iterator[Shot]:
    """Yield calls with such messages."""
    while True:
        rpc, request = valid_request(chance, campaign_id)
        data = chance.choice(SPOILT)(chance, request.to_binary())
        if chance.random() < 0.3:
            yield call(rpc, envelope(data), GRPC_WEB, Wanted.GRPC_WEB)
        else:
            yield call(rpc, data, PROTO)


def varint(value: int, *, overlong_by: int = 0) -> bytes:
    """Return a number as the binary format has it, with needless bytes if wanted."""
    out = bytearray()
    while value > 0x7F or overlong_by > 0:
        if value <= 0x7F:
            overlong_by -= 1
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def tag(number: int, kind: int) -> bytes:
    """Return what begins a field."""
    return varint(number << 3 | kind)


def _nested(chance: random.Random) -> bytes:
    """Return groups, or messages in messages, as deep as there is room for."""
    if chance.random() < 0.5:
        return tag(chance.randint(1, 9), 3) * chance.randint(10, ROOM_BYTES)
    message = b""
    number = chance.choice([3, 4, 100])
    while len(message) < 2000:
        message = tag(number, 2) + varint(len(message)) + message
    return message


def _unknown(chance: random.Random) -> bytes:
    """Return thousands of fields that nobody knows."""
    fields = b""
    while len(fields) < 20_000:
        number = chance.randint(16, 2**29 - 1)
        fields += tag(number, 2) + b"\x01x" if chance.random() < 0.5 else tag(number, 0) + b"\x01"
    return fields


SPOILT: tuple[Way, ...] = (
    mutated,
    lambda chance, data: data + tag(chance.randint(1, 6), chance.randrange(8)) + _bytes(chance),
    lambda chance, data: data + _nested(chance),
    lambda chance, data: data + tag(2, 0) + _overlong(chance),
    lambda chance, data: data + tag(chance.randint(1, 5), 2) + varint(chance.choice(SIZES)) + b"x",
    lambda _chance, data: (data * (ROOM_BYTES // max(len(data), 1)))[:ROOM_BYTES],
    lambda chance, data: data + _unknown(chance),
    lambda chance, data: data[: chance.randrange(len(data) + 1)],
    lambda chance, _data: _bytes(chance),
)


def _bytes(chance: random.Random) -> bytes:
    return chance.randbytes(chance.randint(0, 300))


def _overlong(chance: random.Random) -> bytes:
    return varint(chance.randrange(2**31), overlong_by=chance.randint(1, 20))


FAMILY = Family(
    name="protobuf",
    title="binary messages with wrong types, false lengths, endless nesting, unknown fields",
    strike=shooting(shots),
)
