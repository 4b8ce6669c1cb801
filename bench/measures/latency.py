"""Latency of IssueCoupon at a constant arrival rate, alone and beside large reads."""

import statistics
from collections.abc import Iterator
from functools import partial

from bench.figures import Figure, at_most, interleaved, ratios
from bench.filling import fill_campaign
from bench.load import Latencies, LoadFailed, issue_at_a_rate
from bench.options import Options
from bench.reader import Reads, while_reading
from bench.stand import EMPTY, ISSUING, Stand

PER_SECOND = 1000
# A connection's first request waits for it to be made. These are so few of all requests
# that their 99th percentile is another's.
CONNECTIONS = 64
PERCENTILES = ("50", "90", "99", "99.9")

READ_COUPONS = 100_000
READING_SECONDS_MAX = 10


def against_empty(stand: Stand, options: Options) -> Iterator[Figure]:
    """Row g: latency of claims ÷ empty RPC."""
    measure = partial(
        issue_at_a_rate,
        per_second=PER_SECOND,
        seconds=options.latency_seconds,
        connections=CONNECTIONS,
    )
    campaign_id = stand.campaign()
    with stand.server(EMPTY) as empty, stand.server(ISSUING) as issuing:
        runs = interleaved(
            options.rounds,
            {
                "empty": partial(measure, empty.url, campaign_id),
                "issuing": partial(measure, issuing.url, campaign_id),
            },
        )
    _require_stored(stand, campaign_id, runs["issuing"])
    beside = {
        f"{name}_p{percentile}_ms": statistics.median(_milliseconds(each, percentile))
        for name, each in runs.items()
        for percentile in PERCENTILES
    }
    beside |= {f"{name}_per_second": _median_rate(each) for name, each in runs.items()}
    for percentile, target in (("50", at_most(2)), ("99", at_most(3))):
        yield Figure(
            row="g",
            title=f"latency of IssueCoupon ÷ empty RPC at {PER_SECOND:,}/s, p{percentile}",
            values=ratios(
                _milliseconds(runs["issuing"], percentile), _milliseconds(runs["empty"], percentile)
            ),
            target=target,
            beside=beside,
        )


def beside_reads(stand: Stand, options: Options) -> Iterator[Figure]:
    """Row j: latency of claims while large campaigns are read ÷ while none are."""
    claimed, read = stand.campaign(), fill_campaign(stand, READ_COUPONS)
    reads: dict[str, list[Reads]] = {"identity": [], "gzip": []}
    with stand.server(ISSUING) as server:
        alone = partial(
            issue_at_a_rate,
            server.url,
            claimed,
            per_second=PER_SECOND,
            seconds=min(options.latency_seconds, READING_SECONDS_MAX),
            connections=CONNECTIONS,
        )

        def beside(encoding: str) -> Latencies:
            latencies, got = while_reading(
                alone, server.url, read, coupons=READ_COUPONS, encoding=encoding
            )
            reads[encoding].append(got)
            return latencies

        runs = interleaved(
            options.rounds,
            {"alone": alone, **{encoding: partial(beside, encoding) for encoding in reads}},
        )
    _require_stored(stand, claimed, [run for each in runs.values() for run in each])
    for encoding, each in reads.items():
        yield _beside_reads(encoding, runs["alone"], runs[encoding], each)


def _beside_reads(
    encoding: str, alone: list[Latencies], beside: list[Latencies], reads: list[Reads]
) -> Figure:
    asking = "" if encoding == "identity" else f" with {encoding}"
    return Figure(
        row="j",
        title=f"p99 of IssueCoupon at {PER_SECOND:,}/s while {READ_COUPONS:,} codes are read"
        f"{asking} ÷ while not",
        values=ratios(_milliseconds(beside, "99"), _milliseconds(alone, "99")),
        target=at_most(3),
        beside={
            "alone_p99_ms": statistics.median(_milliseconds(alone, "99")),
            "reading_p99_ms": statistics.median(_milliseconds(beside, "99")),
            "alone_per_second": _median_rate(alone),
            "reading_per_second": _median_rate(beside),
            "reads": sum(read.count for read in reads),
            "read_ms": statistics.median(
                read.seconds / max(read.count, 1) * 1000 for read in reads
            ),
            "read_mb": statistics.median(read.bytes_each for read in reads) / 1e6,
        },
    )


def _milliseconds(runs: list[Latencies], percentile: str) -> list[float]:
    return [run.milliseconds[percentile] for run in runs]


def _median_rate(runs: list[Latencies]) -> float:
    """Return the rate that was kept: if it is not the one that was meant, nothing counts."""
    return statistics.median(run.per_second for run in runs)


def _require_stored(stand: Stand, campaign_id: str, runs: list[Latencies]) -> None:
    """Make sure that what was answered is in the database."""
    answered, stored = sum(run.requests for run in runs), stand.issued_count(campaign_id)
    if stored != answered:
        raise LoadFailed(f"{answered} coupons were answered and {stored} are stored")
