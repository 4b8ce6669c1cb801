"""Calls of the RPCs as ASGI servers make them, with the connection in the test's hand."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from coupon_service.callers import EXTENSION, IS_LOST
from coupon_service.gen.coupon.v1.coupon_connect import CouponServiceASGIApplication


@dataclass
class Call:
    """A POST of JSON; `offers` says whether the server lets one ask about the connection."""

    rpc: str
    body: bytes
    offers: bool
    headers: list[tuple[bytes, bytes]] = field(
        default_factory=lambda: [(b"content-type", b"application/json")]
    )
    lost: asyncio.Event = field(default_factory=asyncio.Event)
    sent: list[dict[str, Any]] = field(default_factory=list)
    _body_taken: bool = False

    async def make(self, application: CouponServiceASGIApplication) -> None:
        """Make the call, up to its answer."""
        await application(self._scope(), self._receive, self._send)

    def lose(self) -> None:
        """Lose the connection, as when the caller hangs up."""
        self.lost.set()

    @property
    def status(self) -> int:
        """The HTTP status that was answered."""
        return int(self.sent[0]["status"])

    def _scope(self) -> dict[str, Any]:
        offer = {EXTENSION: {IS_LOST: self.lost.is_set}} if self.offers else {}
        return {
            "type": "http",
            "method": "POST",
            "path": f"/coupon.v1.CouponService/{self.rpc}",
            "root_path": "",
            "query_string": b"",
            "http_version": "1.1",
            "headers": self.headers,
            "extensions": offer,
        }

    async def _receive(self) -> dict[str, Any]:
        if not self._body_taken:
            self._body_taken = True
            return {"type": "http.request", "body": self.body, "more_body": False}
        await self.lost.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)
