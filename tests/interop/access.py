"""Credentials: tokens of both roles, JSON Web Tokens, and wrong ones of every kind."""

import base64
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm

from coupon_service.access.identities import Role
from coupon_service.access.tokens import new_token, token_hash

AUDIENCE = "coupons"
ISSUER = "https://accounts.example"
KEY_ID = "key-1"
USER_ID = "alice"
ALGORITHM = "EdDSA"


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
    key = Ed25519PrivateKey.generate()
    jwks = folder / "jwks.json"
    public = OKPAlgorithm.to_jwk(key.public_key(), as_dict=True)
    jwks.write_text(json.dumps({"keys": [{**public, "kid": KEY_ID, "alg": ALGORITHM}]}))
    admin, issuer = new_token(Role.ADMIN), new_token(Role.ISSUER)
    user = f"Bearer {_web_token(key)}"
    return Credentials(
        admin=f"Bearer {admin}",
        issuer=f"Bearer {issuer}",
        user=user,
        settings={
            "admin_token_hashes": token_hash(admin),
            "issuer_token_hashes": token_hash(issuer),
            "jwt_jwks": jwks,
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


def _wrong_web_tokens(key: Ed25519PrivateKey) -> dict[str, str]:
    hour = timedelta(hours=1)
    wrong = {
        "out of date": _web_token(key, exp=datetime.now(UTC) - hour),
        "for another audience": _web_token(key, aud="others"),
        "of another issuer": _web_token(key, iss="https://elsewhere.example"),
        "signed by a stranger": _web_token(Ed25519PrivateKey.generate()),
        "signed by nobody": _web_token(None),
    }
    return {what: f"Bearer {token}" for what, token in wrong.items()}


def _web_token(key: Ed25519PrivateKey | None, **instead: object) -> str:
    claims = {
        "sub": USER_ID,
        "aud": AUDIENCE,
        "iss": ISSUER,
        "exp": datetime.now(UTC) + timedelta(hours=1),
    }
    algorithm = "none" if key is None else ALGORITHM
    # Without a key, the library asks for an empty one.
    return jwt.encode(claims | instead, key or "", algorithm=algorithm, headers={"kid": KEY_ID})
