"""The settings: where they come from, what they may be, and that each is described."""

import os
from ipaddress import ip_network
from pathlib import Path

import pytest
from pydantic import ValidationError

from coupon_service.settings import Settings
from coupon_service.variables import as_variables, described

VARIABLES = [
    "COUPON_DATABASE_URL",
    "COUPON_DATA_DIR",
    "COUPON_HOST",
    "COUPON_PORT",
    "COUPON_SERVER",
    "COUPON_TLS_CERT",
    "COUPON_TLS_KEY",
    "COUPON_WORKERS",
    "COUPON_POOL_SIZE",
    "COUPON_QUEUE_LIMIT",
    "COUPON_GROUP_LIMIT",
    "COUPON_CONNECT_SECONDS_MAX",
    "COUPON_STATEMENT_SECONDS_MAX",
    "COUPON_SETTLE_SECONDS_MAX",
    "COUPON_GATE_SECONDS_MAX",
    "COUPON_ADMIN_TOKEN_HASHES",
    "COUPON_ISSUER_TOKEN_HASHES",
    "COUPON_INSECURE",
    "COUPON_JWT_JWKS",
    "COUPON_JWT_AUDIENCE",
    "COUPON_JWT_ISSUER",
    "COUPON_CORS_ORIGINS",
    "COUPON_REFLECTION",
    "COUPON_METRICS",
    "COUPON_REQUEST_BYTES_MAX",
    "COUPON_HEAD_BYTES_MAX",
    "COUPON_CONNECTIONS_MAX",
    "COUPON_RECEIVE_SECONDS_MAX",
    "COUPON_SEND_SECONDS_MAX",
    "COUPON_RATE_LIMIT",
    "COUPON_RATE_LIMIT_BY",
    "COUPON_TRUSTED_PROXIES",
    "COUPON_KEEP_ALIVE_SECONDS",
    "COUPON_SHUTDOWN_SECONDS_MAX",
    "COUPON_LOG_LEVEL",
    "COUPON_LOG_FORMAT",
    "COUPON_ACCESS_LOG",
]
# Nothing is their default, or what is worked out.
WITHOUT_DEFAULT = {
    "COUPON_DATABASE_URL",
    "COUPON_DATA_DIR",
    "COUPON_TLS_CERT",
    "COUPON_TLS_KEY",
    "COUPON_ADMIN_TOKEN_HASHES",
    "COUPON_ISSUER_TOKEN_HASHES",
    "COUPON_JWT_JWKS",
    "COUPON_JWT_AUDIENCE",
    "COUPON_JWT_ISSUER",
    "COUPON_CORS_ORIGINS",
    "COUPON_RATE_LIMIT",
    "COUPON_TRUSTED_PROXIES",
}


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Leave no setting in the environment, and no .env file in the working directory."""
    for variable in os.environ:
        if variable.upper().startswith("COUPON_"):
            monkeypatch.delenv(variable)
    monkeypatch.chdir(tmp_path)


def refused_fields(**values: object) -> list[tuple[object, ...]]:
    with pytest.raises(ValidationError) as refused:
        Settings(**values)  # type: ignore[arg-type]  # whatever a test tries
    return [error["loc"] for error in refused.value.errors()]


def test_nothing_has_to_be_set() -> None:
    settings = Settings()
    chosen = settings.model_dump(exclude={"data_dir"})
    assert settings.data_dir.is_absolute()
    assert chosen == {
        "database_url": None,
        "host": "127.0.0.1",
        "port": 8080,
        "server": "uvicorn",
        "tls_cert": None,
        "tls_key": None,
        "workers": 1,
        "pool_size": 10,
        "queue_limit": 5000,
        "group_limit": 512,
        "connect_seconds_max": 5.0,
        "statement_seconds_max": 10.0,
        "settle_seconds_max": 10.0,
        "gate_seconds_max": 1.0,
        "admin_token_hashes": (),
        "issuer_token_hashes": (),
        "insecure": False,
        "jwt_jwks": None,
        "jwt_audience": None,
        "jwt_issuer": None,
        "cors_origins": (),
        "reflection": True,
        "metrics": True,
        "request_bytes_max": 65536,
        "head_bytes_max": 65536,
        "connections_max": 10_000,
        "receive_seconds_max": 10.0,
        "send_seconds_max": 60.0,
        "rate_limit": None,
        "rate_limit_by": "address",
        "trusted_proxies": (),
        "keep_alive_seconds": 75,
        "shutdown_seconds_max": 20,
        "log_level": "info",
        "log_format": "auto",
        "access_log": False,
    }


def test_every_setting_is_listed_in_order() -> None:
    assert [variable for variable, _, _ in described()] == VARIABLES
    assert len(VARIABLES) == len(Settings.model_fields)


@pytest.mark.parametrize(("variable", "default", "description"), described())
def test_every_setting_is_described_in_whole_sentences(
    variable: str, default: str, description: str
) -> None:
    assert variable == variable.upper()
    assert description == description.strip()
    assert description[0].isupper() or variable == "COUPON_LOG_FORMAT"
    assert description[-1] == "."
    assert description.isprintable()
    assert default not in {"none", "pydanticundefined"}


@pytest.mark.parametrize(("variable", "default", "_"), described())
def test_the_default_that_is_listed_is_the_default(
    monkeypatch: pytest.MonkeyPatch, variable: str, default: str, _: str
) -> None:
    unset = Settings()
    if default:
        monkeypatch.setenv(variable, default)
    assert Settings() == unset
    assert bool(default) == (variable not in WITHOUT_DEFAULT)


VALUES = [
    ("COUPON_DATABASE_URL", "postgresql://u:p@h:5432/d", "postgresql://u:p@h:5432/d"),
    ("COUPON_DATABASE_URL", "postgres://h/d", "postgres://h/d"),
    ("COUPON_DATA_DIR", "/srv/coupons", Path("/srv/coupons")),
    ("COUPON_HOST", "0.0.0.0", "0.0.0.0"),  # noqa: S104 # a value like any other
    ("COUPON_PORT", "0", 0),
    ("COUPON_PORT", "65535", 65535),
    ("COUPON_WORKERS", "256", 256),
    ("COUPON_POOL_SIZE", "2", 2),
    ("COUPON_QUEUE_LIMIT", "1", 1),
    ("COUPON_GROUP_LIMIT", "10000", 10000),
    ("COUPON_CONNECT_SECONDS_MAX", "0.5", 0.5),
    ("COUPON_STATEMENT_SECONDS_MAX", "2.5", 2.5),
    ("COUPON_SETTLE_SECONDS_MAX", "3", 3.0),
    ("COUPON_GATE_SECONDS_MAX", "0.25", 0.25),
    ("COUPON_ADMIN_TOKEN_HASHES", f"{'A' * 64}, {'b' * 64}", ("a" * 64, "b" * 64)),
    ("COUPON_ISSUER_TOKEN_HASHES", "0" * 64, ("0" * 64,)),
    ("COUPON_INSECURE", "true", True),
    ("COUPON_RATE_LIMIT", "20/second", "20/second"),
    ("COUPON_RATE_LIMIT_BY", "user_id", "user_id"),
    (
        "COUPON_TRUSTED_PROXIES",
        "10.0.0.0/8,192.0.2.1",
        (ip_network("10.0.0.0/8"), ip_network("192.0.2.1/32")),
    ),
    ("COUPON_REQUEST_BYTES_MAX", "1024", 1024),
    ("COUPON_KEEP_ALIVE_SECONDS", "1", 1),
    ("COUPON_SHUTDOWN_SECONDS_MAX", "1", 1),
    ("COUPON_LOG_LEVEL", "warning", "warning"),
    ("COUPON_LOG_FORMAT", "json", "json"),
    ("COUPON_ACCESS_LOG", "true", True),
]


@pytest.mark.parametrize(("variable", "text", "value"), VALUES)
def test_a_setting_is_read_from_its_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, text: str, value: object
) -> None:
    monkeypatch.setenv(variable, text)
    assert getattr(Settings(), variable.removeprefix("COUPON_").lower()) == value


@pytest.mark.parametrize(("variable", "text", "value"), VALUES)
def test_a_setting_is_read_from_a_line_of_the_env_file(
    tmp_path: Path, variable: str, text: str, value: object
) -> None:
    (tmp_path / ".env").write_text(f"# settings\n{variable}={text}\nOTHER=1\n", "utf-8")
    assert getattr(Settings(), variable.removeprefix("COUPON_").lower()) == value


def test_a_variable_without_the_prefix_is_none_of_ours(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PORT", "1")
    (tmp_path / ".env").write_text("HOST=example.org\n", "utf-8")
    assert (Settings().port, Settings().host) == (8080, "127.0.0.1")


def test_an_option_goes_before_its_variable_and_that_before_the_env_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("COUPON_PORT=1\nCOUPON_WORKERS=2\nCOUPON_HOST=a\n", "utf-8")
    monkeypatch.setenv("COUPON_PORT", "3")
    monkeypatch.setenv("COUPON_WORKERS", "4")
    settings = Settings(port=5)
    assert (settings.port, settings.workers, settings.host) == (5, 4, "a")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("database_url", "mysql://h/d"),
        ("database_url", "h:5432/d"),
        ("database_url", "postgresql+asyncpg://h/d"),
        ("database_url", " postgresql://h/d"),
        ("host", ""),
        ("port", -1),
        ("port", 65536),
        ("port", "http"),
        ("port", "80.5"),
        ("workers", 0),
        ("workers", 257),
        ("pool_size", 1),
        ("pool_size", 1001),
        ("queue_limit", 0),
        ("group_limit", 0),
        ("group_limit", 10001),
        ("connect_seconds_max", 0),
        ("connect_seconds_max", -1),
        ("connect_seconds_max", "nan"),
        ("statement_seconds_max", 0),
        ("statement_seconds_max", "nan"),
        ("settle_seconds_max", 0),
        ("settle_seconds_max", "soon"),
        ("gate_seconds_max", 0),
        ("server", "granian"),
        ("insecure", "perhaps"),
        ("rate_limit", "often"),
        ("rate_limit", "0/second"),
        ("rate_limit_by", "name"),
        ("request_bytes_max", 1023),
        ("shutdown_seconds_max", 0),
        ("log_level", "trace"),
        ("log_format", "xml"),
        ("access_log", "maybe"),
    ],
)
def test_a_bad_value_is_refused_by_name(field: str, value: object) -> None:
    assert refused_fields(**{field: value}) == [(field,)]


@pytest.mark.parametrize("seconds", [0.001, 0.5, 2_147_483])
def test_a_statement_may_take_what_postgresql_can_be_told(seconds: float) -> None:
    assert Settings(statement_seconds_max=seconds).statement_seconds_max == seconds


@pytest.mark.parametrize("seconds", [0.0004, 2_147_484, "inf"])
def test_a_statement_timeout_that_postgresql_takes_for_another_or_none_is_refused(
    seconds: float | str,
) -> None:
    """It counts whole milliseconds in 32 bits, and 0 is no timeout at all."""
    assert refused_fields(statement_seconds_max=seconds) == [("statement_seconds_max",)]


@pytest.mark.parametrize(
    ("field", "value"),
    [("admin_token_hashes", "secret"), ("trusted_proxies", "10.0.0.1/8"), ("cors_origins", "a")],
)
def test_a_bad_item_of_a_list_is_refused_with_its_place(field: str, value: str) -> None:
    assert refused_fields(**{field: value})[0][:2] == (field, 0)


def test_what_workers_read_from_the_environment_is_what_was_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chosen = {variable.removeprefix("COUPON_").lower(): text for variable, text, _ in VALUES}
    settings = Settings(**chosen)  # type: ignore[arg-type]  # as variables say it
    for variable, text in as_variables(settings).items():
        monkeypatch.setenv(variable, text)
    assert Settings() == settings


def test_every_bad_value_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUPON_PORT", "http")
    monkeypatch.setenv("COUPON_WORKERS", "0")
    assert set(refused_fields(log_level="loud")) == {("log_level",), ("port",), ("workers",)}


def test_settings_cannot_be_changed() -> None:
    settings = Settings()
    with pytest.raises(ValidationError):
        settings.port = 1


SECONDS = ("connect", "settle", "gate", "receive", "send")


@pytest.mark.parametrize("name", SECONDS)
@pytest.mark.parametrize("seconds", ["inf", "nan", "0", "-1", "86401"])
def test_seconds_are_more_than_none_and_a_day_at_most(name: str, seconds: str) -> None:
    field = f"{name}_seconds_max"
    assert refused_fields(**{field: seconds}) == [(field,)]
    assert getattr(Settings(**{field: "86400"}), field) == 86400  # type: ignore[arg-type]  # as a variable says it


@pytest.mark.parametrize(
    "origin", ["*", "https://shop.example.com", "http://localhost:3000", "http://[::1]:8080"]
)
def test_an_origin_is_what_browsers_send(origin: str) -> None:
    assert Settings(cors_origins=origin).cors_origins == (origin,)  # type: ignore[arg-type]  # as above


@pytest.mark.parametrize(
    "origin",
    [
        "https://*.example.com",
        "https://Shop.example.com",
        "https://shop.example.com/",
        "https://shop.example.com/path",
        "https://shop.example.com:443",
        "http://shop.example.com:80",
        "https://user@shop.example.com",
        "shop.example.com",
        "ftp://shop.example.com",
        "https://",
    ],
)
def test_an_origin_that_no_browser_sends_is_refused(origin: str) -> None:
    assert refused_fields(cors_origins=origin) == [("cors_origins", 0)]


@pytest.mark.parametrize("network", ["0.0.0.0/0", "::/0", "::ffff:10.0.0.0/104"])
def test_a_proxy_that_is_everybody_or_never_matches_is_refused(network: str) -> None:
    assert refused_fields(trusted_proxies=network)[0][:2] == ("trusted_proxies", 0)


def test_a_limit_by_token_needs_tokens() -> None:
    limit = {"rate_limit": "1/second", "rate_limit_by": "token"}
    assert refused_fields(**limit) == [()]
    assert Settings(**limit, admin_token_hashes="0" * 64).rate_limit_by == "token"  # type: ignore[arg-type]  # as above
