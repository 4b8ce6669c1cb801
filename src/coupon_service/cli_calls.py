"""The commands that call a running service."""

import csv
import functools
import json
import os
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO, TypeVar
from urllib.parse import urlsplit

import click

from coupon_service import moments
from coupon_service.client import CallFailed, Client, present
from coupon_service.failures import Failure
from coupon_service.gen.coupon.v1 import coupon_pb as pb

DEFAULT_URL = "http://127.0.0.1:8080"

Command = TypeVar("Command", bound=Callable[..., Any])


def _checked_url(_ctx: click.Context, _param: click.Parameter, value: str) -> str:
    try:
        parts = urlsplit(value)
        valid = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        valid = False
    if not valid:
        msg = f"{value!r} is not an http:// or https:// URL"
        raise click.BadParameter(msg)
    return value


def _checked_token(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    if value is not None and not (value.isascii() and value.isprintable()):
        msg = "a token is made of printable ASCII characters"
        raise click.BadParameter(msg)
    return value


def calls_the_service(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command --url, --token and --json, and a Client as its first argument."""

    @click.option(
        "--url",
        envvar="COUPON_URL",
        default=DEFAULT_URL,
        show_default=True,
        show_envvar=True,
        callback=_checked_url,
        help="Where the service runs.",
    )
    @click.option(
        "--token",
        envvar="COUPON_TOKEN",
        show_envvar=True,
        callback=_checked_token,
        help="A bearer token.",
    )
    @click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
    @functools.wraps(command)
    def wrapped(*args: Any, url: str, token: str | None, **kwargs: Any) -> None:  # noqa: ANN401 # passed on
        try:
            command(Client(url, token), *args, **kwargs)
        except CallFailed as exc:
            raise Failure(str(exc)) from exc
        except BrokenPipeError:
            raise  # whoever reads has seen enough; click ends quietly
        except OSError as exc:  # calls and files raise others
            # What is still to be written would fail once more when Python exits.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            msg = f"cannot write to stdout: {exc.strerror}"
            raise Failure(msg) from exc

    return wrapped


def _not_empty(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str:
    if value == "":
        msg = "it must not be empty; without the option the claim is anonymous"
        raise click.BadParameter(msg)
    return value or ""


@click.group()
def campaign() -> None:
    """Create campaigns and look at them."""


@campaign.command()
@click.option("--name", required=True, help="A name for people to read.")
@click.option("--limit", required=True, type=int, help="How many coupons there are.")
@click.option(
    "--start",
    required=True,
    type=moments.MOMENT,
    help="When issuing starts: now, a time from now such as +10s, +5m, +2h or +1d, or an "
    "ISO 8601 time such as 2030-01-31T20:00:00+09:00. Without an offset it is local time.",
)
@click.option("--end", type=moments.MOMENT, help="When issuing ends, in the same forms.")
@calls_the_service
def create(  # noqa: PLR0913 # an option each
    client: Client, *, as_json: bool, name: str, limit: int, start: datetime, end: datetime | None
) -> None:
    """Create a campaign; the last line printed is its id.

    now and +… are reckoned from this computer's clock; the campaign itself starts by
    the database's.

    \b
    Examples:
      coupon-service campaign create --name "Launch night" --limit 1000 --start now
      coupon-service campaign create --name Autumn --limit 50 --start +10m --end +1h
    """  # noqa: D301 # \b is click's mark for a paragraph that keeps its lines
    request = pb.CreateCampaignRequest(
        name=name,
        # Beyond 32 bits there is no telling the service; it refuses 0 just the same.
        coupon_limit=limit if abs(limit) < 2**31 else 0,
        start_time=moments.timestamp(start),
        end_time=None if end is None else moments.timestamp(end),
    )
    created = client.create_campaign(request)
    if as_json:
        click.echo(created.to_json())
        return
    _print_campaign(created)
    click.echo(created.campaign_id)


@campaign.command()
@click.argument("campaign_id")
@calls_the_service
def show(client: Client, campaign_id: str, *, as_json: bool) -> None:
    """Show a campaign without its codes.

    \b
    Example:
      coupon-service campaign show 0b8f3f3e-5f0c-4b2f-9b5e-0c6c3c1d2e4f
    """  # noqa: D301 # \b is click's mark for a paragraph that keeps its lines
    shown, _ = client.get_campaign(campaign_id, pb.CampaignView.BASIC)
    if as_json:
        click.echo(shown.to_json())
    else:
        _print_campaign(shown)


@campaign.command()
@click.argument("campaign_id")
@click.option(
    "--csv",
    "csv_file",
    type=click.Path(path_type=Path, dir_okay=False, writable=True, allow_dash=True),
    help="Write sequence and code of each coupon to this file instead; - is stdout.",
)
@calls_the_service
def codes(client: Client, campaign_id: str, *, as_json: bool, csv_file: Path | None) -> None:
    """Print every code issued so far, a line each, in order of issue.

    \b
    Examples:
      coupon-service campaign codes CAMPAIGN_ID
      coupon-service campaign codes CAMPAIGN_ID --csv codes.csv
    """  # noqa: D301 # \b is click's mark for a paragraph that keeps its lines
    _, issued = client.get_campaign(campaign_id, pb.CampaignView.FULL)
    if csv_file == Path("-"):
        _print_csv(sys.stdout, issued)
    elif csv_file is not None:
        _write_csv(csv_file, issued)
        click.echo(f"{len(issued)} codes written to {csv_file}", err=True)
    elif as_json:
        click.echo(json.dumps(issued, ensure_ascii=False))
    else:
        click.echo("".join(f"{code}\n" for code in issued), nl=False)


@click.command()
@click.argument("campaign_id")
@click.option(
    "--user",
    "user_id",
    callback=_not_empty,
    help="Who asks. Asking again shows the same coupon.",
)
@calls_the_service
def issue(client: Client, campaign_id: str, *, as_json: bool, user_id: str) -> None:
    """Claim a coupon; the last line printed is its code.

    \b
    Examples:
      coupon-service issue CAMPAIGN_ID
      coupon-service issue CAMPAIGN_ID --user alice
    """  # noqa: D301 # \b is click's mark for a paragraph that keeps its lines
    answer = client.issue_coupon(campaign_id, user_id)
    if as_json:
        click.echo(answer.to_json())
        return
    coupon = present(answer.coupon)
    word = "issued before, at" if answer.already_issued else "issued at"
    click.echo(f"Coupon {coupon.sequence}, {word} {moments.readable(coupon.issue_time)}")
    click.echo(coupon.code)


def _write_csv(path: Path, issued: list[str]) -> None:
    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            _print_csv(file, issued)
    except OSError as exc:
        msg = f"cannot write {path}: {exc.strerror}"
        raise Failure(msg) from exc


def _print_csv(file: TextIO, issued: list[str]) -> None:
    writer = csv.writer(file)
    writer.writerow(["sequence", "code"])
    writer.writerows(enumerate(issued, start=1))
    file.flush()


def _print_campaign(shown: pb.Campaign) -> None:
    # Imported only where it is needed: it takes longer than the rest of the command.
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold")
    for label, value in (
        ("campaign", shown.campaign_id),
        ("name", shown.name),
        ("state", shown.state.name.replace("_", " ").lower()),
        ("issued", f"{shown.issued_count:,} of {shown.coupon_limit:,}"),
        ("starts", moments.readable(shown.start_time)),
        ("ends", moments.readable(shown.end_time)),
        ("created", moments.readable(shown.create_time)),
    ):
        table.add_row(label, Text(value))
    Console().print(table)
