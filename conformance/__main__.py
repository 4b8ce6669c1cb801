"""Runs the conformance tests: `python -m conformance [SUBJECT ...]`, or `make conformance`."""

import signal
import sys

import click

from conformance import report, running, tools
from conformance.subjects import SUBJECTS

USAGE_ERROR = 2


@click.command()
@click.argument("subjects", nargs=-1, type=click.Choice(list(SUBJECTS)), metavar="[SUBJECT]...")
@click.option(
    "--case",
    "cases",
    multiple=True,
    metavar="PATTERN",
    help="Only these cases: * is one part of a name, ** any number. Repeatable.",
)
def main(subjects: tuple[str, ...], cases: tuple[str, ...]) -> None:
    """Run Connect's official conformance tests against the coupon service's servers.

    A SUBJECT is a server and an application: uvicorn-plain, uvicorn-ours, pyvoy-plain or
    pyvoy-ours, where plain is the library as it is and ours is the coupon service's own
    request path. Without one, all are tested. Exits with status 1 if anything fails that
    is not known to, or passes that is, or if a server logs a traceback; with 2 if Go is
    missing.
    """
    # So that what it started is stopped with it.
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(1))
    _prepare()
    results = []
    for name in subjects or SUBJECTS:
        report.console.print(f"{name} ...")
        results.append(running.run(SUBJECTS[name], cases))
    report.summary(results)
    sys.exit(int(not all(result.is_good for result in results)))


def _prepare() -> None:
    try:
        tools.require_go()
        if not tools.RUNNER.exists():
            report.console.print("Building the runner; this takes minutes, but only once.")
        tools.prepare()
    except tools.ToolMissing as exc:
        click.echo(str(exc), err=True)
        sys.exit(USAGE_ERROR)
    except tools.ToolFailed as exc:
        raise click.ClickException(str(exc)) from exc


if __name__ == "__main__":
    main(prog_name="python -m conformance")
