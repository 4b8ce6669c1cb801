"""A call and what came of it, in one form for every client.

What is asked and answered is protobuf's JSON: each client turns it into messages of the
code that was generated for it, and back.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from support.refusals import Refusal

COUPONS = "coupon.v1.CouponService"
HEALTH = "grpc.health.v1.Health"

Fields = Mapping[str, Any]
Details = Iterable[tuple[str, Mapping[str, Any]]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """A call to make; `authorization` is the whole header, "" for none."""

    rpc: str
    fields: Fields = field(default_factory=dict)
    service: str = COUPONS
    authorization: str = ""
    timeout_ms: int = 30_000
    gzip: bool = False
    get: bool = False


class Refused(Exception):
    """The call was answered with an error."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal)
        self.refusal = refusal


class NotMade(Exception):
    """The client gave up before the call; the message is its own."""


class Client(Protocol):
    """A client that speaks one protocol with one codec to one service."""

    def call(self, call: Call) -> dict[str, Any]:
        """Return the answer.

        Raises:
            Refused: the answer was an error.
            NotMade: there was none, as the client did not make the call.
        """


def refused(code: str, message: str, details: Details) -> Refused:
    """Return the error for what a client read: a code's name, and details that it decoded."""
    read = dict(details)
    info = read.get("google.rpc.ErrorInfo", {})
    violations = read.get("google.rpc.BadRequest", {}).get("fieldViolations", ())
    delay = read.get("google.rpc.RetryInfo", {}).get("retryDelay")
    return Refused(
        Refusal(
            code=code,
            message=message,
            reason=info.get("reason", ""),
            domain=info.get("domain", ""),
            metadata=dict(info.get("metadata", {})),
            fields=tuple(violation["field"] for violation in violations),
            retry_seconds=None if delay is None else float(delay.removesuffix("s")),
            details=tuple(read),
        )
    )
