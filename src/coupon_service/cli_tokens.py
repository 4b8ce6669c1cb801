"""The commands that make tokens."""

import json
import sys

import click

from coupon_service.access.identities import Role
from coupon_service.access.tokens import new_token, token_hash
from coupon_service.failures import Failure

CHARACTERS_MIN = 32

_VARIABLES = {
    Role.ADMIN: "COUPON_ADMIN_TOKEN_HASHES",
    Role.ISSUER: "COUPON_ISSUER_TOKEN_HASHES",
}
_MEANINGS = {
    Role.ADMIN: "It may do everything: create campaigns, issue coupons, read every code.",
    Role.ISSUER: "It may issue coupons and look at campaigns without their codes.",
}


@click.group()
def token() -> None:
    """Make tokens that callers show to the service."""


@token.command()
@click.option(
    "--role",
    required=True,
    type=click.Choice([role.value for role in _VARIABLES]),
    help="admin may do everything; issuer may issue, and look at campaigns without codes.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def create(*, role: str, as_json: bool) -> None:
    """Make a token; the last line printed is the token itself.

    Nothing keeps it: the service is given its hash, which the line before begins with
    the variable of. Several hashes may be set, between commas, so that a new token can
    take the place of an old one without a gap.

    \b
    Examples:
      coupon-service token create --role admin
      TOKEN=$(coupon-service token create --role admin | tail -n 1)
      coupon-service token create --role issuer --json
    """  # noqa: D301 # \b is click's mark for a paragraph that keeps its lines
    of_role = Role(role)
    made = new_token(of_role)
    hashed = token_hash(made)
    if as_json:
        said = {"role": role, "token": made, "hash": hashed, "variable": _VARIABLES[of_role]}
        click.echo(json.dumps(said))
        return
    click.echo(f"A new {role} token. {_MEANINGS[of_role]}")
    click.echo("It is shown this once. The service is started with its hash:")
    click.echo(f"{_VARIABLES[of_role]}={hashed}")
    click.echo(made)


@token.command(name="hash")
def hash_() -> None:
    """Print the hash of a token that is read from standard input.

    \b
    Example:
      echo "$TOKEN" | coupon-service token hash
    """  # noqa: D301 # \b is click's mark for a paragraph that keeps its lines
    given = sys.stdin.readline().strip()
    if not (given.isascii() and given.isprintable() and " " not in given):
        msg = "a token is made of printable ASCII characters without blanks"
        raise Failure(msg)
    if len(given) < CHARACTERS_MIN:
        msg = f"a token has at least {CHARACTERS_MIN} characters, drawn at random"
        raise Failure(msg)
    click.echo(token_hash(given))
