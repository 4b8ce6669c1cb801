"""What a history of a rush says in figures."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from loadtest.history import OK, Campaign, HistoryError, Read, Stored, files_of
from loadtest.rush.lines import ISSUED, KINDS, REFUSALS, REPEAT, Arrival, decode

PERCENTS = (50.0, 90.0, 99.0, 99.9)
SECOND_US = 1_000_000
GROUPS = {
    "Issued": frozenset({ISSUED}),
    "Refusals": frozenset(REFUSALS),
    "Repeats": frozenset({REPEAT}),
}
# A generator that is late by more is not what it says it is.
LATE_MS_MAX = 25.0
RATE_SHARE_MIN = 0.95
# A process that uses more of a processor than this is what holds things up.
BUSY_SHARE = 0.7


@dataclass(slots=True)
class Facts:
    """What of a history the report needs; times are by the callers' clock.

    `arrivals` are the scheduled calls, in the order in which they were due; `issue_us` are
    the issue times of all coupons that are known, reckoned from the start by the
    database's clock, in order.
    """

    arrivals: list[Arrival] = field(default_factory=list)
    campaign: Campaign | None = None
    issue_us: list[int] = field(default_factory=list)
    issued_count: int = 0
    limit: int = 0
    start_us: int = 0
    is_sold_out: bool = False


def gather(paths: Iterable[Path]) -> Facts:
    """Read a history of a rush.

    Raises:
        HistoryError: it cannot be read, or is not one of a rush.
    """
    facts = Facts()
    issue_times: dict[str, int] = {}
    for path in files_of(paths):
        for number, data in enumerate(path.read_bytes().splitlines(), 1):
            try:
                _take(facts, issue_times, decode(data))
            except msgspec.DecodeError as exc:
                raise HistoryError(f"{path}, line {number}: {exc}") from exc
    if facts.campaign is None:
        raise HistoryError("the history does not say when the campaign started")
    _settle(facts, facts.campaign, issue_times)
    return facts


def _take(facts: Facts, issue_times: dict[str, int], line: object) -> None:
    match line:
        case Arrival():
            if line.due_us is not None:
                facts.arrivals.append(line)
            if line.outcome == OK:
                issue_times.setdefault(line.code, line.issue_time_us)
            facts.is_sold_out |= line.outcome == "SOLD_OUT"
        case Campaign():
            facts.campaign = line
        case Stored():
            issue_times.update({row.code: row.issue_time_us for row in line.coupons})
        case Read():
            facts.issued_count = max(facts.issued_count, line.issued_count)


def _settle(facts: Facts, campaign: Campaign, issue_times: dict[str, int]) -> None:
    facts.arrivals.sort(key=_due)
    facts.issue_us = sorted(us - campaign.start_time_us for us in issue_times.values())
    facts.issued_count = max(facts.issued_count, len(issue_times))
    facts.limit = campaign.coupon_limit
    facts.start_us = campaign.start_time_us - _ahead_us(campaign)


def _ahead_us(campaign: Campaign) -> int:
    """Return by how much the database's clock is about ahead of the callers'."""
    if campaign.create_time_us is None or campaign.answered_us is None:
        return 0
    return campaign.create_time_us - (campaign.sent_us + campaign.answered_us) // 2


def _due(line: Arrival) -> int:
    return line.sent_us if line.due_us is None else line.due_us


@dataclass(frozen=True, kw_only=True, slots=True)
class Latencies:
    """How long some calls took from when they were due, in milliseconds."""

    count: int
    percentiles: dict[float, float]
    longest: float


def latencies(values_us: Iterable[int]) -> Latencies | None:
    """Return the percentiles of some latencies; None if there are none."""
    ordered = sorted(values_us)
    if not ordered:
        return None
    return Latencies(
        count=len(ordered),
        percentiles={percent: percentile(ordered, percent) / 1000 for percent in PERCENTS},
        longest=ordered[-1] / 1000,
    )


def percentile(ordered: Sequence[int], percent: float) -> int:
    """Return the smallest of the values that so many percent do not exceed."""
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """The figures of a rush.

    `first_coupon_ms` is from the start to the first coupon's issue time, both by the
    database's clock; `sold_out_seconds` to the last one's, if none is left. `rate` is how
    many calls a second were sent in the burst, `late` by how much the generator missed
    its own schedule.
    """

    limit: int
    issued_count: int
    is_sold_out: bool
    calls: int
    rate: float
    burst_seconds: float
    early_calls: int
    first_coupon_ms: float | None
    sold_out_seconds: float | None
    kinds: Counter[str]
    groups: dict[str, Latencies | None]
    everything: Latencies | None
    late: Latencies | None

    @property
    def errors(self) -> int:
        """How many calls came to an end that a rush does not provoke."""
        return sum(count for kind, count in self.kinds.items() if kind not in KINDS)


def figures(facts: Facts) -> Figures:
    """Work out the figures."""
    burst = [line for line in facts.arrivals if _due(line) >= facts.start_us]
    seconds = (_due(burst[-1]) - facts.start_us) / SECOND_US if burst else 0.0
    taken = [(line.kind, line.latency_us) for line in burst]
    is_all = facts.is_sold_out and bool(facts.issue_us)
    return Figures(
        limit=facts.limit,
        issued_count=facts.issued_count,
        is_sold_out=facts.is_sold_out,
        calls=len(facts.arrivals),
        rate=len(burst) / seconds if seconds else 0.0,
        burst_seconds=seconds,
        early_calls=len(facts.arrivals) - len(burst),
        first_coupon_ms=facts.issue_us[0] / 1000 if facts.issue_us else None,
        sold_out_seconds=facts.issue_us[-1] / SECOND_US if is_all else None,
        kinds=Counter(line.kind for line in facts.arrivals),
        groups={
            name: latencies(us for kind, us in taken if kind in kinds and us is not None)
            for name, kinds in GROUPS.items()
        },
        everything=latencies(us for _, us in taken if us is not None),
        late=latencies(max(0, line.sent_us - _due(line)) for line in burst),
    )


def generator_sentence(
    found: Figures, asked_rate: float, busiest: float, unsent: int = 0
) -> tuple[bool, str]:
    """Return whether the load was what it was to be, and a sentence that says so.

    `busiest` is the share of a processor that the busiest of the generator's processes used,
    `unsent` how many calls were due and never sent.
    """
    if found.late is None:
        return False, "No call was due after the start: there was no burst."
    p99, longest = found.late.percentiles[99.0], found.late.longest
    told = f"99% of its calls were sent within {p99:,.1f} ms of their time, all within "
    told += f"{longest:,.0f} ms"
    if unsent:
        told += f", and {unsent:,} were never sent"
    if p99 > LATE_MS_MAX or unsent:
        remedy = "use more processes, more hosts or a lower rate"
        if busiest < BUSY_SHARE:
            remedy = "its host had other things to do, the service among them perhaps"
        return False, (
            f"The generator fell behind its schedule: {told}. Latencies include that. It used "
            f"{busiest:.0%} of a processor: {remedy}."
        )
    if found.burst_seconds > 1 and found.rate < asked_rate * RATE_SHARE_MIN:
        return False, (
            f"Only {found.rate:,.0f} of {asked_rate:,.0f} calls a second were due: "
            "locust's users came late or too few."
        )
    return True, f"The generator kept its schedule: {told}."
