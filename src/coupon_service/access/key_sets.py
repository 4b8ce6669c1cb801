"""The public keys of JSON Web Tokens: what a JWKS says, and where it is."""

import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

PublicKey = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey
# By key id and algorithm: a key never serves an algorithm that it is not for.
KeySet = Mapping[tuple[str, str], PublicKey]

BYTES_MAX = 1_048_576
FETCH_SECONDS_MAX = 5
RSA_BITS_MIN = 2048

_OF_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_OF_CURVE = {"secp256r1": ("ES256",), "secp384r1": ("ES384",), "secp521r1": ("ES512",)}
_OF_EDWARDS = ("EdDSA",)
# No others: with a symmetric one, whoever can verify a token could make it.
ALGORITHMS = frozenset({*_OF_RSA, *(name for names in _OF_CURVE.values() for name in names)}) | {
    *_OF_EDWARDS
}


class BadKeySet(Exception):
    """A key set cannot be read; the message is a sentence's end for the operator."""


def is_url(source: str) -> bool:
    """Tell whether a key set is to be fetched rather than read from a file."""
    return source.startswith(("http://", "https://"))


def read(source: str) -> KeySet:
    """Read a key set from a file or an http(s) URL; it blocks for some seconds at most.

    Raises:
        BadKeySet: it cannot be read, or holds no key that tokens can be verified with.
    """
    try:
        return parse(_fetched(source) if is_url(source) else _file(Path(source)))
    except urllib.error.HTTPError as exc:
        exc.close()
        raise BadKeySet(f"it answers HTTP {exc.code}") from exc
    except urllib.error.URLError as exc:
        raise BadKeySet(f"it cannot be reached: {exc.reason}") from exc
    except (OSError, ValueError, http.client.HTTPException) as exc:
        raise BadKeySet(getattr(exc, "strerror", None) or str(exc) or type(exc).__name__) from exc


def parse(data: bytes) -> KeySet:
    """Return the keys of a JWKS that can verify tokens; what else it holds is passed over.

    Raises:
        BadKeySet: it is no JWKS, or holds no such key.
    """
    try:
        said = json.loads(data)
    except (ValueError, RecursionError) as exc:
        raise BadKeySet("it is not JSON") from exc
    listed = said.get("keys") if isinstance(said, dict) else None
    if not isinstance(listed, list):
        raise BadKeySet('it is no JWKS, which has a list of "keys"')
    keys: dict[tuple[str, str], PublicKey] = {}
    for each in listed:
        for name, key in _usable(each):
            keys.setdefault(name, key)
    if not keys:
        raise BadKeySet("it holds no public key with a kid for RS*, PS*, ES* or EdDSA")
    return keys


def _usable(said: Any) -> Iterator[tuple[tuple[str, str], PublicKey]]:  # noqa: ANN401 # any JSON
    """Yield under what names a key can verify tokens: none, or one for each algorithm."""
    if not isinstance(said, dict) or not _is_for_signatures(said):
        return
    kid, wanted = said.get("kid"), said.get("alg")
    if not isinstance(kid, str) or not isinstance(wanted, str | None):
        return
    if wanted not in {None, *ALGORITHMS}:
        return
    try:
        key = jwt.PyJWK(said).key
    except (jwt.PyJWTError, AttributeError, TypeError, ValueError):
        return
    for algorithm in _algorithms(key):
        if wanted in {None, algorithm}:
            yield (kid, algorithm), key


def _is_for_signatures(said: Mapping[str, Any]) -> bool:
    operations = said.get("key_ops", ["verify"])
    is_asymmetric = said.get("kty") in ("RSA", "EC", "OKP")
    may_verify = isinstance(operations, list) and "verify" in operations
    return is_asymmetric and may_verify and said.get("use", "sig") == "sig"


def _algorithms(key: object) -> tuple[str, ...]:
    """Return what a key is for; nothing if it is weak or, by somebody's mistake, private."""
    match key:
        case RSAPublicKey() if key.key_size >= RSA_BITS_MIN:
            return _OF_RSA
        case EllipticCurvePublicKey():
            return _OF_CURVE.get(key.curve.name, ())
        case Ed25519PublicKey():
            return _OF_EDWARDS
        case _:
            return ()


def _file(path: Path) -> bytes:
    with path.open("rb") as file:
        return _whole(file.read)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Stays with the URL that the operator named."""

    def redirect_request(self, *_: Any) -> None:  # noqa: ANN401 # as the library has it
        """Follow nowhere; the redirect becomes an error."""


def _fetched(url: str) -> bytes:
    opener = urllib.request.build_opener(_NoRedirects)
    with opener.open(url, timeout=FETCH_SECONDS_MAX) as answer:
        # One read of the socket at a time: each has its time limit, and so have all.
        return _whole(answer.read1)


def _whole(read_some: Callable[[int], bytes]) -> bytes:
    give_up_at = time.monotonic() + FETCH_SECONDS_MAX
    data = bytearray()
    while some := read_some(65_536):
        data += some
        if len(data) > BYTES_MAX:
            raise BadKeySet(f"it is larger than {BYTES_MAX:,} bytes")
        if time.monotonic() > give_up_at:
            raise BadKeySet(f"it takes longer than {FETCH_SECONDS_MAX} s")
    return bytes(data)
