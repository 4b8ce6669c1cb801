"""The settings: environment variables with the prefix COUPON_, or a .env file."""

from pathlib import Path
from typing import Annotated, Literal

from platformdirs import user_data_path
from pydantic import BeforeValidator, Field, StringConstraints
from pydantic_settings import BaseSettings, SettingsConfigDict

ENV_PREFIX = "COUPON_"


def _default_data_dir() -> Path:
    """Return the platform's folder for application data; for root the system's."""
    return user_data_path("coupon-service", appauthor=False, use_site_for_root=True)


PostgresUrl = Annotated[str, StringConstraints(pattern=r"^postgres(ql)?://")]


class Settings(BaseSettings):
    """All settings of the service. Each field's description says its meaning and unit."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_file=".env",
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
    connect_seconds_max: float = Field(
        default=5, gt=0, description="Seconds to wait for a database connection."
    )
    statement_seconds_max: float = Field(
        default=10,
        ge=0.001,
        le=2_147_483,
        description="Seconds a database statement may take, waiting for locks included.",
    )
    settle_seconds_max: float = Field(
        default=10,
        gt=0,
        description="Seconds to find out whether a claim whose connection broke was stored.",
    )
    gate_seconds_max: float = Field(
        default=1,
        gt=0,
        description="Seconds for which sold out, ended or not started is answered "
        "without asking the database again.",
    )
    request_bytes_max: int = Field(
        default=65536, ge=1024, description="The largest request message, in bytes."
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
    ] = Field(default="info", description="The least important messages to log.")
    log_format: Literal["auto", "console", "json"] = Field(
        default="auto",
        description="console for people, json for programs; auto is console on a terminal.",
    )
    access_log: bool = Field(default=False, description="Whether to log a line for each request.")


def described() -> list[tuple[str, str, str]]:
    """Return each setting's variable, default and description, in order."""
    return [
        (
            f"{ENV_PREFIX}{name}".upper(),
            "" if field.default is None or field.default_factory else str(field.default).lower(),
            field.description or "",
        )
        for name, field in Settings.model_fields.items()
    ]
