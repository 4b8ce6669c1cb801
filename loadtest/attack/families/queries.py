"""Calls by GET whose query is odd, huge, packed or not a query at all."""

import gzip
import random
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from urllib.parse import quote_from_bytes

from coupon_service.gen.coupon.v1 import coupon_pb as pb
from loadtest.attack.families.compression import bomb
from loadtest.attack.families.family import Family, shooting
from loadtest.attack.families.mutations import mutated
from loadtest.attack.shots import RPCS, SERVICE, Shot, Wanted, get

ENCODINGS = ("json", "proto", "xml", "", "json&encoding=proto", "JSON", "%00", "text")
COMPRESSIONS = ("gzip", "br", "identity", "", "x" * 500, "gzip&compression=br")


def shots(chance: random.Random, campaign_id: str) -> Iterator[Shot]:
    """Yield such calls."""
    request = pb.GetCampaignRequest(campaign_id=campaign_id, view=pb.CampaignView.BASIC)
    while True:
        is_json = chance.random() < 0.5
        data = request.to_json().encode() if is_json else request.to_binary()
        encoding = "json" if is_json else "proto"
        if chance.random() < 0.2:
            encoding = chance.choice(ENCODINGS)
        parts = [f"encoding={encoding}", *chance.choice(MESSAGES)(chance, data)]
        if chance.random() < 0.5:
            parts.append(f"connect=v{chance.choice([1, 1, 1, 2, 'x'])}")
        chance.shuffle(parts)
        rpc = "GetCampaign" if chance.random() < 0.9 else chance.choice(RPCS)
        query = "&".join(parts).encode()
        yield get(SERVICE + rpc.encode() + b"?" + query, wanted=Wanted.HTTP)


def _packed(chance: random.Random, data: bytes) -> list[str]:
    packed = gzip.compress(data) if chance.random() < 0.5 else bomb(1)
    text = urlsafe_b64encode(packed).decode()
    return ["base64=1", f"message={text}", f"compression={chance.choice(COMPRESSIONS)}"]


MESSAGES: tuple[Callable[[random.Random, bytes], list[str]], ...] = (
    lambda _chance, data: [f"message={quote_from_bytes(data)}"],
    lambda _chance, data: ["base64=1", f"message={urlsafe_b64encode(data).decode()}"],
    lambda _chance, data: ["base64=1", f"message={b64encode(data).decode()[:-1]}!*("],
    lambda chance, _data: ["base64=1", f"message={quote_from_bytes(chance.randbytes(30))}"],
    lambda chance, data: [f"message={quote_from_bytes(mutated(chance, data))}"],
    lambda _chance, data: [f"message={quote_from_bytes(data)}%zz%%%f%", "base64=2"],
    lambda chance, _data: ["message=" + "A" * chance.choice([7000, 15_000, 60_000, 500_000])],
    _packed,
    lambda chance, _data: ["message=x"] * chance.choice([0, 2, 1500]),
)


FAMILY = Family(
    name="queries",
    title="calls by GET whose query is odd, huge, packed or no query",
    strike=shooting(shots),
)
