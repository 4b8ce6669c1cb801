"""Interceptors that refuse callers who call too often."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any

from connectrpc.request import RequestContext

from coupon_service import parsing
from coupon_service.access import identities
from coupon_service.access.addresses import Network, origin
from coupon_service.access.rates import CallCounts

Context = RequestContext[Any, Any]
# Calls whose request says whom they are for.
CLAIMS = frozenset({"IssueCoupon"})


class Callers:
    """Gives callers the names under which their calls are counted."""

    def __init__(self, trusted_proxies: Sequence[Network]) -> None:
        self._trusted_proxies = trusted_proxies

    def by_address(self, ctx: Context) -> str:
        """Return where a call comes from."""
        forwarded = ctx.request_headers.getall("x-forwarded-for")
        return f"address {origin(ctx.client_address, forwarded, self._trusted_proxies)}"

    def by_token(self, ctx: Context) -> str:
        """Return whose credentials a call carries; where none are asked for, its address."""
        identity = identities.present.get(None)
        return f"{identity.role} {identity.key}" if identity else self.by_address(ctx)

    def by_user_id(self, user_id: str, ctx: Context) -> str:
        """Return whom a claim is for; for an anonymous one, or no valid user, its address.

        What is remembered of callers is therefore never longer than a user_id may be.
        """
        return f"user {user_id}" if parsing.is_user_id(user_id) else self.by_address(ctx)


class CallLimit:
    """Counts calls before their requests are read, all but those of the methods passed over."""

    def __init__(
        self,
        counts: CallCounts,
        caller_of: Callable[[Context], str],
        *,
        passed_over: Collection[str] = (),
    ) -> None:
        self._counts = counts
        self._caller_of = caller_of
        self._passed_over = passed_over

    async def on_start(self, ctx: Context) -> None:
        """Refuse the call if it is one too many."""
        if ctx.method.name not in self._passed_over:
            self._counts.count(self._caller_of(ctx))

    async def on_end(self, _token: None, _ctx: Context, _error: Exception | None) -> None:
        """Do nothing; required of an interceptor."""


class ClaimLimit:
    """Counts claims, once it is known whom they are for."""

    def __init__(self, counts: CallCounts, callers: Callers) -> None:
        self._counts = counts
        self._callers = callers

    async def intercept_unary(
        self,
        call_next: Callable[[Any, Context], Awaitable[Any]],
        request: Any,  # noqa: ANN401 # any message
        ctx: Context,
        /,
    ) -> Any:  # noqa: ANN401 # its answer
        """Refuse a claim if it is one too many."""
        if ctx.method.name in CLAIMS:
            self._counts.count(self._callers.by_user_id(request.user_id, ctx))
        return await call_next(request, ctx)
