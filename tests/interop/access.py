"""Credentials: tokens of both roles, JSON Web Tokens, and wrong ones of every kind."""

import base64
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
from support.web_tokens import AUDIENCE, ISSUER, Key, edwards_key, jwks, spelled

from coupon_service.access.identities import Role
from coupon_service.access.tokens import new_token, token_hash

KEY_ID = "key-1"
# Longer than any run.
VALID_SECONDS = 86_400
# Whose tokens the keys make unless told otherwise.
USER_ID = "alice"
# For clients that take long: one wrong token of each kind.
FEW_WRONG = ("no token", "a stranger's token", "out of date")


@dataclass(frozen=True, kw_only=True, slots=True)
class Credentials:
    """Whole authorization headers; `settings` are the service's that make them valid.

    `wrong` are by what is wrong with them, `lesser` are valid and no admin's.
    """

    admin: str
    issuer: str
    user: str
    settings: dict[str, Any]
    wrong: dict[str, str]
    lesser: dict[str, str]


def issue_credentials(folder: Path) -> Credentials:
    """Make credentials anew; the key set is written into a folder."""
    key = edwards_key(KEY_ID)
    path = folder / "jwks.json"
    path.write_bytes(jwks([key]))
    admin, issuer = new_token(Role.ADMIN), new_token(Role.ISSUER)
    user = f"Bearer {_web_token(key)}"
    return Credentials(
        admin=f"Bearer {admin}",
        issuer=f"Bearer {issuer}",
        user=user,
        settings={
            "admin_token_hashes": token_hash(admin),
            "issuer_token_hashes": token_hash(issuer),
            "jwt_jwks": path,
            "jwt_audience": AUDIENCE,
            "jwt_issuer": ISSUER,
        },
        wrong={"no token": ""} | _wrong_tokens(admin) | _wrong_web_tokens(key),
        lesser={"an issuer's": f"Bearer {issuer}", "a user's": user},
    )


def _wrong_tokens(admin: str) -> dict[str, str]:
    basic = base64.b64encode(f"admin:{admin}".encode()).decode()
    return {
        "a stranger's token": f"Bearer {new_token(Role.ADMIN)}",
        "a token cut short": f"Bearer {admin[:-1]}",
        "a token's hash": f"Bearer {token_hash(admin)}",
        "no scheme": admin,
        "another scheme": f"Basic {basic}",
        "a scheme alone": "Bearer",
    }


def _wrong_web_tokens(key: Key) -> dict[str, str]:
    wrong = {
        "out of date": key.token(exp=1),
        "for another audience": _web_token(key, aud="others"),
        "of another issuer": _web_token(key, iss="https://elsewhere.example"),
        "signed by a stranger": _web_token(edwards_key(KEY_ID)),
        "signed by nobody": _unsigned(_web_token(key)),
    }
    return {what: f"Bearer {token}" for what, token in wrong.items()}


def _web_token(key: Key, **instead: object) -> str:
    return key.token(**{"exp": int(time.time()) + VALID_SECONDS, **instead})


def _unsigned(token: str) -> str:
    """Return a token that says the same and has no signature."""
    claims = jwt.decode(token, options={"verify_signature": False})
    return spelled({"alg": "none", "kid": KEY_ID}, claims)
