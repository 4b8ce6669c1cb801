"""The report as one HTML file that needs nothing else."""

from collections.abc import Iterator, Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from loadtest.checker import Status, Verdict
from loadtest.checker.tables import counted
from loadtest.report.charts import colour
from loadtest.report.figures import PERCENTS, Figures, Latencies
from loadtest.report.wording import (
    BAD,
    GOOD,
    WARN,
    WHAT_COUNTS,
    banner,
    milliseconds,
    percent_name,
    proof,
)
from loadtest.rush.lines import (
    DEADLINE,
    HUNG_UP,
    ISSUED,
    KINDS,
    NOT_STARTED,
    REPEAT,
    SOLD_OUT,
    UNKNOWN,
)
from loadtest.rush.plan import Run

TITLE = "Launch night, in small"
TEMPLATE = "page.html.j2"
CHARTS = {
    "issued": ("Coupons issued", "All of them, against time; the line is the limit."),
    "opening": ("The opening", "Each coupon's issue time, around the start instant."),
    "answers": ("Calls a second, by what became of them", "By when they came to their end."),
    "latency": ("Latency against time", "From when calls were due, whoever was late."),
}
MEANINGS = {
    ISSUED: "a new coupon",
    REPEAT: "a user who asked again, and was shown the same coupon",
    SOLD_OUT: "refused: none is left",
    NOT_STARTED: "refused: an early bird",
    DEADLINE: "the caller's own deadline passed first",
    UNKNOWN: "an anonymous caller's deadline passed while the coupon was being stored",
    HUNG_UP: "the caller went without waiting for the answer",
}
_STYLES = {Status.KEPT: GOOD, Status.BROKEN: BAD, Status.NOT_CHECKED: WARN}


def render(  # noqa: PLR0913, PLR0917 # what there is to show
    run: Run,
    found: Figures,
    verdict: Verdict,
    charts: dict[str, str],
    notes: list[str],
    problems: Sequence[str] = (),
) -> str:
    """Return the page; `problems` are why the run has failed even if no rule is broken."""
    style, sentence = banner(verdict, problems, is_whole=run.is_whole)
    environment = Environment(
        loader=PackageLoader("loadtest.report", "."), autoescape=True, undefined=StrictUndefined
    )
    return environment.get_template(TEMPLATE).render(
        title=TITLE,
        subtitle=f"{run.url}, {_when(run)}",
        verdict={
            "style": style,
            "sentence": sentence,
            "basis": f"{counted(verdict.operation_count, 'operation')} checked.",
        },
        notes=notes,
        tiles=list(_tiles(found)),
        charts=[_chart(name, svg) for name, svg in charts.items()],
        rules=list(_rules(verdict)),
        is_broken=bool(verdict.broken),
        what_counts=WHAT_COUNTS,
        percent_names=[percent_name(percent) for percent in PERCENTS],
        latencies=list(_latencies(found)),
        kinds=list(_kinds(found)),
        parameters=list(_parameters(run, found)),
        footer=(
            "Latencies are reckoned from when a call was due by the schedule, so that a service "
            "that stands still is charged for all calls that should have been answered meanwhile."
        ),
    )


def _when(run: Run) -> str:
    return run.begun_at.replace("T", " ").replace("+00:00", " UTC")


def _tiles(found: Figures) -> Iterator[dict[str, str]]:
    yield _tile(f"{found.issued_count:,}", f"coupons issued, of {found.limit:,}")
    yield _tile(
        f"{found.rate:,.0f}/s", f"calls sent, for {found.burst_seconds:,.1f}\N{NO-BREAK SPACE}s"
    )
    yield _tile(f"{found.errors:,}", f"errors, in {counted(found.calls, 'call')}")
    if found.first_coupon_ms is not None:
        yield _tile(f"{found.first_coupon_ms:,.2f} ms", "from the start to the first coupon")
    if found.sold_out_seconds is not None:
        yield _tile(f"{found.sold_out_seconds:,.2f} s", "from the start to the last coupon")
    issued = found.groups["Issued"]
    if issued is not None:
        p50, p99 = issued.percentiles[50.0], issued.percentiles[99.0]
        yield _tile(f"{milliseconds(p50)} ms", "median until a coupon was in hand")
        yield _tile(f"{milliseconds(p99)} ms", "99% of coupons were in hand by then")
    if found.everything is not None:
        p99 = found.everything.percentiles[99.0]
        yield _tile(f"{milliseconds(p99)} ms", "99% of all answers had come by then")


def _tile(value: str, label: str) -> dict[str, str]:
    return {"value": value, "label": label}


def _chart(name: str, svg: str) -> dict[str, Any]:
    title, caption = CHARTS[name]
    # Drawn by this program from numbers and names of its own.
    return {"name": name, "title": title, "caption": caption, "svg": Markup(svg)}  # noqa: S704


def _rules(verdict: Verdict) -> Iterator[dict[str, Any]]:
    for each in verdict.judgements:
        yield {
            "name": each.rule.name,
            "title": each.rule.title,
            "checked": f"{each.checked_count:,}",
            "violations": f"{each.violation_count:,}" if each.violation_count else "",
            "status": each.status.value,
            "style": _STYLES[each.status],
            "lacking": each.lacking if each.status is Status.NOT_CHECKED else "",
            "more": f"{each.untold_count:,}" if each.untold_count > 0 else "",
            "examples": [
                {
                    "sentence": example.sentence,
                    "proof": [proof(line).decode() for line in example.proof],
                }
                for example in each.examples
            ],
        }


def _latencies(found: Figures) -> Iterator[dict[str, Any]]:
    for name, group in (*found.groups.items(), ("All", found.everything)):
        if group is not None:
            yield {"name": name, "cells": list(_cells(group))}


def _cells(group: Latencies) -> Iterator[str]:
    yield f"{group.count:,}"
    for percent in PERCENTS:
        yield milliseconds(group.percentiles[percent])
    yield milliseconds(group.longest)


def _kinds(found: Figures) -> Iterator[dict[str, str]]:
    for kind in (*KINDS, *sorted(found.kinds.keys() - set(KINDS))):
        if found.kinds[kind]:
            yield {
                "name": kind,
                "meaning": MEANINGS.get(kind, "not what a rush provokes"),
                "colour": colour(kind),
                "count": f"{found.kinds[kind]:,}",
            }


def _parameters(run: Run, found: Figures) -> Iterator[tuple[str, str]]:
    yield "Service", run.url
    yield "Campaign", run.campaign_id
    yield "Coupons", f"{run.coupons:,}"
    yield "Rate asked for", f"{run.rate:,.0f} calls a second, from {run.users:,} streams"
    yield "Burst", f"at most {run.duration:,} s" if run.duration else "until 3 s after sold out"
    yield "Early birds", f"{found.early_calls:,} calls before the start"
    yield "Seed", str(run.seed)
    yield "Processes", ", ".join(f"{s.process} ({s.busy:.0%} busy)" for s in run.shares) or "none"
    if errors := [share.clock_error_us for share in run.shares if share.clock_error_us]:
        yield "Clocks", f"known to {max(errors) / 1000:,.2f} ms"
    yield from run.machine.items()
