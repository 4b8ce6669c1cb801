"""How exactly a campaign opens: the first coupon's issue time, with callers at the gate."""

from collections.abc import Iterator
from datetime import timedelta

from bench.figures import Figure, at_least, at_most
from bench.load import LoadFailed, run_oha
from bench.options import Options
from bench.stand import ISSUING, Server, Stand

PER_SECOND = 1000
CONNECTIONS = 64
CAMPAIGNS = 10
SECONDS_BEFORE = 2
SECONDS_AFTER = 2
REFUSED = "400"  # how HTTP says failed_precondition: the campaign has not started


def first_coupon(stand: Stand, _options: Options) -> Iterator[Figure]:
    """Row h: issue time of the first coupon - start time, under constant arrivals."""
    with stand.server(ISSUING) as server:
        milliseconds = [_first_coupon_milliseconds(stand, server) for _ in range(CAMPAIGNS)]
    title = f"first coupon after the start at {PER_SECOND:,}/s, {CAMPAIGNS} campaigns"
    yield Figure(row="h", title=title, values=milliseconds, unit="ms", target=at_most(10))
    yield Figure(
        row="h",
        title="the earliest of these, never negative",
        values=[min(milliseconds)],
        unit="ms",
        target=at_least(0),
    )


def _first_coupon_milliseconds(stand: Stand, server: Server) -> float:
    campaign_id = stand.campaign(starts_in_seconds=SECONDS_BEFORE)
    report = run_oha(
        server.url, campaign_id, PER_SECOND, SECONDS_BEFORE + SECONDS_AFTER, CONNECTIONS
    )
    statuses = report["statusCodeDistribution"]
    # Both kinds show that callers came before the start and after it, and so across it.
    if set(statuses) != {"200", REFUSED}:
        raise LoadFailed(f"not only refusals and then coupons were answered: {statuses}")
    (row,) = stand.sql(
        "SELECT count(*) AS stored, min(issue_time) - min(start_time) AS first"
        " FROM coupon JOIN campaign USING (campaign_id) WHERE campaign_id = $1",
        campaign_id,
    )
    if row["stored"] != statuses["200"]:
        raise LoadFailed(f"{statuses['200']} coupons were answered and {row['stored']} are stored")
    return float(row["first"] / timedelta(milliseconds=1))
