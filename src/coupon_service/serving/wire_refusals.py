"""What a server answers when it refuses a request before the application sees it."""

import json
from http import HTTPStatus
from typing import Any

from coupon_service import errors, heads, http_replies
from coupon_service.heads import Scope
from coupon_service.http_replies import JSON_HEADERS, NO_STORE, Answer
from coupon_service.rpc_errors import connect_error, in_connect, in_grpc
from coupon_service.settings import Settings

# More headers than any client sends; proxies add some.
HEADERS_MAX = 100
# Connections beyond the limit that are told so; yet more are closed without a word.
SURPLUS_MAX = 100
CLOSE = (b"connection", b"close")
PROBES = frozenset({"/healthz", "/readyz", "/metrics", "/grpc.health.v1.Health/Check"})


def head_too_large(settings: Settings) -> tuple[int, bytes]:
    """Return the HTTP status and body for a head with too many bytes or headers."""
    described = f"They are more than {HEADERS_MAX} or larger than {settings.head_bytes_max} bytes."
    return _encoded(_invalid("headers", described))


def no_http() -> tuple[int, bytes]:
    """Return the HTTP status and body for what is no request at all."""
    described = "It is not valid HTTP."
    return _encoded(_invalid("request", described))


def no_text() -> tuple[int, bytes]:
    """Return the HTTP status and body for a path that is no text: there is none like it."""
    status = HTTPStatus.NOT_FOUND
    body = {
        "code": http_replies.CONNECT_CODES[status],
        "message": http_replies.PLAIN_REFUSALS[status],
    }
    return status, json.dumps(body).encode()


def too_slow(settings: Settings) -> tuple[int, bytes]:
    """Return the HTTP status and body for a request that takes too long to arrive."""
    described = f"It took longer than {settings.receive_seconds_max:g} s to arrive."
    return _encoded(_invalid("request", described))


def beyond_limit(application: Answer) -> Answer:
    """Return what answers on one connection too many, and closes it.

    Probes are answered as ever: who restarts what does not answer them must not restart a
    process that is merely full.
    """

    async def answer(scope: Scope, receive: Any, send: Any) -> None:  # noqa: ANN401 # as ASGI has it
        if scope["path"] in PROBES:
            await application(scope, receive, _closing(send))
        else:
            await _answer_overloaded(scope, send)

    return answer


def _closing(send: Any) -> Any:  # noqa: ANN401 # as ASGI has it
    async def send_and_close(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], CLOSE]}
        await send(message)

    return send_and_close


async def _answer_overloaded(scope: Scope, send: Any) -> None:  # noqa: ANN401 # as ASGI has it
    refusal = connect_error(errors.TooManyConnections())
    kind = heads.content_type(scope)
    status, body = in_connect(refusal)
    headers = JSON_HEADERS
    if heads.is_grpc(kind):
        status, body = HTTPStatus.OK, b""
        headers = [*in_grpc(refusal, web=heads.is_grpc_web(kind)), NO_STORE]
    length = (b"content-length", str(len(body)).encode())
    await http_replies.reply(_closing(send), status, body, [*headers, length])


def _invalid(field: str, description: str) -> errors.InvalidRequest:
    return errors.InvalidRequest(errors.FieldViolation(field=field, description=description))


def _encoded(refusal: errors.Refused) -> tuple[int, bytes]:
    return in_connect(connect_error(refusal))
