"""Bearer tokens of operators and of their programs, of which the service knows hashes alone."""

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping

from coupon_service.access.identities import Identity, Role

# 256 bits of chance.
RANDOM_BYTES = 32


def new_token(role: Role) -> str:
    """Return a new token; its beginning says what it is to people and to secret scanners."""
    return f"coupon_{role}_{secrets.token_urlsafe(RANDOM_BYTES)}"


def token_hash(token: str) -> str:
    """Return a token's SHA-256 in hex.

    A slow hash would protect what people choose; 256 random bits cannot be guessed from
    a fast one either, and a slow one would cost every call.
    """
    return hashlib.sha256(token.encode()).hexdigest()


class Tokens:
    """The tokens that are valid, by their hashes."""

    def __init__(self, hashes: Mapping[Role, Iterable[str]]) -> None:
        self._hashes = [(known, role) for role, of_role in hashes.items() for known in of_role]

    def identity(self, token: str) -> Identity | None:
        """Return whose token it is, or None if it is not valid.

        It is compared with every hash to the end, so that the time tells nothing.
        """
        given = token_hash(token)
        found = None
        for known, role in self._hashes:
            if hmac.compare_digest(known, given):
                found = Identity(role=role, key=given)
        return found
