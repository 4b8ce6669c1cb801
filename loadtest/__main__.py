"""The load test: `python -m loadtest rush`, or `make rush`."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec

from loadtest.checker import Status, Verdict, check
from loadtest.checker.tables import print_verdict
from loadtest.history import HistoryError, read_history
from loadtest.report.terminal import console
from loadtest.report.wording import proof
from loadtest.rush.command import rush
from loadtest.rush.folder import require_all_files, require_whole
from loadtest.rush.output import outlive_reader

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def main() -> None:
    """Rush a coupon service as a launch night does, and check every answer.

    \b
    Examples:
      python -m loadtest rush
      python -m loadtest rush --url https://coupons.example.com --rate 2000
      python -m loadtest check build/rush
    """  # noqa: D301 # \b is click's mark for a paragraph that keeps its lines


@main.command(name="check")
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def check_history(paths: tuple[Path, ...], *, as_json: bool) -> None:
    """Hold a history to the service's promises.

    PATHS are files, or folders of files whose names end in .jsonl. Exits with status 1 if
    a promise is broken, or if nothing could be checked.
    """
    try:
        for folder in filter(Path.is_dir, paths):
            require_whole(folder)
        verdict = check(read_history(paths))
    except HistoryError as exc:
        raise click.ClickException(str(exc)) from exc
    if as_json:
        text = msgspec.json.format(msgspec.json.encode(_as_json(verdict)))
        click.echo(text.decode())
    else:
        print_verdict(verdict, console())
    sys.exit(0 if verdict.is_kept else 1)


@main.command()
@click.argument("folder", type=FOLDER)
def report(folder: Path) -> None:
    """Give the verdict on the run in FOLDER again, and write its report.html."""
    # Imported only here: whoever checks a history must not wait for matplotlib.
    from loadtest.report.concluding import conclude  # noqa: PLC0415

    try:
        require_all_files(folder)
        status = conclude(folder, console())
    except HistoryError as exc:
        raise click.ClickException(str(exc)) from exc
    sys.exit(status)


main.add_command(rush)


def _as_json(verdict: Verdict) -> dict[str, Any]:
    return {
        "kept": verdict.is_kept,
        "broken": sorted(verdict.broken),
        "operations": verdict.operation_count,
        "campaigns": verdict.campaign_count,
        "outcomes": verdict.outcomes,
        "rules": list(_rules(verdict)),
    }


def _rules(verdict: Verdict) -> Iterator[dict[str, Any]]:
    for each in verdict.judgements:
        yield {
            "name": each.rule.name,
            "title": each.rule.title,
            "status": each.status.value,
            "checked": each.checked_count,
            "violations": each.violation_count,
            "lacking": each.lacking if each.status is Status.NOT_CHECKED else "",
            "examples": [
                {
                    "sentence": example.sentence,
                    "proof": [msgspec.Raw(proof(line)) for line in example.proof],
                }
                for example in each.examples
            ],
        }


if __name__ == "__main__":
    outlive_reader()
    main(prog_name="python -m loadtest")
