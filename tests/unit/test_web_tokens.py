"""Which JSON Web Tokens are valid, and for which user."""

import base64
import hashlib
import hmac
import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs
from support.web_tokens import AUDIENCE, ISSUER, Key, ec_key, edwards_key, jwks, rsa_key, spelled

from coupon_service.access.identities import Identity, Role
from coupon_service.access.key_cache import KeyCache
from coupon_service.access.key_sets import parse
from coupon_service.access.web_tokens import LEEWAY_SECONDS, WebTokens

RSA, OTHER = rsa_key("rsa"), rsa_key("other")
KEYS = [
    RSA,
    OTHER,
    *(Key(name, name, rsa_key("").private) for name in ("RS384", "RS512", "PS256", "PS512")),
    *(ec_key(name, name) for name in ("ES256", "ES384", "ES512")),
    edwards_key("EdDSA"),
]
STRANGER = rsa_key("rsa")
STRANGER_TO_ALL = rsa_key("nobody's")
NOW = int(time.time())
# When no run of the tests that began now is under way any more.
LATER = NOW + 86_400


async def user(token: str, keys: list[Any] = KEYS) -> str | None:
    """Return the user whom a token is valid for."""
    cache = KeyCache("", seconds_max=300, pause_seconds=5, read_keys=lambda _: parse(jwks(keys)))
    identity = await WebTokens(cache, audience=AUDIENCE, issuer=ISSUER).identity(token)
    if identity is None:
        return None
    assert identity == Identity(role=Role.USER, key=identity.user_id, user_id=identity.user_id)
    return identity.user_id


def _named(claims: dict[str, object]) -> str:
    """Return a test's name, the same in every process: times are counted from now."""
    return re.sub(r"\d{10}", lambda time: f"now{int(time[0]) - NOW:+}", str(claims))


@pytest.mark.parametrize("key", KEYS, ids=lambda key: str(key.kid))
async def test_a_token_of_every_asymmetric_algorithm_is_valid(key: Key) -> None:
    assert await user(key.token()) == "alice"


@pytest.mark.parametrize("algorithm", ["RS256", "RS512", "PS384"])
async def test_a_key_that_names_no_algorithm_serves_those_of_its_kind(algorithm: str) -> None:
    key = Key("rsa", algorithm, RSA.private)
    assert await user(key.token(), [key.jwk(alg=None)]) == "alice"


@pytest.mark.parametrize(
    "claims",
    [
        {"iat": NOW},
        {"aud": ["others", AUDIENCE]},
        {"email": "alice@example.com", "roles": ["admin"]},
    ],
    ids=_named,
)
async def test_these_claims_leave_a_token_valid(claims: dict[str, object]) -> None:
    assert await user(RSA.token(**claims)) == "alice"


async def test_why_a_token_is_refused_is_logged_for_debugging_without_the_token() -> None:
    refused = {
        "Audience doesn't match": KEYS[0].token(aud="another"),
        "no key of the JWKS has its kid": STRANGER_TO_ALL.token(),
        "its sub does not fit a user_id": KEYS[0].token(sub=""),
    }
    for words, token in refused.items():
        with capture_logs() as logged:
            assert await user(token) is None
        (entry,) = logged
        assert (entry["log_level"], words in entry["why"]) == ("debug", True), entry
        assert not any(part in str(entry) for part in token.split("."))


async def test_clocks_may_differ_a_little() -> None:
    now = int(time.time())
    assert await user(RSA.token(exp=now - 1, nbf=now + 1, iat=now + 1)) == "alice"


async def test_clocks_may_not_differ_by_more_than_10_seconds() -> None:
    now = int(time.time())
    assert await user(RSA.token(exp=now - 11)) is None
    # It may take this test some seconds to ask.
    assert await user(RSA.token(nbf=now + 60)) is None


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": NOW - LEEWAY_SECONDS - 5},
        {"exp": 0},
        {"exp": -1},
        {"exp": "tomorrow"},
        {"exp": float("inf")},
        {"exp": float("nan")},
        {"exp": [LATER]},
        {"nbf": LATER},
        {"nbf": "never"},
        {"iat": LATER},
        {"iss": "https://login.example.com"},
        {"iss": "https://login.example.org/"},
        {"aud": "coupon"},
        {"aud": ["others"]},
        {"aud": []},
        {"aud": {AUDIENCE: 1}},
        {"sub": 7},
        {"sub": ["alice"]},
        {"sub": {"alice": 1}},
        {"sub": ""},
        {"sub": "a" * 129},
        {"sub": "a\0b"},
        {"sub": "a\nb"},
        {"sub": "a\x85b"},
        {"sub": "a\ud800b"},
        {"exp": None},
        {"sub": None},
        {"aud": None},
        {"iss": None},
    ],
    ids=_named,
)
async def test_these_claims_make_a_token_invalid(claims: dict[str, object]) -> None:
    assert await user(signed({**ALICE, **claims})) is None


ALICE = {"sub": "alice", "iss": ISSUER, "aud": AUDIENCE, "exp": LATER}


