"""Text that would be a line of the log, if it came there as it is."""

import json
import random
from collections.abc import Iterator
from urllib.parse import quote_from_bytes

from loadtest.attack.families.family import Family, shooting
from loadtest.attack.shots import JSON, SERVICE, Shot, Wanted, call, get, head, raw
from loadtest.attack.target import FORGED

FORGED_LINE = json.dumps({"event": FORGED, "level": "info"})
BREAKS = (
    "\n",
    "\r\n",
    "\r",
    "\x0b",
    "\x0c",
    "\x85",
    "\u2028",
    "\0",
    '"}\n',
    "\\n",
    "%0a",
    "\x1b[2J",
)


def shots(chance: random.Random, campaign_id: str) -> Iterator[Shot]:
    """Yield calls that carry such text in every place that may be logged."""
    while True:
        text = chance.choice(["", "x", "\x1b]0;x\x07\x1b[31m"]) + chance.choice(BREAKS)
        text += FORGED_LINE + chance.choice(["", "\n", "\r\n"])
        data = text.encode()
        match chance.randrange(6):
            case 0:
                fields = {"name": text[:200], "couponLimit": 1, "startTime": "2020-01-01T00:00:00Z"}
                yield call("CreateCampaign", json.dumps(fields).encode())
            case 1:
                fields = {"campaignId": campaign_id, "userId": text}
                yield call("IssueCoupon", json.dumps(fields).encode())
            case 2:
                yield get(b"/" + quote_from_bytes(data).encode(), wanted=Wanted.HTTP)
            case 3:
                yield get(b"/healthz?" + quote_from_bytes(data).encode(), wanted=Wanted.HTTP)
            case 4:
                name = chance.choice([b"user-agent", b"authorization", b"x-forwarded-for", b"host"])
                headers = [*JSON, (name, data)]
                yield raw(head(b"GET", SERVICE + b"GetCampaign", headers))
            case _:
                yield raw(head(chance.choice([b"GET", data]), b"/" + data))


FAMILY = Family(
    name="log-lines",
    title="forged lines of the log in names, user ids, headers, paths and methods",
    strike=shooting(shots),
)
