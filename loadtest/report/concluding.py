"""Gives the verdict on a run: in the terminal, as a page, and as an exit status."""

from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from loadtest.checker import check
from loadtest.checker.tables import print_verdict
from loadtest.history import HistoryError, read_history
from loadtest.report import charts, page
from loadtest.report.figures import (
    PERCENTS,
    Figures,
    figures,
    gather,
    generator_sentence,
)
from loadtest.report.wording import (
    NO_VERDICT,
    WHAT_COUNTS,
    WHY_NO_VERDICT,
    milliseconds,
    percent_name,
)
from loadtest.rush.folder import REPORT_FILE, RUN_FILE
from loadtest.rush.plan import Run


def conclude(folder: Path, console: Console) -> int:
    """Print the verdict on the run in a folder, write its report, and return the exit status.

    Raises:
        HistoryError: the folder does not hold the history of a run.
    """
    run = _run_of(folder)
    if not run.is_whole:
        # Before what may fail because of it.
        for sentence in (NO_VERDICT, *run.problems, WHY_NO_VERDICT):
            console.print(sentence, style="bold red", soft_wrap=True)
    facts = gather([folder])
    found = figures(facts)
    verdict = check(read_history([folder]))
    busiest = max((share.busy for share in run.shares), default=0.0)
    unsent = sum(share.unsent for share in run.shares)
    is_fit, generator = generator_sentence(found, run.rate, busiest, unsent)
    problems = [*run.problems, *too_few(run, found)]
    console.print()
    print_verdict(verdict, console, problems)
    console.print()
    if found.everything is not None:
        console.print(_latencies(found))
        console.print()
    for sentence in (*_headlines(found), generator, WHAT_COUNTS):
        console.print(sentence, soft_wrap=True)
    for problem in problems:
        console.print(f"Problem: {problem}.", style="bold red", soft_wrap=True)
    notes = [] if run.is_whole else [WHY_NO_VERDICT]
    if not (verdict.is_kept and run.is_whole):
        # Otherwise the verdict itself tells them.
        notes += [f"Problem: {problem}." for problem in problems]
    notes += [] if is_fit else [generator]
    path = folder / REPORT_FILE
    page_text = page.render(run, found, verdict, charts.draw(facts), notes, problems)
    path.write_text(page_text, encoding="utf-8")
    console.print(f"\nReport: {path}", soft_wrap=True)
    return 0 if verdict.is_kept and run.is_whole and not problems else 1


def _run_of(folder: Path) -> Run:
    path = folder / RUN_FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Run)
    except OSError as exc:
        raise HistoryError(f"{path} cannot be read: {exc.strerror}") from exc
    except msgspec.DecodeError as exc:
        raise HistoryError(f"{path} is not that of a finished run: {exc}") from exc


def too_few(run: Run, found: Figures) -> list[str]:
    """Return what is wrong with how many coupons were issued, if anything is."""
    if found.issued_count >= found.limit or (run.duration and found.issued_count):
        return []
    few = f"only {found.issued_count:,}" if found.issued_count else "none"
    return [f"{few} of {found.limit:,} coupons were issued"]


def _latencies(found: Figures) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("Milliseconds")
    for heading in ("calls", *map(percent_name, PERCENTS), "max"):
        table.add_column(heading, justify="right")
    for name, group in (*found.groups.items(), ("All", found.everything)):
        if group is not None:
            cells = [milliseconds(group.percentiles[percent]) for percent in PERCENTS]
            table.add_row(name, f"{group.count:,}", *cells, milliseconds(group.longest))
    return table


def _headlines(found: Figures) -> list[str]:
    sent = f"{found.rate:,.0f} calls a second were sent for {found.burst_seconds:,.1f} s"
    told = [
        f"{found.issued_count:,} of {found.limit:,} coupons were issued.",
        f"{sent}, after {found.early_calls:,} early ones; {found.errors:,} ended in an error.",
    ]
    if found.first_coupon_ms is not None:
        told.append(f"The first coupon was issued {found.first_coupon_ms:,.2f} ms after the start")
        if found.sold_out_seconds is not None:
            told[-1] += f", the last one {found.sold_out_seconds:,.2f} s after it"
        told[-1] += "."
    return told