def signed(claims: dict[str, object]) -> str:
    """Return a token with whatever claims, also those that the library does not sign."""
    from cryptography.hazmat.primitives.asymmetric import padding  # noqa: PLC0415 # only here
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415 # only here

    said = {name: value for name, value in claims.items() if value is not None}
    unsigned = spelled({"alg": "RS256", "kid": "rsa"}, said).rpartition(".")[0]
    signature = RSA.private.sign(unsigned.encode(), padding.PKCS1v15(), SHA256())  # type: ignore[arg-type, call-arg] # an RSA key
    return f"{unsigned}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


async def test_what_is_signed_by_hand_is_valid() -> None:
    """So the tokens above are invalid for their claims."""
    assert await user(signed(ALICE)) == "alice"


@given(sub=st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=128))
@settings(max_examples=50)
async def test_every_user_id_may_be_a_subject(sub: str) -> None:
    assert await user(RSA.token(sub=sub)) == sub


@pytest.mark.parametrize(
    "header",
    [
        {"kid": None},
        {"kid": ""},
        {"kid": "unknown"},
        {"kid": "other"},
        {"kid": "ES256"},
        {"kid": "../rsa"},
        {"kid": "rsa\0"},
        {"crit": ["exp"]},
        {"crit": ["b64"], "b64": False},
    ],
    ids=_named,
)
async def test_these_headers_make_a_token_invalid(header: dict[str, object]) -> None:
    assert await user(RSA.token(header)) is None


async def test_a_key_that_a_token_brings_along_is_not_believed() -> None:
    token = STRANGER.token({"kid": "mine", "jwk": STRANGER.jwk(), "jku": "http://127.0.0.1:1/"})
    assert await user(token) is None


async def test_another_key_by_the_same_id_does_not_sign() -> None:
    assert await user(STRANGER.token()) is None


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "", "HS256", "RS256", "ES256"])
async def test_a_token_without_a_signature_is_invalid(algorithm: str) -> None:
    assert await user(spelled({"alg": algorithm, "kid": "rsa"}, ALICE)) is None


@pytest.mark.parametrize("algorithm", ["HS256", "HS512", "RS256"])
@pytest.mark.parametrize(
    "secret", [RSA.pem(), RSA.pem().strip(), json.dumps(RSA.jwk()).encode(), b""]
)
async def test_a_public_key_is_no_secret_to_sign_with(algorithm: str, secret: bytes) -> None:
    unsigned = spelled({"alg": algorithm, "kid": "rsa"}, ALICE).rpartition(".")[0]
    hashed = hashlib.sha512 if algorithm == "HS512" else hashlib.sha256
    signature = hmac.digest(secret, unsigned.encode(), hashed)
    token = f"{unsigned}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"
    assert await user(token) is None


async def test_a_key_does_not_serve_an_algorithm_that_it_is_not_for() -> None:
    assert await user(Key("rsa", "PS256", RSA.private).token()) is None


@pytest.mark.parametrize("place", [0, 1, 2])
async def test_a_token_that_was_changed_anywhere_is_invalid(place: int) -> None:
    parts = RSA.token().split(".")
    theirs = RSA.token(sub="bob").split(".") if place == 1 else OTHER.token().split(".")
    assert parts[place] != theirs[place]
    parts[place] = theirs[place]
    assert await user(".".join(parts)) is None


@given(place=st.integers(0, 10_000), symbol=st.sampled_from("Aa0-_.=é \0"))
async def test_one_changed_character_makes_a_token_invalid(place: int, symbol: str) -> None:
    place %= len(VALID)
    changed = VALID[:place] + symbol + VALID[place + 1 :]
    assert await user(changed) == ("alice" if changed == VALID else None)


VALID = RSA.token()


@given(st.text() | st.lists(st.text(), min_size=3, max_size=3).map(".".join))
async def test_no_text_breaks_anything(text: str) -> None:
    assert await user(text) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(
    header=JSON | st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit", "b64"]), JSON),
    claims=JSON,
)
async def test_no_header_or_claims_break_anything(header: object, claims: object) -> None:
    assert await user(spelled(header, claims, b"signature")) is None


@given(claims=st.dictionaries(st.sampled_from(["sub", "iss", "aud", "exp", "nbf", "iat"]), JSON))
@settings(max_examples=50)
async def test_no_claims_that_are_signed_break_anything(claims: dict[str, object]) -> None:
    valid_for = await user(signed({**ALICE, "sub": 0, **claims}))
    assert valid_for is None or valid_for == claims["sub"]


@pytest.mark.parametrize("depth", [1_000, 20_000])
async def test_brackets_without_end_break_nothing(depth: int) -> None:
    bottomless = base64.urlsafe_b64encode(b"[" * depth).rstrip(b"=").decode()
    head = base64.urlsafe_b64encode(b'{"alg":"RS256","kid":"rsa"}').rstrip(b"=").decode()
    assert await user(f"{bottomless}.{bottomless}.{bottomless}") is None
    assert await user(f"{head}.{bottomless}.AAAA") is None


def test_the_support_s_tokens_are_made_for_a_real_key_set(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_bytes(jwks(KEYS))
    assert {kid for kid, _ in parse(path.read_bytes())} == {key.kid for key in KEYS}
