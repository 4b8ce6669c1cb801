"""Where the report is printed to."""

import sys

from rich.console import Console

# What is not a terminal has no width, and nobody wants its lines broken.
WIDE_COLUMNS = 120


def console() -> Console:
    """Return the console for what a command has to say."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else WIDE_COLUMNS)
