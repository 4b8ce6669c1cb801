"""Where a service without credentials may run."""

import logging
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from support.web_tokens import jwks, rsa_key

from coupon_service.access import exposure
from coupon_service.failures import CannotServe
from coupon_service.settings import Settings

EVERYWHERE = "0.0.0.0"  # noqa: S104 # what is to be refused
HASH = "0" * 64
JWT = {"jwt_audience": "coupons", "jwt_issuer": "https://login.example.com/"}


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Leave no setting in the environment's .env file, and logging as it was."""
    monkeypatch.chdir(tmp_path)
    level = logging.root.level
    yield
    logging.root.setLevel(level)


def said(**values: Any) -> list[tuple[str, str]]:  # noqa: ANN401 # whatever a test tries
    """Return what is logged, with its level, when the service starts with these settings."""
    with capture_logs() as logged:
        exposure.check(Settings(**values))
        exposure.announce(Settings(**values))
    return [(each["log_level"], each["event"]) for each in logged]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_these_hosts_are_this_machine_alone(host: str) -> None:
    assert exposure.is_loopback(host)


@pytest.mark.parametrize(
    "host", [EVERYWHERE, "::", "192.0.2.1", "2001:db8::1", "", "127.0.0.1.invalid", "a" * 70, "*"]
)
def test_these_are_not(host: str) -> None:
    assert not exposure.is_loopback(host)


def test_a_host_with_an_address_elsewhere_as_well_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    addresses = [("127.0.0.1", 0), ("192.0.2.1", 0)]
    for order in (addresses, addresses[::-1]):
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", each) for each in order]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, found=found, **__: found)
        assert not exposure.is_loopback("both.example.com")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
@pytest.mark.parametrize("insecure", [False, True])
def test_on_this_machine_all_is_open_and_that_is_said(host: str, *, insecure: bool) -> None:
    line = ("info", "open to every caller on this machine: no tokens are set")
    assert said(host=host, insecure=insecure) == [line]


@pytest.mark.parametrize("host", [EVERYWHERE, "::", "192.0.2.1"])
def test_elsewhere_it_does_not_start_without_tokens_and_says_what_to_do(host: str) -> None:
    with pytest.raises(CannotServe) as refused:
        said(host=host)
    sentence = str(refused.value)
    assert sentence.startswith(f"{host} can be reached from elsewhere")
    assert "coupon-service token create --role admin" in sentence
    assert "--insecure" in sentence


def test_elsewhere_it_starts_without_tokens_if_told_to_and_warns() -> None:
    ((level, event),) = said(host=EVERYWHERE, insecure=True)
    assert (level, event.startswith("open to everybody")) == ("warning", True)


@pytest.mark.parametrize("host", [EVERYWHERE, "127.0.0.1"])
@pytest.mark.parametrize("role", ["admin_token_hashes", "issuer_token_hashes"])
def test_with_tokens_it_starts_anywhere_and_says_nothing(host: str, role: str) -> None:
    assert said(host=host, **{role: HASH}) == []


def test_with_keys_of_web_tokens_it_starts_anywhere(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_bytes(jwks([rsa_key("k")]))
    assert said(host=EVERYWHERE, jwt_jwks=str(path), **JWT) == []


def test_a_file_without_usable_keys_is_a_mistake(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text('{"keys": []}')
    with pytest.raises(
        CannotServe, match=r"COUPON_JWT_JWKS in .*keys.json: it holds no public key"
    ):
        said(jwt_jwks=str(path), **JWT)


def test_a_url_that_does_not_answer_may_do_so_later() -> None:
    ((level, event),) = said(jwt_jwks="http://127.0.0.1:1/keys", **JWT)
    assert (level, "refused until" in event) == ("warning", True)


# The settings ------------------------------------------------------------------------


def refused(**values: Any) -> str:  # noqa: ANN401 # whatever a test tries
    with pytest.raises(ValueError, match="Value error, ") as error:
        Settings(**values)
    return str(error.value)


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({"jwt_jwks": "k"}, "COUPON_JWT_AUDIENCE and COUPON_JWT_ISSUER"),
        ({"jwt_audience": "a"}, "COUPON_JWT_JWKS and COUPON_JWT_ISSUER"),
        ({"jwt_jwks": "k", "jwt_issuer": "i"}, "COUPON_JWT_AUDIENCE"),
        ({"jwt_audience": "a", "jwt_issuer": "i"}, "COUPON_JWT_JWKS"),
    ],
)
def test_what_web_tokens_need_goes_together(given: dict[str, str], missing: str) -> None:
    assert f"JSON Web Tokens need {missing} as well" in refused(**given)


def test_a_token_has_one_role() -> None:
    assert "a hash is in" in refused(admin_token_hashes=HASH, issuer_token_hashes=f"{HASH}")


@pytest.mark.parametrize("text", ["coupon_admin_x", "0" * 63, "0" * 65, "g" * 64, HASH + "\n"])
def test_what_is_no_hash_is_refused_with_the_way_to_one(text: str) -> None:
    assert "coupon-service token hash" in refused(admin_token_hashes=[text])


def test_hashes_are_read_between_commas_in_either_case() -> None:
    settings = Settings(admin_token_hashes=f" {'A' * 64} , {'b' * 64},")  # type: ignore[arg-type] # as variables say it
    assert settings.admin_token_hashes == ("a" * 64, "b" * 64)


@pytest.mark.parametrize("text", ["", "often", "0/second"])
def test_a_rate_limit_that_says_nothing_is_refused(text: str) -> None:
    assert "such as 20/second" in refused(rate_limit=text)


def test_pages_of_any_origin_are_not_let_in_without_tokens() -> None:
    with pytest.raises(CannotServe, match="COUPON_CORS_ORIGINS"):
        said(cors_origins="*")
    assert said(cors_origins="*", insecure=True)
    assert said(cors_origins="*", admin_token_hashes=HASH) == []
    assert said(cors_origins="http://localhost:3000")


def test_keys_that_come_unprotected_from_elsewhere_are_warned_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("coupon_service.access.key_sets.read", lambda _source: {})
    elsewhere, here = "http://192.0.2.1/keys", "http://127.0.0.1:1/keys"
    (warning,) = said(jwt_jwks=elsewhere, **JWT)
    assert warning[0] == "warning"
    assert "forge" in warning[1]
    assert said(jwt_jwks=here, **JWT) == said(jwt_jwks="https://192.0.2.1/keys", **JWT) == []
