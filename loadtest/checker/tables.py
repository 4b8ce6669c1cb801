"""The verdict as a person reads it in a terminal."""

import msgspec
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from loadtest.checker.verdict import Judgement, Status, Verdict, Violation
from loadtest.history import Line, Read, Stored, encode

_STYLES = {Status.KEPT: "green", Status.BROKEN: "bold red", Status.NOT_CHECKED: "yellow"}


def print_verdict(verdict: Verdict, console: Console) -> None:
    """Print the table of rules, what proves each violation, and the verdict in one line."""
    console.print(_table(verdict))
    for each in verdict.judgements:
        if each.status is Status.BROKEN:
            console.print(_evidence(each))
    console.print(_summary(verdict))


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


def _evidence(judgement: Judgement) -> RenderableType:
    heading = Text(f"\n{judgement.rule.name}: {judgement.rule.title}", style="bold red")
    more = judgement.violation_count - len(judgement.examples)
    lines = [heading, *(_example(violation) for violation in judgement.examples)]
    if more > 0:
        lines.append(Text(f"  and {more:,} more"))
    return Group(*lines)


def _example(violation: Violation) -> RenderableType:
    lines = [Text(f"  {violation.sentence}")]
    lines += [Text(f"    {_short(line)}", style="dim") for line in violation.proof]
    return Group(*lines)


def _short(line: Line) -> str:
    """Return a line without the codes, of which there may be a million."""
    if isinstance(line, Read):
        line = msgspec.structs.replace(line, codes=[])
    elif isinstance(line, Stored):
        line = msgspec.structs.replace(line, coupons=[])
    return encode(line).decode()


def _summary(verdict: Verdict) -> Text:
    basis = f"{verdict.operation_count:,} operations, {verdict.campaign_count:,} campaigns"
    if verdict.is_kept:
        return Text(f"\nKept: no rule is broken ({basis}).", style="bold green")
    if verdict.broken:
        names = ", ".join(sorted(verdict.broken))
        return Text(f"\nBROKEN: {names} ({basis}).", style="bold red")
    return Text(f"\nNothing could be checked ({basis}).", style="bold yellow")
