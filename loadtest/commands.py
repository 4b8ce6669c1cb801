"""What the commands that go on for as long as asked have in common."""

import signal
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click

CONTEXT_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}

Option = Callable[[Callable[..., Any]], Callable[..., Any]]

minutes: Option = click.option(
    "--minutes",
    type=click.FloatRange(min=0),
    default=10.0,
    show_default=True,
    help="Go on for so long; each is done at least once.",
)
seed: Option = click.option(
    "--seed", type=click.IntRange(min=0), help="A run's seed, to repeat it."
)


def output(default: str, what: str) -> Option:
    """Return the option that says where files go; the help says what they are."""
    return click.option(
        "--output",
        type=click.Path(path_type=Path, file_okay=False),
        default=Path(default),
        show_default=True,
        help=f"Where {what}.",
    )


def end_all_when_told() -> None:
    """Let SIGTERM and SIGHUP end this process like an error: what it started is stopped with it."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda _number, _frame: sys.exit(1))


def choices_told(argument: str, lines: Iterable[str]) -> str:
    """Return what the help says of each choice, in lines that click is to leave as they are."""
    return "\n".join(["\b", f"{argument} is one or more of:", *(f"  {line}" for line in lines)])
