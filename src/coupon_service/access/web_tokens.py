"""JSON Web Tokens: each lets a user claim for itself."""

import jwt
import structlog
from jwt.types import Options

from coupon_service import parsing
from coupon_service.access.identities import Identity, Role
from coupon_service.access.key_cache import KeyCache
from coupon_service.access.key_sets import ALGORITHMS

log = structlog.get_logger(__name__)

# How far the clock of whoever made a token may be from this host's.
LEEWAY_SECONDS = 10
_OPTIONS: Options = {"require": ["exp", "sub", "aud", "iss"]}


class WebTokens:
    """The tokens of one issuer for one audience.

    The key is the one that the token names by its id, and it must be for the algorithm
    that the token says. When a token ends is told by this host's clock.
    """

    def __init__(self, keys: KeyCache, *, audience: str, issuer: str) -> None:
        self._keys = keys
        self._audience = audience
        self._issuer = issuer

    async def identity(self, token: str) -> Identity | None:
        """Return the user whose token it is, or None if it is not valid."""
        # The library reads tokens of strangers: what it stumbles over is not valid either.
        try:
            user_id = await self._subject(token)
        except (jwt.PyJWTError, OverflowError, RecursionError, TypeError, ValueError) as exc:
            # Callers are not told; whoever sets this up has to find out.
            log.debug("a web token was refused", why=f"{type(exc).__name__}: {exc}")
            return None
        if not parsing.is_user_id(user_id):
            log.debug("a web token was refused", why="its sub does not fit a user_id")
            return None
        return Identity(role=Role.USER, key=user_id, user_id=user_id)

    async def _subject(self, token: str) -> str:
        header = jwt.get_unverified_header(token)
        kid, algorithm = header.get("kid"), header.get("alg")
        if not isinstance(kid, str) or not isinstance(algorithm, str):
            raise jwt.InvalidTokenError("its header lacks kid or alg")
        if algorithm not in ALGORITHMS:
            raise jwt.InvalidAlgorithmError("its alg is not allowed")
        key = await self._keys.find(kid, algorithm)
        if key is None:
            raise jwt.InvalidKeyError("no key of the JWKS has its kid and is for its alg")
        claims = jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            audience=self._audience,
            issuer=self._issuer,
            leeway=LEEWAY_SECONDS,
            options=_OPTIONS,
        )
        return str(claims["sub"])
