"""Throughput of the store alone, beside a plain store, and with many coupons stored."""

import statistics
from collections.abc import Iterator, Sequence
from functools import partial

from bench.claiming import CLAIMS_AT_ONCE, claim_in_a_loop, grouped, plain
from bench.figures import Figure, Target, at_least, interleaved, ratios
from bench.filling import fill_campaign
from bench.load import Throughput
from bench.options import Options
from bench.stand import Stand

# How full the tables are in the chart, as shares of what row f wants stored.
GROWTH = (0.1, 0.5, 1.0)
# Of the stored coupons, those of the very campaign that is issued from, and how many of
# all have a user. The others are those of campaigns of this size.
OWN_SHARE = 0.4
SHARE_WITH_USERS = 0.5
OTHER_CAMPAIGN_COUPONS = 300_000

Runs = dict[str, list[Throughput]]


def against_plain(stand: Stand, options: Options) -> Iterator[Figure]:
    """Row e: the store alone, grouped ÷ plain and with users ÷ without."""
    claim = partial(claim_in_a_loop, seconds=options.seconds)
    runs = interleaved(
        options.rounds,
        {
            "plain": lambda: claim(stand, stand.campaign(), plain),
            "grouped": lambda: claim(stand, stand.campaign(), grouped),
            "users": lambda: claim(stand, stand.campaign(), grouped, distinct_users=True),
        },
    )
    where = f"in the store alone, {CLAIMS_AT_ONCE} claims at once"
    yield _ratio(
        "e", f"grouped ÷ plain {where}", runs, over="grouped", under="plain", target=at_least(25)
    )
    yield _ratio(
        "e",
        f"distinct users ÷ anonymous {where}",
        runs,
        over="users",
        under="grouped",
        target=at_least(0.7),
    )


def on_large_tables(stand: Stand, options: Options) -> Iterator[Figure]:
    """Row f: the store with many coupons stored ÷ with none; and the chart of the steps to it.

    So many are stored at first; each run adds what it issues. Filling ends with a
    checkpoint. After one, PostgreSQL writes each page as a whole into its log when it is
    first changed, so the first rounds on large tables are the slowest.
    """
    with stand.database("empty") as empty, stand.database("large") as large:
        for share in GROWTH:
            stored = round(options.stored_coupons * share)
            campaign_id = _fill(large, stored)
            runs = _claim_beside(empty, large, campaign_id, options)
            if share == GROWTH[0]:
                yield _growth(0, runs["empty"], runs["empty"])
            yield _growth(stored, runs["large"], runs["empty"])
        yield _large_against_empty(runs, "anonymous", stored)
        runs = _claim_beside(empty, large, campaign_id, options, distinct_users=True)
        yield _large_against_empty(runs, "distinct users", stored)


def _fill(stand: Stand, coupons: int) -> str:
    """Store so many coupons and no others; return the campaign that has its share of them."""
    stand.sql("TRUNCATE campaign, coupon")
    fill = partial(fill_campaign, stand, share_with_users=SHARE_WITH_USERS)
    own = round(coupons * OWN_SHARE)
    for filled in range(own, coupons, OTHER_CAMPAIGN_COUPONS):
        fill(min(OTHER_CAMPAIGN_COUPONS, coupons - filled))
    return fill(own)


def _claim_beside(
    empty: Stand, large: Stand, campaign_id: str, options: Options, *, distinct_users: bool = False
) -> Runs:
    """Claim from a new campaign in empty tables and from a large one in turn."""
    claim = partial(
        claim_in_a_loop, way=grouped, seconds=options.seconds, distinct_users=distinct_users
    )

    def claim_from_empty() -> Throughput:
        empty.sql("TRUNCATE campaign, coupon")  # what the last run stored
        return claim(empty, empty.campaign())

    return interleaved(
        options.rounds,
        {"empty": claim_from_empty, "large": partial(claim, large, campaign_id)},
    )


def _growth(stored: int, runs: Sequence[Throughput], empty: Sequence[Throughput]) -> Figure:
    """Return a point of the chart; `beside` has what empty tables gave at the same time."""
    return Figure(
        row="growth",
        title=f"coupons a second in the store alone, {stored:,} stored",
        values=[run.per_second for run in runs],
        unit="/s",
        beside={"stored_coupons": stored, "empty_per_second": _median_per_second(empty)},
    )


def _large_against_empty(runs: Runs, kind: str, stored: int) -> Figure:
    title = f"{stored:,} coupons stored ÷ none in the store alone, {kind}"
    return _ratio("f", title, runs, over="large", under="empty", target=at_least(0.8))


def _ratio(  # noqa: PLR0913 # what a figure has
    row: str, title: str, runs: Runs, *, over: str, under: str, target: Target
) -> Figure:
    return Figure(
        row=row,
        title=title,
        values=ratios(*([run.per_second for run in runs[name]] for name in (over, under))),
        target=target,
        beside={f"{name}_per_second": _median_per_second(runs[name]) for name in (over, under)},
    )


def _median_per_second(runs: Sequence[Throughput]) -> float:
    return statistics.median(run.per_second for run in runs)
