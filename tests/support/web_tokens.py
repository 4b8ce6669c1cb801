"""JSON Web Tokens and their keys, as an identity provider makes them."""

import base64
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import get_default_algorithms

ISSUER = "https://login.example.com/"
AUDIENCE = "coupons"
# Tokens that are made when tests are collected must outlast the run.
VALID_SECONDS = 86_400

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


@dataclass(frozen=True, slots=True)
class Key:
    """A key of the provider, and what it signs with."""

    kid: str
    algorithm: str
    private: PrivateKey

    def jwk(self, **instead: object) -> dict[str, Any]:
        """Return the public half as it is published."""
        as_jwk: Any = get_default_algorithms()[self.algorithm]
        said = json.loads(as_jwk.to_jwk(self.private.public_key()))
        said |= {"kid": self.kid, "use": "sig", "alg": self.algorithm, **instead}
        return {name: value for name, value in said.items() if value is not None}

    def pem(self) -> bytes:
        """Return the public half as a file holds it."""
        return self.private.public_key().public_bytes(
            Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
        )

    def token(self, header: Mapping[str, object] | None = None, /, **claims: object) -> str:
        """Return a token of alice's, with other claims or headers; None leaves one out."""
        said = {
            "sub": "alice",
            "iss": ISSUER,
            "aud": AUDIENCE,
            "exp": int(time.time()) + VALID_SECONDS,
            **claims,
        }
        headers = {"kid": self.kid, **(header or {})}
        return jwt.encode(
            {name: value for name, value in said.items() if value is not None},
            self.private,
            algorithm=self.algorithm,
            headers={name: value for name, value in headers.items() if value is not None},
        )


def rsa_key(kid: str, algorithm: str = "RS256", *, bits: int = 2048) -> Key:
    """Return a new RSA key."""
    return Key(kid, algorithm, rsa.generate_private_key(public_exponent=65537, key_size=bits))


def ec_key(kid: str, algorithm: str = "ES256") -> Key:
    """Return a new key on an elliptic curve."""
    curve = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}[algorithm]
    return Key(kid, algorithm, ec.generate_private_key(curve))


def edwards_key(kid: str) -> Key:
    """Return a new Ed25519 key."""
    return Key(kid, "EdDSA", ed25519.Ed25519PrivateKey.generate())


def jwks(keys: Iterable[Key | dict[str, Any]]) -> bytes:
    """Return a key set as it is published."""
    listed = [each.jwk() if isinstance(each, Key) else each for each in keys]
    return json.dumps({"keys": listed}).encode()


def spelled(header: object, claims: object, signature: bytes = b"") -> str:
    """Return a token put together by hand."""
    parts = [json.dumps(header).encode(), json.dumps(claims).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)
