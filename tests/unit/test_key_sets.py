"""Which keys of a key set can verify tokens, and where key sets are read from."""

import contextlib
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.web_tokens import Key, ec_key, edwards_key, jwks, rsa_key

from coupon_service.access import key_sets
from coupon_service.access.key_sets import BadKeySet, parse, read

RSA, EC, EDWARDS = rsa_key("r"), ec_key("e", "ES384"), edwards_key("d")
ALL_OF_RSA = {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}


def names(*keys: Key | dict[str, Any]) -> set[tuple[str, str]]:
    """Return the names of the keys that are usable beside one that is."""
    usable = {("d", "EdDSA")}
    return set(parse(jwks([EDWARDS, *keys]))) - usable


@pytest.mark.parametrize("key", [RSA, EC, ec_key("e"), ec_key("e", "ES512"), rsa_key("r", "PS256")])
def test_a_key_that_says_its_algorithm_is_for_that_alone(key: Key) -> None:
    assert names(key) == {(key.kid, key.algorithm)}


@pytest.mark.parametrize(
    ("key", "algorithms"), [(RSA, ALL_OF_RSA), (EC, {"ES384"}), (ec_key("e"), {"ES256"})]
)
def test_a_key_that_does_not_is_for_those_of_its_kind(key: Key, algorithms: set[str]) -> None:
    assert names(key.jwk(alg=None)) == {(key.kid, algorithm) for algorithm in algorithms}


@pytest.mark.parametrize(
    "said",
    [
        pytest.param({"kty": "oct", "k": "c2VjcmV0", "kid": "r"}, id="symmetric"),
        pytest.param({"kty": "oct", "k": "c2VjcmV0", "kid": "r", "alg": "HS256"}, id="HS256"),
        pytest.param(RSA.jwk(alg="HS256"), id="RSA for HS256"),
        pytest.param(RSA.jwk(alg="none"), id="RSA for none"),
        pytest.param(RSA.jwk(alg="ES256"), id="RSA for ES256"),
        pytest.param(RSA.jwk(alg=["RS256"]), id="algorithm no text"),
        pytest.param(EC.jwk(alg="ES256"), id="the curve of another algorithm"),
        pytest.param(RSA.jwk(use="enc"), id="for encryption"),
        pytest.param(RSA.jwk(key_ops=["encrypt"]), id="for encryption alone"),
        pytest.param(RSA.jwk(kid=None), id="without an id"),
        pytest.param(RSA.jwk(kid=7), id="id no text"),
        pytest.param(RSA.jwk(n=None), id="incomplete"),
        pytest.param(RSA.jwk(n=5), id="of nonsense"),
        pytest.param(rsa_key("r", bits=1024).jwk(), id="weak"),
        pytest.param({}, id="empty"),
    ],
)
def test_a_key_that_no_token_may_be_verified_with_is_passed_over(said: dict[str, Any]) -> None:
    assert names(said) == set()


def test_a_private_key_that_was_published_by_mistake_is_passed_over() -> None:
    from jwt.algorithms import RSAAlgorithm  # noqa: PLC0415 # for this test alone

    private = json.loads(RSAAlgorithm.to_jwk(RSA.private))  # type: ignore[arg-type] # it is one
    assert names({**private, "kid": "r", "alg": "RS256"}) == set()


def test_the_first_of_two_keys_by_one_name_counts() -> None:
    first, second = rsa_key("r"), rsa_key("r")
    found = parse(jwks([first, second]))["r", "RS256"]
    assert found == first.private.public_key()


def test_keys_of_different_kinds_may_share_an_id() -> None:
    assert names(RSA, ec_key("r")) == {("r", "RS256"), ("r", "ES256")}


@pytest.mark.parametrize(
    "data",
    [b"", b"nonsense", b"[]", b"{}", b'{"keys": {}}', b'{"keys": []}', b"[" * 100_000, b"\xff"],
)
def test_what_is_no_key_set_is_refused(data: bytes) -> None:
    with pytest.raises(BadKeySet):
        parse(data)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
MEMBERS = st.sampled_from(["kty", "kid", "alg", "use", "key_ops", "n", "e", "crv", "x", "y", "d"])
VALUES = JSON | st.sampled_from(["RSA", "EC", "OKP", "P-256", "Ed25519", "AQAB", "RS256", "sig"])


@given(said=JSON | st.dictionaries(MEMBERS, VALUES))
def test_nothing_that_a_key_may_say_breaks_the_others(said: Any) -> None:  # noqa: ANN401 # any JSON
    assert ("d", "EdDSA") in parse(json.dumps({"keys": [said, EDWARDS.jwk()]}).encode())


@given(changes=st.dictionaries(MEMBERS, VALUES, min_size=1))
def test_nothing_that_is_wrong_with_a_key_breaks_the_others(changes: dict[str, Any]) -> None:
    said = {**RSA.jwk(kid="r"), **changes}
    assert ("d", "EdDSA") in parse(json.dumps({"keys": [said, EDWARDS.jwk()]}).encode())


# Sources -----------------------------------------------------------------------------


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_bytes(jwks([RSA]))
    assert set(read(str(path))) == {("r", "RS256")}


def test_a_file_that_is_not_there_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(BadKeySet, match="No such file or directory"):
        read(str(tmp_path / "keys.json"))


SILENT_SECONDS = 10


class Answers(BaseHTTPRequestHandler):
    """Answers by the path that is asked for."""

    def do_GET(self) -> None:
        if self.path == "/silent":
            # Nothing comes but the end of the connection, once the caller has enough.
            self.connection.settimeout(SILENT_SECONDS)
            with contextlib.suppress(TimeoutError):
                self.rfile.read(1)
        status = {"/missing": 404, "/moved": 302}.get(self.path, 200)
        self.send_response(status)
        self.send_header("location", "/keys")
        self.end_headers()
        if self.path == "/endless":
            while True:
                self.wfile.write(b" " * 65_536)
        self.wfile.write(b"nonsense" if self.path == "/nonsense" else jwks([RSA]))

    def log_message(self, *_: object) -> None:
        """Keep quiet."""

    def handle(self) -> None:
        """Take it as it is that callers have enough at some time."""
        try:
            super().handle()
        except ConnectionError:
            return


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_url_is_fetched(provider: str) -> None:
    assert set(read(f"{provider}/keys")) == {("r", "RS256")}


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/missing", "it answers HTTP 404"),
        ("/moved", "it answers HTTP 302"),
        ("/endless", "it is larger than 1,048,576 bytes"),
        ("/nonsense", "it is not JSON"),
    ],
)
def test_what_a_url_answers_wrong_is_told(provider: str, path: str, why: str) -> None:
    with pytest.raises(BadKeySet) as refused:
        read(provider + path)
    assert str(refused.value) == why


def test_a_url_that_nobody_answers_is_told_of() -> None:
    with pytest.raises(BadKeySet, match="cannot be reached"):
        read("http://127.0.0.1:1/keys")


def test_a_source_that_drips_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_sets, "FETCH_SECONDS_MAX", -1)
    with pytest.raises(BadKeySet, match="takes longer"):
        key_sets._whole(lambda _size: b" ")


def test_a_url_that_is_silent_is_given_up(provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_sets, "FETCH_SECONDS_MAX", 0.1)
    with pytest.raises(BadKeySet, match="timed out"):
        read(f"{provider}/silent")
