"""Puts together what guards the RPCs: only what the settings ask for, and imports only that."""

from typing import TYPE_CHECKING

from connectrpc.interceptor import Interceptor

from coupon_service.access.identities import Role
from coupon_service.settings import Settings

if TYPE_CHECKING:
    from coupon_service.access.web_tokens import WebTokens


def guards(settings: Settings) -> list[Interceptor]:
    """Return the interceptors that come after the one that translates errors.

    Those that need no request come first, so that they refuse before one is read.
    """
    before, after = _limits(settings)
    if not settings.asks_for_credentials:
        return [*before, *after]
    from coupon_service.access.checks import CallerCheck, RequestCheck  # noqa: PLC0415 # see above
    from coupon_service.access.tokens import Tokens  # noqa: PLC0415 # see above

    hashes = {Role.ADMIN: settings.admin_token_hashes, Role.ISSUER: settings.issuer_token_hashes}
    check = CallerCheck(Tokens(hashes), _web_tokens(settings))
    # Where addresses count, those who try tokens are counted too.
    is_by_address = settings.rate_limit_by == "address"
    callers = [*before, check] if is_by_address else [check, *before]
    return [*callers, RequestCheck(), *after]


def _limits(settings: Settings) -> tuple[list[Interceptor], list[Interceptor]]:
    """Return what counts calls before their requests are read, and what does after."""
    if settings.rate_limit is None:
        return [], []
    from coupon_service.access import limiting  # noqa: PLC0415 # see above
    from coupon_service.access.rates import CallCounts, rate_limit  # noqa: PLC0415 # see above

    counts = CallCounts(rate_limit(settings.rate_limit))
    callers = limiting.Callers(settings.trusted_proxies)
    match settings.rate_limit_by:
        case "address":
            return [limiting.CallLimit(counts, callers.by_address)], []
        case "token":
            return [limiting.CallLimit(counts, callers.by_token)], []
        case "user_id":
            before = limiting.CallLimit(counts, callers.by_address, passed_over=limiting.CLAIMS)
            return [before], [limiting.ClaimLimit(counts, callers)]


def _web_tokens(settings: Settings) -> "WebTokens | None":
    if not (settings.jwt_jwks and settings.jwt_audience and settings.jwt_issuer):
        return None
    from coupon_service.access import key_cache  # noqa: PLC0415 # see above
    from coupon_service.access.web_tokens import WebTokens  # noqa: PLC0415 # see above

    keys = key_cache.cache_of(settings.jwt_jwks)
    return WebTokens(keys, audience=settings.jwt_audience, issuer=settings.jwt_issuer)
