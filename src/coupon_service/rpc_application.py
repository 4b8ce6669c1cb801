"""connectrpc's applications, fitted to what the RPCs need to know and to be spared."""

from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs

from connectrpc._protocol import HTTPError
from connectrpc._protocol_connect import ConnectServerProtocol
from connectrpc._protocol_grpc import GRPCServerProtocol
from connectrpc.errors import ConnectError
from connectrpc.request import RequestContext
from connectrpc.server import ConnectASGIApplication

from coupon_service import callers, codecs, heads, http_replies
from coupon_service.error_border import let_go
from coupon_service.gen.coupon.v1.coupon_connect import CouponServiceASGIApplication
from coupon_service.gen.grpc.health.v1.health_connect import HealthASGIApplication
from coupon_service.http_replies import JSON_HEADERS, NO_STORE
from coupon_service.rpc_errors import Refusal, connect_error, in_connect


class RpcApplication(ConnectASGIApplication[Any]):
    """A service as an ASGI application, whose errors are all in the form of ours."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 # as the library has it
        """Answer a request, or take part in the server's start and stop."""
        if scope["type"] == "http":
            kind = heads.prepare(scope)
            if not heads.is_answerable(scope, kind):
                return await http_replies.refuse_grpc(send, kind, http_replies.NO_GRPC)
            callers.note_connection(scope)
            codecs.speaks_json.set(_speaks_json(scope, kind))
        try:
            return await super().__call__(scope, receive, send)
        finally:
            let_go()

    async def _call_unary(self, *call: Any) -> Any:  # noqa: ANN401 # as the library has it
        """Read a request and call its handler; nobody on the way may keep the answer."""
        response = await super()._call_unary(*call)
        _forbid_storing(call[-1])
        return response

    async def _call_stream(self, *call: Any) -> None:  # noqa: ANN401 # as the library has it
        """Answer over gRPC, gRPC-Web or a stream; nobody on the way may keep the answer."""
        _forbid_storing(call[-1])
        await super()._call_stream(*call)

    async def _handle_error(self, *answer: Any) -> bool:  # noqa: ANN401 # as the library has it
        """Answer with an error; the same refusal is encoded once and not for each call.

        When a campaign is sold out, hardly anything else is answered any more.
        """
        error, ctx, protocol, send = answer
        if send.started or send.failed:
            return False
        if isinstance(error, HTTPError) and not isinstance(protocol, GRPCServerProtocol):
            headers = [(name.encode(), value.encode()) for name, value in error.headers]
            await http_replies.refuse_plainly(send, error.status, headers)
            return True
        if ctx is None and not isinstance(error, HTTPError):
            error = connect_error(error)  # the head could not be read: no interceptor saw it
        if not isinstance(error, ConnectError) or not isinstance(protocol, ConnectServerProtocol):
            return bool(await super()._handle_error(error, ctx, protocol, send))
        status, body = error.in_connect if isinstance(error, Refusal) else in_connect(error)
        await http_replies.reply(send, status, body, [*JSON_HEADERS, *_headers_of(ctx)])
        return True


class CouponRpcApplication(RpcApplication, CouponServiceASGIApplication):
    """The RPCs as an ASGI application, without what would be done anew for each call.

    connectrpc watches each call that has to wait with a task of its own, which it
    cancels when the call ends. A claim need not be told at once that its caller has
    gone; it is enough to ask before its turn. So where the server can be asked, claims
    do without the watch, which costs a tenth of an issued coupon. (Those that come over
    gRPC-Web keep it: the library answers them as it does streams.)
    """

    async def _call_unary(self, *call: Any) -> Any:  # noqa: ANN401 # as the library has it
        """Read a request and call its handler."""
        endpoint, _method, headers, codec, _query, receive, _loop, _scope, ctx = call
        if ctx.method.name != "IssueCoupon" or callers.is_gone.get() is callers.never:
            return await super()._call_unary(*call)
        request = await self._read_post_request(endpoint, receive, codec, headers)
        response = await endpoint.function(request, ctx)
        _forbid_storing(ctx)
        return response


class HealthApplication(RpcApplication, HealthASGIApplication):
    """The health service as an ASGI application."""


def _forbid_storing(ctx: RequestContext[Any, Any]) -> None:
    """Mark an answer as one that caches must not keep: it may hold a code."""
    ctx.response_headers["cache-control"] = "no-store"


def _headers_of(ctx: RequestContext[Any, Any] | None) -> list[tuple[bytes, bytes]]:
    """Return the headers and trailers that an error's call has, as the library sends them.

    Hardly a call has any, and asking the context makes them: that costs as much as all
    else that is done here.
    """
    if ctx is None or ctx._response_headers is ctx._response_trailers:  # noqa: SLF001 # as above: both are None
        return []
    headers = ((name, value) for name, value in ctx.response_headers.allitems())
    trailers = ((f"trailer-{name}", value) for name, value in ctx.response_trailers.allitems())
    every = [(name.encode(), value.encode()) for name, value in (*headers, *trailers)]
    return [header for header in every if header != NO_STORE]


def _speaks_json(scope: heads.Scope, kind: bytes) -> bool:
    """Tell whether a request, and therefore its answer, is in JSON, as the library decides it."""
    if scope["method"] == "GET":
        query = parse_qs(scope["query_string"].decode("latin-1"), encoding="latin-1")
        return "json" in query.get("encoding", [])[:1]
    return _is_json(kind)


# Nearly every request has one of a few.
@lru_cache(maxsize=64)
def _is_json(kind: bytes) -> bool:
    return kind.partition(b";")[0].strip().lower().endswith(b"json")
