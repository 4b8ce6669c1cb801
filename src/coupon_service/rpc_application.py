"""connectrpc's application, fitted to what the RPCs need to know and to be spared."""

from typing import Any

from coupon_service import callers, codecs
from coupon_service.gen.coupon.v1.coupon_connect import CouponServiceASGIApplication

Scope = dict[str, Any]


class CouponRpcApplication(CouponServiceASGIApplication):
    """The RPCs as an ASGI application, without a watch on the connections of claims.

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


def _speaks_json(scope: Scope) -> bool:
    """Tell whether a request, and therefore its answer, is in JSON."""
    if scope["method"] == "GET":
        return b"encoding=json" in scope["query_string"]
    return any(name == b"content-type" and b"json" in value for name, value in scope["headers"])
