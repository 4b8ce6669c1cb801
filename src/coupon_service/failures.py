"""How a command fails."""

from typing import Any

import click


class Failure(click.ClickException):
    """A command failed: one line on stderr, exit status 1."""

    def show(self, _file: Any = None) -> None:  # noqa: ANN401 # as click has it
        """Print the line."""
        click.echo(f"coupon-service: {' '.join(self.message.split())}", err=True)


class CannotServe(Exception):
    """The service cannot start; the message is one sentence for the operator."""
