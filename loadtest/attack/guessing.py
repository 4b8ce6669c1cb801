"""What guessing tokens shows: the answers' bytes, and how long each kind of guess takes."""

import hashlib
import random
import re
import socket
import statistics
import time
from collections.abc import Sequence
from contextlib import closing
from urllib.parse import urlsplit

from rich.console import Console
from rich.table import Table

from coupon_service.gen.coupon.v1 import coupon_pb as pb
from loadtest.attack.answers import Answer, read_answers
from loadtest.attack.shots import JSON, Request
from loadtest.attack.target import Target, running_target

CALLS_OF_EACH = 3000
WARM_UP_CALLS = 300
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
BODY = b'{"campaignId":"00000000-0000-0000-0000-000000000000"}'
TARGET = b"/coupon.v1.CouponService/GetCampaign"


def run(console: Console, servers: Sequence[str], database_url: str) -> bool:
    """Tell what guesses show on each server; return whether all wrong ones look the same."""
    is_good = _no_request_takes_a_code(console)
    for server in servers:
        with running_target(server, database_url, has_tokens=True) as target:
            is_good &= _wording(console, target)
            _timing(console, target)
    return is_good


def guesses(token: str) -> dict[str, str]:
    """Return wrong tokens of the same length, by how many first characters are right."""
    shared = {"no character right": 0, "half right": len(token) // 2}
    shared["all but one right"] = len(token) - 1
    return {name: token[:count] + _wrong(token[count:]) for name, count in shared.items()}


def wrong_credentials(token: str) -> dict[str, str]:
    """Return values of the header that are wrong in many ways."""
    longer = {"one character more": token + "x", "one character less": token[:-1]}
    tokens = {**guesses(token), **longer, "another case": token.swapcase(), "short": "x"}
    tokens |= {"its hash": hashlib.sha256(token.encode()).hexdigest(), "long": "x" * 4000}
    unsigned = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0."  # pragma: allowlist secret
    tokens |= {"a web token": unsigned, "no web token": "a.b.c"}
    return {name: f"Bearer {wrong}" for name, wrong in tokens.items()} | {
        "another scheme": f"Basic {token}",
        "no scheme": token,
        "only a scheme": "Bearer",
    }


def _wrong(text: str) -> str:
    """Return text of the same length, each of whose characters is another."""
    return "".join(ALPHABET[(ALPHABET.find(each) + 1) % len(ALPHABET)] for each in text)


def _no_request_takes_a_code(console: Console) -> bool:
    """Tell whether a code can be asked about; none of the requests may hold one."""
    fields = {
        f"{name}.{field.name}"
        for name in dir(pb)
        if name.endswith("Request")
        for field in getattr(pb, name).desc().fields
    }
    taking = sorted(field for field in fields if re.search(r"code", field))
    console.print(f"Requests have {len(fields)} fields; for a code: {', '.join(taking) or 'none'}.")
    return not taking


def _wording(console: Console, target: Target) -> bool:
    """Show the answer to each kind of wrong credentials; return whether all are equal."""
    seen: dict[tuple[int, bytes], list[str]] = {}
    with closing(_Asker(target)) as asker:
        for name, credentials in wrong_credentials(str(target.admin_token)).items():
            answer, _ = asker.ask(credentials)
            seen.setdefault((answer.status, answer.body), []).append(name)
    for (status, body), names in seen.items():
        console.print(f"{target.server}: {', '.join(names)}", highlight=False)
        console.print(f"    {status} {body!r}", highlight=False, markup=False, soft_wrap=True)
    is_one = len(seen) == 1 and next(iter(seen))[0] == 401
    console.print(f"{target.server}: {'all equal' if is_one else 'THEY DIFFER'}")
    return is_one


def _timing(console: Console, target: Target) -> None:
    """Show how long each kind of guess takes, asked by turns in an order by chance."""
    kinds = {name: f"Bearer {wrong}" for name, wrong in guesses(str(target.admin_token)).items()}
    taken: dict[str, list[float]] = {name: [] for name in kinds}
    order = random.Random(0)  # noqa: S311 # an order without a meaning
    with closing(_Asker(target)) as asker:
        for _ in range(WARM_UP_CALLS):
            asker.ask(next(iter(kinds.values())))
        for _ in range(CALLS_OF_EACH):
            for name in order.sample(list(kinds), len(kinds)):
                taken[name].append(asker.ask(kinds[name])[1])
    console.print(_table(target, taken))


def _table(target: Target, taken: dict[str, list[float]]) -> Table:
    title = f"{target.server}: microseconds for each of {CALLS_OF_EACH:,} wrong tokens"
    table = Table("", "5 %", "25 %", "median", "75 %", "95 %", "ratio of medians", title=title)
    first = statistics.median(next(iter(taken.values())))
    for name, seconds in taken.items():
        cuts = statistics.quantiles(seconds, n=20)
        middle = [cuts[0], cuts[4], cuts[9], cuts[14], cuts[18]]
        ratio = statistics.median(seconds) / first
        table.add_row(name, *(f"{each * 1e6:.1f}" for each in middle), f"{ratio:.4f}")
    return table


class _Asker:
    """A connection that asks with given credentials, and measures."""

    def __init__(self, target: Target) -> None:
        parts = urlsplit(target.url)
        self._address = (parts.hostname, parts.port)
        self._connect()

    def _connect(self) -> None:
        self._socket = socket.create_connection(self._address, timeout=10)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def ask(self, credentials: str) -> tuple[Answer, float]:
        """Return the answer and how many seconds it took."""
        headers = (*JSON, (b"authorization", credentials.encode()))
        request = Request(target=TARGET, headers=headers, body=BODY).as_http1()
        begun = time.perf_counter()
        self._socket.sendall(request)
        data = b""
        while True:
            more = self._socket.recv(65_536)
            seconds = time.perf_counter() - begun
            data += more
            answers, _ = read_answers(data, is_closed=not more)
            if answers:
                return answers[0], seconds
            if not more:
                raise ConnectionError("it was closed")
