"""The verdict as a person reads it in a terminal."""

from collections.abc import Iterator, Sequence

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from loadtest.checker.verdict import Judgement, Status, Verdict, Violation
from loadtest.history import Line, Read, Stored, encode

_STYLES = {Status.KEPT: "green", Status.BROKEN: "bold red", Status.NOT_CHECKED: "yellow"}


def print_verdict(verdict: Verdict, console: Console, problems: Sequence[str] = ()) -> None:
    """Print the table of rules, what proves each violation, and the verdict in one line.

    `problems` are why a run has failed although no rule is broken.
    """
    if verdict.operation_count:
        console.print(_table(verdict))
    for each in verdict.judgements:
        if each.status is Status.BROKEN:
            for line in _evidence(each):
                # Neither broken nor cut, so that proofs can be copied and searched.
                console.print(line, soft_wrap=True)
    console.print(_summary(verdict, problems), soft_wrap=True)


def counted(count: int, noun: str) -> str:
    """Return a number of things in words: 1 campaign, 2 campaigns."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _table(verdict: Verdict) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("Rule")
    table.add_column("Promise")
    table.add_column("Checked", justify="right")
    table.add_column("Violations", justify="right")
    table.add_column("Verdict")
    for each in verdict.judgements:
        status = Text(each.status.value, style=_STYLES[each.status])
        if each.status is Status.NOT_CHECKED and each.lacking:
            status.append(f": needs {each.lacking}", style="default")
        table.add_row(
            each.rule.name,
            each.rule.title,
            f"{each.checked_count:,}",
            f"{each.violation_count:,}" if each.violation_count else "",
            status,
        )
    return table


def _evidence(judgement: Judgement) -> Iterator[Text]:
    yield Text(f"\n{judgement.rule.name}: {judgement.rule.title}", style="bold red")
    for violation in judgement.examples:
        yield from _example(violation)
    if judgement.untold_count > 0:
        yield Text(f"  and {judgement.untold_count:,} more")


def _example(violation: Violation) -> Iterator[Text]:
    yield Text(f"  {violation.sentence}")
    for line in violation.proof:
        yield Text(f"    {_short(line)}", style="dim")


def _short(line: Line) -> str:
    """Return a line without the codes, of which there may be a million."""
    if isinstance(line, Read):
        line = msgspec.structs.replace(line, codes=[])
    elif isinstance(line, Stored):
        line = msgspec.structs.replace(line, coupons=[])
    return encode(line).decode()


def _summary(verdict: Verdict, problems: Sequence[str]) -> Text:
    operations = counted(verdict.operation_count, "operation")
    basis = f"{operations}, {counted(verdict.campaign_count, 'campaign')}"
    if verdict.is_kept and problems:
        what = "; ".join(problems)
        return Text(f"\nNo rule is broken, but: {what} ({basis}).", style="bold yellow")
    if verdict.is_kept:
        return Text(f"\nKept: no rule is broken ({basis}).", style="bold green")
    if verdict.broken:
        names = ", ".join(sorted(verdict.broken))
        return Text(f"\nBROKEN: {names} ({basis}).", style="bold red")
    return Text(f"\nNothing could be checked ({basis}).", style="bold yellow")
