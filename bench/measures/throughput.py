"""Throughput of IssueCoupon through RPC, beside an empty RPC and a plain issuer."""

import statistics
from collections.abc import Iterator
from functools import partial

from bench.figures import Figure, Target, at_least, interleaved, ratios
from bench.load import LoadFailed, Throughput, issue_in_a_loop
from bench.options import Options
from bench.stand import EMPTY, ISSUING, PLAIN, Stand

CONNECTIONS = 256


def against_empty(stand: Stand, options: Options) -> Iterator[Figure]:
    """Row a: anonymous claims ÷ empty RPC."""
    yield from _against_empty(stand, options, row="a", target=at_least(0.85))


def against_empty_with_users(stand: Stand, options: Options) -> Iterator[Figure]:
    """Row b: claims with a distinct user each ÷ empty RPC."""
    yield from _against_empty(stand, options, row="b", target=at_least(0.80), distinct_users=True)


def _against_empty(
    stand: Stand, options: Options, *, row: str, target: Target, distinct_users: bool = False
) -> Iterator[Figure]:
    with stand.server(EMPTY) as empty, stand.server(ISSUING) as issuing:
        for message_format in ("json", "proto"):
            measure = partial(
                issue_in_a_loop,
                connections=CONNECTIONS,
                seconds=options.seconds,
                message_format=message_format,
                distinct_users=distinct_users,
            )
            campaign_id = stand.campaign()
            runs = interleaved(
                options.rounds,
                {
                    "empty": partial(measure, empty.url, campaign_id),
                    "issuing": partial(measure, issuing.url, campaign_id),
                },
            )
            _require_stored(stand, campaign_id, runs["issuing"])
            kind = "distinct users" if distinct_users else "anonymous"
            yield _ratio(runs, row, f"IssueCoupon ÷ empty RPC, {kind}, {message_format}", target)


def _ratio(
    runs: dict[str, list[Throughput]], row: str, title: str, target: Target | None
) -> Figure:
    """Return the ratio of the last-named runs to the first-named ones."""
    per_second = {name: [run.per_second for run in each] for name, each in runs.items()}
    under, over = per_second.values()
    return Figure(
        row=row,
        title=title,
        values=ratios(over, under),
        target=target,
        beside={f"{name}_per_second": statistics.median(v) for name, v in per_second.items()},
    )


def _require_stored(stand: Stand, campaign_id: str, runs: list[Throughput]) -> None:
    """Make sure that what was counted as issued is in the database."""
    answered, stored = sum(run.requests for run in runs), stand.issued_count(campaign_id)
    if stored < answered:
        raise LoadFailed(f"{answered} coupons were answered and {stored} are stored")


def against_plain(stand: Stand, options: Options) -> Iterator[Figure]:
    """Row d: grouped claims ÷ one transaction for each claim."""
    with stand.server(PLAIN) as plain, stand.server(ISSUING) as issuing:
        for connections, target in ((64, at_least(5)), (512, at_least(6))):
            measure = partial(issue_in_a_loop, connections=connections, seconds=options.seconds)
            runs = interleaved(
                options.rounds,
                {
                    "plain": lambda: measure(plain.url, stand.campaign()),  # noqa: B023 # run at once
                    "grouped": lambda: measure(issuing.url, stand.campaign()),  # noqa: B023 # run at once
                },
            )
            title = f"IssueCoupon grouped ÷ plain, {connections} connections"
            yield _ratio(runs, "d", title, target)


def against_concurrency(stand: Stand, options: Options) -> Iterator[Figure]:
    """Chart: throughput of the three against the number of connections."""
    with (
        stand.server(EMPTY) as empty,
        stand.server(ISSUING) as grouped,
        stand.server(PLAIN) as plain,
    ):
        for connections in (1, 4, 16, 64, 256, 1024):
            measure = partial(issue_in_a_loop, connections=connections, seconds=options.seconds)
            urls = {"empty": empty.url, "grouped": grouped.url, "plain": plain.url}
            runs = interleaved(
                options.rounds,
                {name: partial(measure, url, stand.campaign()) for name, url in urls.items()},
            )
            for name, each in runs.items():
                yield Figure(
                    row="curve",
                    title=f"{name}, {connections} connections",
                    values=[run.per_second for run in each],
                    unit="/s",
                    beside={"connections": connections},
                )


def cost(stand: Stand, options: Options) -> Iterator[Figure]:
    """Row k: processor time for a coupon, and throughput with 1 and 2 workers."""
    with stand.server(ISSUING) as one, stand.server(ISSUING, workers=2) as two:
        per_second: dict[str, list[float]] = {"1": [], "2": []}
        microseconds: dict[str, list[float]] = {"the service": [], "PostgreSQL": []}
        for _ in range(options.rounds):
            before = one.cpu_seconds(), stand.postgres_cpu_seconds()
            run = issue_in_a_loop(
                one.url, stand.campaign(), connections=CONNECTIONS, seconds=options.seconds
            )
            after = one.cpu_seconds(), stand.postgres_cpu_seconds()
            for name, start, end in zip(microseconds, before, after, strict=True):
                microseconds[name].append((end - start) / run.requests * 1e6)
            per_second["1"].append(run.per_second)
            run = issue_in_a_loop(
                two.url, stand.campaign(), connections=CONNECTIONS, seconds=options.seconds
            )
            per_second["2"].append(run.per_second)
    for name, values in microseconds.items():
        yield Figure(row="k", title=f"processor time a coupon in {name}", values=values, unit="µs")
    for name, values in per_second.items():
        yield Figure(row="k", title=f"coupons a second, workers: {name}", values=values, unit="/s")
