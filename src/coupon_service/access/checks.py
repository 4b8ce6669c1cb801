"""Who may make which call: bearer tokens, and the table of roles."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from connectrpc.request import Headers, RequestContext

from coupon_service.access import identities
from coupon_service.access.identities import Identity, Role
from coupon_service.access.tokens import Tokens
from coupon_service.access.web_tokens import WebTokens
from coupon_service.errors import (
    CodesDenied,
    CredentialsMissing,
    OtherUserDenied,
    PermissionDenied,
    Unauthenticated,
)
from coupon_service.gen.coupon.v1.coupon_pb import (
    CampaignView,
    GetCampaignRequest,
    IssueCouponRequest,
)

Rule = Callable[[Any, Identity], None]


def _anything(_request: object, _identity: Identity) -> None:
    """Allow the call whatever it asks for."""


def _without_codes(request: GetCampaignRequest, _identity: Identity) -> None:
    """Allow a look at a campaign, but not at its codes, which are worth money."""
    if request.view != CampaignView.BASIC:
        raise CodesDenied


def _for_itself(request: IssueCouponRequest, identity: Identity) -> None:
    """Allow a claim for the caller alone, also if it does not say its name."""
    if request.user_id not in {"", identity.user_id}:
        raise OtherUserDenied
    request.user_id = identity.user_id


# The methods of each role and a rule for their requests. What is not here is denied, to
# all but admins: they may make every call, also those that are added later.
RULES: Mapping[Role, Mapping[str, Rule]] = {
    Role.ISSUER: {"IssueCoupon": _anything, "GetCampaign": _without_codes},
    Role.USER: {"IssueCoupon": _for_itself, "GetCampaign": _without_codes},
}


def rule(role: Role, method: str) -> Rule:
    """Return what a request of a method must keep to.

    Raises:
        PermissionDenied: the role may not call it, whatever the request.
    """
    if role is Role.ADMIN:
        return _anything
    try:
        return RULES[role][method]
    except KeyError:
        raise PermissionDenied from None


class CallerCheck:
    """An interceptor that finds out who calls, before the request is read."""

    def __init__(self, tokens: Tokens, web_tokens: WebTokens | None) -> None:
        self._tokens = tokens
        self._web_tokens = web_tokens

    async def on_start(self, ctx: RequestContext[Any, Any]) -> None:
        """Refuse a call without valid credentials, or whose method they do not allow."""
        try:
            identity = await self._identity(bearer_token(ctx.request_headers))
        except Unauthenticated:
            ctx.response_headers["www-authenticate"] = "Bearer"
            raise
        rule(identity.role, ctx.method.name)
        identities.present.set(identity)

    async def on_end(
        self, _token: None, _ctx: RequestContext[Any, Any], _error: Exception | None
    ) -> None:
        """Do nothing; required of an interceptor."""

    async def _identity(self, token: str) -> Identity:
        identity = self._tokens.identity(token)
        if identity is None and self._web_tokens is not None:
            identity = await self._web_tokens.identity(token)
        if identity is None:
            raise Unauthenticated
        return identity


class RequestCheck:
    """An interceptor that holds requests to the rules of their callers' roles."""

    async def intercept_unary(
        self,
        call_next: Callable[[Any, RequestContext[Any, Any]], Awaitable[Any]],
        request: Any,  # noqa: ANN401 # any message
        ctx: RequestContext[Any, Any],
        /,
    ) -> Any:  # noqa: ANN401 # its answer
        """Check the request of a unary call."""
        _check(request, ctx)
        return await call_next(request, ctx)

    def intercept_server_stream(
        self,
        call_next: Callable[[Any, RequestContext[Any, Any]], AsyncIterator[Any]],
        request: Any,  # noqa: ANN401 # any message
        ctx: RequestContext[Any, Any],
        /,
    ) -> AsyncIterator[Any]:
        """Check the request of a call that is answered by a stream."""
        _check(request, ctx)
        return call_next(request, ctx)


def _check(request: object, ctx: RequestContext[Any, Any]) -> None:
    identity = identities.present.get()
    rule(identity.role, ctx.method.name)(request, identity)


def bearer_token(headers: Headers) -> str:
    """Return the token of a call.

    Raises:
        CredentialsMissing: there is none at all.
        Unauthenticated: there is something else, or more than one.
    """
    values = headers.getall("authorization")
    if not values:
        raise CredentialsMissing
    scheme, _, token = values[0].partition(" ")
    token = token.strip()
    if len(values) > 1 or scheme.lower() != "bearer" or not token:
        raise Unauthenticated
    return token
