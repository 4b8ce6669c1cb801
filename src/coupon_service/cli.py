"""The command line."""

import asyncio
import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from coupon_service import cli_tokens
from coupon_service.failures import Failure
from coupon_service.serving import spawning, stop_signals

if TYPE_CHECKING:
    from coupon_service.settings import Settings


class CommandWithSettings(click.Command):
    """A command whose help ends with the list of all settings."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the settings as a list of environment variables."""
        from coupon_service import variables  # noqa: PLC0415 # for this help alone

        super().format_epilog(ctx, formatter)
        with formatter.section("Settings (environment variables, or lines of a .env file)"):
            formatter.write_dl(
                [
                    (variable, f"{description} Default: {default}." if default else description)
                    for variable, default, description in variables.described()
                ]
            )


class Commands(click.Group):
    """All commands; those that call a service are imported when they are asked for.

    They need Connect's client, for which `serve` must not wait.
    """

    _calls = ("campaign", "issue")

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands."""
        return sorted([*super().list_commands(ctx), *self._calls])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command by its name."""
        if cmd_name not in self._calls:
            return super().get_command(ctx, cmd_name)
        from coupon_service import cli_calls  # noqa: PLC0415 # see the class

        command: click.Command = getattr(cli_calls, cmd_name)
        return command


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="coupon-service")
def main() -> None:
    """First-come-first-served coupon campaigns.

    \b
    Examples:
      coupon-service serve
      coupon-service campaign create --name "Launch night" --limit 1000 --start +10s
      coupon-service issue CAMPAIGN_ID --user alice
    """  # noqa: D301 # \b is click's mark for a paragraph that keeps its lines
    for stream in (sys.stdout, sys.stderr):
        # A terminal that knows no Hangul shows \u escapes; nothing fails after the fact.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


@main.command(cls=CommandWithSettings)
@click.option("--host", help="The address to listen on.")
@click.option("--port", type=int, help="The port to listen on; 0 takes a free one.")
@click.option("--workers", type=int, help="How many processes answer requests.")
@click.option(
    "--server",
    type=click.Choice(["uvicorn", "pyvoy"]),
    help="What speaks HTTP: uvicorn (HTTP/1.1), or pyvoy (HTTP/2 and gRPC too).",
)
@click.option(
    "--tls-cert",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The certificate chain in PEM, for HTTPS.",
)
@click.option(
    "--tls-key",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The certificate's private key in PEM.",
)
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the embedded PostgreSQL keeps its data.",
)
@click.option(
    "--insecure",
    is_flag=True,
    default=None,
    help="Serve without tokens on an address that can be reached from elsewhere.",
)
def serve(**options: Any) -> None:  # noqa: ANN401 # click's options, checked by Settings
    """Run the service until it is told to stop (Ctrl+C or SIGTERM).

    Without COUPON_DATABASE_URL it starts a PostgreSQL of its own. An option
    goes before its environment variable.

    \b
    Examples:
      coupon-service serve --port 9000 --workers 2
      COUPON_DATABASE_URL=postgresql://user:password@host/coupons coupon-service serve
    """  # noqa: D301 # \b is click's mark for a paragraph that keeps its lines
    stop_signals.leave_when_told()
    # Not from the settings, whose reading takes as long as half of the imports.
    server = options["server"] or os.environ.get("COUPON_SERVER", "uvicorn")
    with spawning.importing(server):
        # Imported only here: the client commands must not wait for the server's modules.
        from coupon_service.embedded import EmbeddedPostgresError  # noqa: PLC0415
        from coupon_service.serving.server import CannotServe  # noqa: PLC0415
        from coupon_service.serving.server import serve as run  # noqa: PLC0415

        chosen = {name: value for name, value in options.items() if value is not None}
        try:
            run(_settings(**chosen))
        except (CannotServe, EmbeddedPostgresError) as exc:
            raise Failure(str(exc)) from exc


@main.command()
def migrate() -> None:
    """Bring the database of COUPON_DATABASE_URL to the newest schema.

    \b
    Example:
      COUPON_DATABASE_URL=postgresql://user:password@host/coupons coupon-service migrate
    """  # noqa: D301 # \b is click's mark for a paragraph that keeps its lines
    # Imported only here: the client commands must not wait for Alembic.
    import asyncpg  # noqa: PLC0415

    from coupon_service import migrating  # noqa: PLC0415

    database_url = _settings().database_url
    if database_url is None:
        msg = "COUPON_DATABASE_URL is not set; it names the database to migrate"
        raise click.UsageError(msg)
    try:
        asyncio.run(migrating.migrate(database_url))
    except (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as exc:
        msg = f"cannot migrate the database: {str(exc) or type(exc).__name__}"
        raise Failure(msg) from exc
    except migrating.UnfitDatabase as exc:
        msg = f"cannot migrate the database: {exc}"
        raise Failure(msg) from exc
    click.echo("The database has the newest schema.")


main.add_command(cli_tokens.token)


def _settings(**chosen: Any) -> "Settings":  # noqa: ANN401 # click's options
    """Read the settings; a bad one is bad usage."""
    # Imported only here: the client commands must not wait for pydantic.
    from pydantic import ValidationError  # noqa: PLC0415

    from coupon_service.settings import ENV_PREFIX, Settings  # noqa: PLC0415

    try:
        _refuse_misspelt_variables()
        return Settings(**chosen)
    except ValidationError as exc:
        bad = exc.errors()[0]
        msg = bad["msg"].removeprefix("Value error, ")
        # A rule about several settings names them itself.
        if bad["loc"]:
            msg = f"{ENV_PREFIX}{bad['loc'][0]}".upper() + f": {msg}"
        raise click.UsageError(msg) from exc
    except UnicodeDecodeError as exc:
        msg = "the file .env is not in UTF-8"
        raise click.UsageError(msg) from exc


def _refuse_misspelt_variables() -> None:
    """Refuse what is meant as a setting and would have no effect."""
    from coupon_service import variables  # noqa: PLC0415 # as above

    if number := variables.unreadable_line():
        msg = f"line {number} of the file .env is not NAME=value"
        raise click.UsageError(msg)
    for variable, nearest in variables.unknown():
        if nearest is not None:
            msg = f"{variable} is no setting: is {nearest} meant?"
            raise click.UsageError(msg)
