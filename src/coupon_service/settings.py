"""The settings: environment variables with the prefix COUPON_, or a .env file."""

import re
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from platformdirs import user_data_path
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    IPvAnyNetwork,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

ENV_PREFIX = "COUPON_"
ENV_FILE = ".env"


def _default_data_dir() -> Path:
    """Return the platform's folder for application data; for root the system's."""
    return user_data_path("coupon-service", appauthor=False, use_site_for_root=True)


def _words(value: Any) -> Any:  # noqa: ANN401 # whatever was set
    """Split a list as variables hold it: items between commas, blanks ignored."""
    if not isinstance(value, str):
        return value
    return [item.strip() for item in value.split(",") if item.strip()]


def _sha256(text: str) -> str:
    if not re.fullmatch(r"[0-9a-fA-F]{64}", text):
        msg = "it must be a SHA-256 in hex, as `coupon-service token hash` prints it"
        raise ValueError(msg)
    return text.lower()


def _origin(text: str) -> str:
    """Require what browsers send as an origin, which is compared letter by letter."""
    parts = urlsplit(text)
    default_ports = {"http": 80, "https": 443}
    is_origin = text == f"{parts.scheme}://{parts.netloc}" and parts.scheme in default_ports
    has_odd = "*" in text or "@" in text or text != text.lower() or not parts.hostname
    if text != "*" and (not is_origin or has_odd or parts.port == default_ports[parts.scheme]):
        msg = (
            "it must be * or an origin as browsers send it, such as https://shop.example.com: "
            "in small letters, without a path, a default port or a * within"
        )
        raise ValueError(msg)
    return text


def _proxy(network: IPv4Network | IPv6Network) -> IPv4Network | IPv6Network:
    if network.prefixlen == 0:
        msg = "it is everybody: whoever calls could then say where a call comes from"
        raise ValueError(msg)
    if isinstance(network, IPv6Network) and network.network_address.ipv4_mapped:
        msg = "addresses of IPv4 are compared as such: leave ::ffff: out"
        raise ValueError(msg)
    return network


PostgresUrl = Annotated[str, StringConstraints(pattern=r"^postgres(ql)?://")]
TokenHash = Annotated[str, AfterValidator(_sha256)]
Origin = Annotated[str, AfterValidator(_origin)]
Proxy = Annotated[IPvAnyNetwork, AfterValidator(_proxy)]
Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]
TokenHashes = Annotated[tuple[TokenHash, ...], NoDecode, BeforeValidator(_words)]
Origins = Annotated[tuple[Origin, ...], NoDecode, BeforeValidator(_words)]
Networks = Annotated[tuple[Proxy, ...], NoDecode, BeforeValidator(_words)]


