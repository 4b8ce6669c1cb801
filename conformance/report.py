"""What is printed of the results."""

from collections import Counter
from collections.abc import Sequence

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from conformance.known import CAUSES, KnownFailure
from conformance.results import Result, Unexpected
from conformance.running import TIMED_OUT
from conformance.tools import BUILD, ROOT

KINDS_SHOWN_MAX = 30
console = Console(highlight=False, soft_wrap=True)


def summary(results: Sequence[Result]) -> None:
    """Print how each subject did, the known failures by cause, and what was not expected."""
    console.print(_table(results))
    _print_known(results)
    for result in results:
        _print_unexpected(result)
    if any(result.second_tries for result in results):
        console.print("\nagain: as expected only when tried a second time, as on a busy machine.")
    console.print(f"\nReports and the servers' logs are in {BUILD.relative_to(ROOT)}.")


def _table(results: Sequence[Result]) -> Table:
    table = Table("", box=SIMPLE, collapse_padding=True)
    for name in ("cases", "passed", "known", "unexpected", "again", "tracebacks", "s"):
        table.add_column(name, justify="right", no_wrap=True)
    for result in results:
        known = sum(result.known.values())
        numbers = [result.cases, result.passed, known, len(result.unexpected)]
        numbers += [result.second_tries, result.tracebacks]
        table.add_row(
            result.run.subject.name,
            *[f"{number:,}" for number in numbers],
            f"{result.run.seconds:.0f}",
        )
    return table


def _print_known(results: Sequence[Result]) -> None:
    reasons: dict[tuple[str, str], Counter[str]] = {}
    for result in results:
        for failure, count in result.known.items():
            counts = reasons.setdefault(_reason(failure), Counter())
            counts[result.run.subject.name] += count
    for (cause, why), counts in sorted(reasons.items()):
        where = ", ".join(f"{name} {count}" for name, count in counts.items())
        console.print(f"\nKnown: {CAUSES[cause]} ({where})\n  {why}")


def _reason(failure: KnownFailure) -> tuple[str, str]:
    return failure.cause, failure.why


def _print_unexpected(result: Result) -> None:
    if result.is_good:
        return
    console.print(f"\n{result.run.subject.name}: not as expected", style="bold red")
    if result.run.exit_status == TIMED_OUT:
        console.print("  It took too long and was stopped.")
    if result.not_run or not result.cases:
        console.print(f"  Cases not run: {result.not_run or 'all'}.")
    if result.tracebacks:
        console.print(f"  The server logged {result.tracebacks} tracebacks.")
    kinds: dict[str, list[Unexpected]] = {}
    for each in result.unexpected:
        kinds.setdefault(each.kind, []).append(each)
    for kind, cases in list(kinds.items())[:KINDS_SHOWN_MAX]:
        console.print(f"  {kind} ({len(cases)} times): {cases[0].said}", markup=False)
    if (more := len(kinds) - KINDS_SHOWN_MAX) > 0:
        console.print(f"  ... and {more} more kinds.")
