"""Changes by chance, and valid requests to change."""

import random
from collections.abc import Callable

from protobuf.wkt.google.protobuf.timestamp_pb import Timestamp

from coupon_service.gen.coupon.v1 import coupon_pb as pb

SPICES = (
    b"\0",
    b"\xff" * 10,
    b"\x80" * 12,
    b"[" * 1200,
    b"{" * 1200,
    b'"',
    b"\\ud800",
    b"\x0b" * 200,
    b"-1e999",
    b"NaN",
    b"\xed\xa0\x80",
    b"\xef\xbb\xbf",
    b"\r\n\r\n",
    b"%00",
    b"A" * 5000,
)
# What makes a body out of another by chance.
Way = Callable[[random.Random, bytes], bytes]
Request = pb.CreateCampaignRequest | pb.GetCampaignRequest | pb.IssueCouponRequest


def mutated(chance: random.Random, data: bytes, *, changes_max: int = 8) -> bytes:
    """Change, drop, double or insert some bytes."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, changes_max)):
        place = chance.randrange(len(changed) + 1)
        match chance.randrange(5):
            case 0:
                changed[place : place + 1] = bytes([chance.randrange(256)])
            case 1:
                del changed[place : place + chance.randint(1, 8)]
            case 2:
                changed[place:place] = changed[place : place + chance.randint(1, 64)]
            case 3:
                changed[place : place + 1] = bytes([_flipped(chance, changed, place)])
            case _:
                changed[place:place] = chance.choice(SPICES)
    return bytes(changed)


def _flipped(chance: random.Random, data: bytearray, place: int) -> int:
    before = data[place] if place < len(data) else 0
    return before ^ (1 << chance.randrange(8))


def valid_request(chance: random.Random, campaign_id: str) -> tuple[str, Request]:
    """Return an RPC's name and a request that it accepts."""
    match chance.randrange(3):
        case 0:
            return "CreateCampaign", pb.CreateCampaignRequest(
                name="attack",
                coupon_limit=chance.randint(1, 100),
                start_time=Timestamp(seconds=chance.randint(0, 2**31)),
                request_id=chance.choice(["", f"request {chance.randrange(9)}"]),
            )
        case 1:
            return "GetCampaign", pb.GetCampaignRequest(
                campaign_id=campaign_id, view=pb.CampaignView.BASIC
            )
        case _:
            user_id = chance.choice(["", "attacker", f"attacker {chance.randrange(99)}"])
            return "IssueCoupon", pb.IssueCouponRequest(campaign_id=campaign_id, user_id=user_id)