class Settings(BaseSettings):
    """All settings of the service. Each field's description says its meaning and unit."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_file=ENV_FILE,
        # An empty variable is how compose files say "unset".
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
    )

    database_url: PostgresUrl | None = Field(
        default=None,
        description="PostgreSQL 14 to 18, as postgresql://user:password@host:port/database. "
        "Unset: an embedded PostgreSQL under the data directory.",
    )
    data_dir: Path = Field(
        default_factory=_default_data_dir,
        description="Where the embedded PostgreSQL keeps its data. "
        "Default: the platform's folder for application data.",
    )
    host: str = Field(default="127.0.0.1", min_length=1, description="The address to listen on.")
    port: int = Field(
        default=8080, ge=0, le=65535, description="The port to listen on; 0 takes a free one."
    )
    server: Literal["uvicorn", "pyvoy"] = Field(
        default="uvicorn",
        description="What speaks HTTP: uvicorn (HTTP/1.1: Connect and gRPC-Web), or pyvoy "
        "(HTTP/1.1 and HTTP/2: gRPC too).",
    )
    tls_cert: Path | None = Field(
        default=None, description="A file with the certificate chain in PEM; with it, HTTPS."
    )
    tls_key: Path | None = Field(
        default=None,
        validate_default=True,
        description="A file with its private key in PEM.",
    )
    workers: int = Field(
        default=1, ge=1, le=256, description="How many processes answer requests: 1 to 256."
    )
    pool_size: int = Field(
        default=10,
        ge=2,
        le=1000,
        description="Database connections of each process: 2 to 1000. "
        "One more listens for changes.",
    )
    queue_limit: int = Field(
        default=5000,
        ge=1,
        description="Claims that may wait for one campaign in one process; "
        "more are refused with OVERLOADED.",
    )
    group_limit: int = Field(
        default=512,
        ge=1,
        le=10000,
        description="Claims stored together in one transaction, at most: 1 to 10000.",
    )
    connect_seconds_max: Seconds = Field(
        default=5, description="Seconds to wait for a database connection."
    )
    statement_seconds_max: float = Field(
        default=10,
        ge=0.001,
        le=2_147_483,
        description="Seconds a database statement may take, waiting for locks included.",
    )
    settle_seconds_max: Seconds = Field(
        default=10,
        description="Seconds to find out whether a claim whose connection broke was stored.",
    )
    gate_seconds_max: Seconds = Field(
        default=1,
        description="Seconds for which sold out, ended or not started is answered "
        "without asking the database again.",
    )
    admin_token_hashes: TokenHashes = Field(
        default=(),
        description="SHA-256 of the tokens that may do everything, in hex, between commas; "
        "`coupon-service token create --role admin` makes one.",
    )
    issuer_token_hashes: TokenHashes = Field(
        default=(),
        description="SHA-256 of the tokens that may issue coupons and look at campaigns "
        "without codes.",
    )
    insecure: bool = Field(
        default=False,
        description="Whether to serve without credentials on an address that is not loopback.",
    )
    jwt_jwks: str | None = Field(
        default=None,
        description="Where the keys of JSON Web Tokens are: a file or an http(s) URL with a "
        "JWKS. A token's sub is the user that it claims for.",
    )
    jwt_audience: str | None = Field(
        default=None, description="The aud that JSON Web Tokens must have."
    )
    jwt_issuer: str | None = Field(
        default=None, description="The iss that JSON Web Tokens must have."
    )
    cors_origins: Origins = Field(
        default=(),
        description="Origins whose pages may call from a browser, such as "
        "https://shop.example.com, between commas; * is any.",
    )
    reflection: bool = Field(
        default=True, description="Whether to answer gRPC server reflection, the schema's names."
    )
    metrics: bool = Field(default=True, description="Whether to answer /metrics.")
    request_bytes_max: int = Field(
        default=65536, ge=1024, description="The largest request message, in bytes."
    )
    head_bytes_max: int = Field(
        default=65536,
        ge=1024,
        le=8_388_608,
        description="The largest head of a request (its line and headers), in bytes.",
    )
    connections_max: int = Field(
        default=10_000,
        ge=1,
        description="Connections that one process keeps open; more are refused.",
    )
    receive_seconds_max: Seconds = Field(
        default=10,
        description="Seconds in which a request must arrive, from its first byte to its last.",
    )
    send_seconds_max: Seconds = Field(
        default=60,
        description="Seconds for which an answer that its caller does not read is kept.",
    )
    rate_limit: str | None = Field(
        default=None,
        description="Requests allowed to one caller, such as 20/second or 600/minute, "
        "counted by each process. Unset: any number.",
    )
    rate_limit_by: Literal["user_id", "token", "address"] = Field(
        default="address",
        description="What tells callers apart for the rate limit: address, token or user_id.",
    )
    trusted_proxies: Networks = Field(
        default=(),
        description="Addresses or networks of proxies, between commas, whose X-Forwarded-For "
        "says where a call comes from.",
    )
    keep_alive_seconds: int = Field(
        default=75,
        ge=1,
        description="Seconds for which a connection without a call is kept open. "
        "Load balancers keep theirs for 60; the shorter side must not be this one.",
    )
    shutdown_seconds_max: int = Field(
        default=20,
        ge=1,
        description="Seconds that requests under way are given to finish after SIGTERM.",
    )
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], BeforeValidator(str.lower)
    ] = Field(
        default="info",
        description="The least important messages to log: debug, info, warning or error.",
    )
    log_format: Literal["auto", "console", "json"] = Field(
        default="auto",
        description="console for people, json for programs; auto is console on a terminal.",
    )
    access_log: bool = Field(default=False, description="Whether to log a line for each request.")

    @property
    def asks_for_credentials(self) -> bool:
        """Whether callers must show who they are."""
        return bool(self.admin_token_hashes or self.issuer_token_hashes or self.jwt_jwks)

    @field_validator("rate_limit")
    @classmethod
    def _is_a_rate_limit(cls, value: str | None) -> str | None:
        if value is not None:
            # Imported only here: without a limit, nothing waits for its library.
            from coupon_service.access.rates import rate_limit  # noqa: PLC0415

            rate_limit(value)
        return value

    @model_validator(mode="after")
    def _names_all_that_web_tokens_need(self) -> Self:
        needed = ("jwt_jwks", "jwt_audience", "jwt_issuer")
        missing = [name for name in needed if not getattr(self, name)]
        if 0 < len(missing) < len(needed):
            variables = " and ".join(f"{ENV_PREFIX}{name}".upper() for name in missing)
            msg = f"JSON Web Tokens need {variables} as well"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _asks_for_the_tokens_that_it_counts_by(self) -> Self:
        if self.rate_limit and self.rate_limit_by == "token" and not self.asks_for_credentials:
            msg = "COUPON_RATE_LIMIT_BY is token, and no tokens are set"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _gives_each_token_one_role(self) -> Self:
        if set(self.admin_token_hashes) & set(self.issuer_token_hashes):
            msg = "a hash is in COUPON_ADMIN_TOKEN_HASHES and in COUPON_ISSUER_TOKEN_HASHES"
            raise ValueError(msg)
        return self

    @field_validator("tls_key")
    @classmethod
    def _tls_key_goes_with_tls_cert(cls, key: Path | None, info: ValidationInfo) -> Path | None:
        if (key is None) != (info.data.get("tls_cert") is None):
            msg = "a certificate and its key go together: set both, or neither"
            raise ValueError(msg)
        return key
