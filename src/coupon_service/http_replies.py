"""Answers that no RPC gives: probes, and requests that are none of the RPCs'."""

import json
from collections.abc import Awaitable, Callable, Iterable
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from coupon_service import heads
from coupon_service.availability import Availability, State
from coupon_service.heads import Scope

Receive = Any
Send = Any
Answer = Callable[[Scope, Receive, Send], Awaitable[None]]
HeaderList = Iterable[tuple[bytes, bytes]]

NO_STORE = (b"cache-control", b"no-store")
JSON_HEADERS = [(b"content-type", b"application/json"), NO_STORE]

# The codes that the Connect protocol gives these statuses.
CONNECT_CODES = {HTTPStatus.NOT_FOUND: "unimplemented"}
OTHER_CONNECT_CODE = "unknown"
GRPC_UNIMPLEMENTED = b"12"

NO_METHOD = "There is no such method; see the service's schema for those that there are."
NO_GRPC = (
    "gRPC needs HTTP/2, which this connection does not speak: call over HTTP/2 what "
    "`coupon-service serve --server pyvoy` serves, or use the Connect or gRPC-Web protocol."
)
# Why the RPC library refuses a request before it looks at what is called.
PLAIN_REFUSALS = {
    HTTPStatus.NOT_FOUND: NO_METHOD,
    HTTPStatus.METHOD_NOT_ALLOWED: "This cannot be called with this HTTP method.",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: (
        "The content-type is none of this service's; use application/json or application/proto."
    ),
}


async def reply(send: Send, status: int, body: bytes, headers: HeaderList) -> None:
    """Send an answer in one piece."""
    start = {"type": "http.response.start", "status": status, "headers": [*headers]}
    await send({**start, "trailers": False})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def in_one_piece(send: Send) -> Send:
    """Return what sends an answer as one piece with its length, for callers of HTTP/1.0.

    These know no chunks, in which the server would send an answer without a length.
    """
    begun: dict[str, Any] = {}
    pieces: list[bytes] = []

    async def send_whole(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            begun.update(message)
            return
        pieces.append(message.get("body", b""))
        if not message.get("more_body", False):
            body = b"".join(pieces)
            length = (b"content-length", str(len(body)).encode())
            await send({**begun, "headers": [*begun["headers"], length]})
            await send({"type": "http.response.body", "body": body, "more_body": False})

    return send_whole


async def reply_json(
    send: Send, status: int, body: dict[str, str], headers: HeaderList = ()
) -> None:
    """Send a JSON object."""
    await reply(send, status, json.dumps(body).encode(), [*JSON_HEADERS, *headers])


async def refuse_plainly(send: Send, status: HTTPStatus, headers: HeaderList = ()) -> None:
    """Refuse a request that is no RPC, in words that Connect clients read."""
    code = CONNECT_CODES.get(status, OTHER_CONNECT_CODE)
    body = {"code": code, "message": PLAIN_REFUSALS.get(status, status.phrase)}
    await reply_json(send, status, body, headers)


async def refuse_grpc(send: Send, kind: bytes, message: str) -> None:
    """Refuse a call of gRPC or gRPC-Web before it begins, as its clients and proxies read it."""
    headers = [
        (
            b"content-type",
            b"application/grpc-web" if heads.is_grpc_web(kind) else b"application/grpc",
        ),
        NO_STORE,
        (b"grpc-status", GRPC_UNIMPLEMENTED),
        (b"grpc-message", quote(message).encode()),
    ]
    await reply(send, HTTPStatus.OK, b"", headers)


async def refuse_unknown(scope: Scope, _receive: Receive, send: Send) -> None:
    """Answer a request for what does not exist."""
    kind = heads.content_type(scope)
    if not heads.is_grpc(kind):
        return await refuse_plainly(send, HTTPStatus.NOT_FOUND)
    return await refuse_grpc(send, kind, NO_METHOD if heads.is_answerable(scope, kind) else NO_GRPC)


async def answer_alive(_scope: Scope, _receive: Receive, send: Send) -> None:
    """Answer /healthz: whoever answers is alive."""
    await reply_json(send, HTTPStatus.OK, {"status": "alive"})


def answer_ready(availability: Availability) -> Answer:
    """Return what answers /readyz: 200 if calls can be served, otherwise 503 and why not."""

    async def answer(_scope: Scope, _receive: Receive, send: Send) -> None:
        state = await availability.recent()
        status = HTTPStatus.OK if state is State.READY else HTTPStatus.SERVICE_UNAVAILABLE
        await reply_json(send, status, {"status": state.value})

    return answer
