"""connectrpc's application, fitted to what the RPCs need to know and to be spared."""

from functools import lru_cache
from typing import Any

from connectrpc._protocol import ConnectWireError
from connectrpc._protocol_connect import ConnectServerProtocol
from connectrpc.code import Code
from connectrpc.errors import ConnectError, ErrorDetail

from coupon_service import callers, codecs
from coupon_service.gen.coupon.v1.coupon_connect import CouponServiceASGIApplication

Scope = dict[str, Any]


JSON_HEADERS = [(b"content-type", b"application/json")]


class CouponRpcApplication(CouponServiceASGIApplication):
    """The RPCs as an ASGI application, without what would be done anew for each call.

    connectrpc watches each call that has to wait with a task of its own, which it
    cancels when the call ends. A claim need not be told at once that its caller has
    gone; it is enough to ask before its turn. So where the server can be asked, claims
    do without the watch, which costs a tenth of an issued coupon. (Those that come over
    gRPC-Web keep it: the library answers them as it does streams.)
    """

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 # as the library has it
        """Answer a request, or take part in the server's start and stop."""
        if scope["type"] == "http":
            callers.note_connection(scope)
            codecs.speaks_json.set(_speaks_json(scope))
        await super().__call__(scope, receive, send)

    async def _call_unary(self, *call: Any) -> Any:  # noqa: ANN401 # as the library has it
        """Read a request and call its handler."""
        endpoint, _method, headers, codec, _query, receive, _loop, _scope, ctx = call
        if ctx.method.name != "IssueCoupon" or callers.is_gone.get() is callers.never:
            return await super()._call_unary(*call)
        request = await self._read_post_request(endpoint, receive, codec, headers)
        return await endpoint.function(request, ctx)

    async def _handle_error(self, *answer: Any) -> bool:  # noqa: ANN401 # as the library has it
        """Answer with an error; the same refusal is encoded once and not for each call.

        When a campaign is sold out, hardly anything else is answered any more.
        """
        error, _ctx, protocol, send = answer
        is_plain = isinstance(error, ConnectError) and isinstance(protocol, ConnectServerProtocol)
        if not is_plain or send.started or send.failed:
            return bool(await super()._handle_error(*answer))
        status, body = _encoded(error.code, error.message, tuple(error.details))
        start = {"type": "http.response.start", "status": status, "headers": JSON_HEADERS}
        await send({**start, "trailers": False})
        await send({"type": "http.response.body", "body": body, "more_body": False})
        return True


# Details are told apart by identity; those of refusals are made once, see rpc_errors.
@lru_cache(maxsize=1024)
def _encoded(code: Code, message: str, details: tuple[ErrorDetail, ...]) -> tuple[int, bytes]:
    """Return an error's HTTP status and body in the Connect protocol."""
    error = ConnectWireError(code, message, details)
    return error.to_http_status().code, error.to_json_bytes()


def _speaks_json(scope: Scope) -> bool:
    """Tell whether a request, and therefore its answer, is in JSON."""
    if scope["method"] == "GET":
        return b"encoding=json" in scope["query_string"]
    return any(name == b"content-type" and b"json" in value for name, value in scope["headers"])
