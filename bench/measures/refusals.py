"""Throughput of refusals through RPC, and what they cost the database."""

import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial

from bench.figures import Figure, at_least, at_most, interleaved, ratios
from bench.load import LoadFailed, Throughput, issue_in_a_loop
from bench.options import Options
from bench.stand import ISSUING, NOT_STARTED, SOLD_OUT, Server, Stand
from coupon_service.client import CallFailed, Client

CONNECTIONS = 256
DAY_SECONDS = 86_400


def against_refusing(stand: Stand, options: Options) -> Iterator[Figure]:
    """Row c: refusals ÷ an RPC that only refuses, and their queries."""
    # A database of its own, so that nobody else's queries are counted.
    with stand.database("refusals") as alone:
        sold_out, scheduled = (
            _sold_out_campaign(alone),
            alone.campaign(starts_in_seconds=DAY_SECONDS),
        )
        for yardstick, reason, kind, campaign_id in (
            (SOLD_OUT, "SOLD_OUT", "sold out", sold_out),
            (NOT_STARTED, "CAMPAIGN_NOT_STARTED", "not started", scheduled),
        ):
            refuse = partial(_refuse, campaign_id=campaign_id, reason=reason, options=options)
            yield from _throughput(alone, yardstick, refuse, kind, options)
            yield _queries(alone, refuse, kind, options)


def _sold_out_campaign(stand: Stand) -> str:
    campaign_id = stand.campaign(coupon_limit=1)
    with stand.server(ISSUING) as server:
        Client(server.url).issue_coupon(campaign_id, "")
    return campaign_id


def _refuse(
    server: Server,
    campaign_id: str,
    reason: str,
    options: Options,
    message_format: str = "json",
) -> Throughput:
    """Ask for coupons in vain, and make sure that the reason is the one that is meant.

    Raises:
        LoadFailed: a coupon was issued, or the refusal was another.
    """
    run = issue_in_a_loop(
        server.url,
        campaign_id,
        connections=CONNECTIONS,
        seconds=options.seconds,
        message_format=message_format,
        refused=True,
    )
    try:
        Client(server.url).issue_coupon(campaign_id, "")
    except CallFailed as exc:
        if str(exc).startswith(f"{reason}:"):
            return run
        raise LoadFailed(f"refused for another reason than {reason}: {exc}") from exc
    raise LoadFailed("a coupon was issued that should have been refused")


def _throughput(
    stand: Stand, yardstick: str, refuse: Callable[..., Throughput], kind: str, options: Options
) -> Iterator[Figure]:
    with stand.server(yardstick) as refusing, stand.server(ISSUING) as issuing:
        for message_format in ("json", "proto"):
            run = partial(refuse, message_format=message_format)
            runs = interleaved(
                options.rounds,
                {
                    "refusing": partial(run, refusing),
                    "issuing": partial(run, issuing),
                },
            )
            per_second = {name: [run.per_second for run in each] for name, each in runs.items()}
            yield Figure(
                row="c",
                title=f"refusals, {kind} ÷ RPC that only refuses, {message_format}",
                values=ratios(per_second["issuing"], per_second["refusing"]),
                target=at_least(0.9),
                beside={f"{k}_per_second": statistics.median(v) for k, v in per_second.items()},
            )


def _queries(
    stand: Stand, refuse: Callable[[Server], Throughput], kind: str, options: Options
) -> Figure:
    """Count the queries for each refused request: those of a refusing server but no idle one."""

    def idle(_server: Server) -> int:
        time.sleep(options.seconds)
        return 0

    def busy(server: Server) -> int:
        return refuse(server).requests

    runs = interleaved(
        options.rounds,
        {"idle": partial(_life, stand, idle), "busy": partial(_life, stand, busy)},
    )
    return Figure(
        row="c",
        title=f"queries to PostgreSQL for a refusal, {kind}",
        values=[
            (queries - without) / requests
            for (queries, requests), (without, _) in zip(runs["busy"], runs["idle"], strict=True)
        ],
        unit="queries/request",
        target=at_most(0.01),
        beside={
            f"{name}_queries": statistics.median(queries for queries, _ in each)
            for name, each in runs.items()
        },
    )


def _life(stand: Stand, live: Callable[[Server], int]) -> tuple[int, int]:
    """Start a server, let it live, stop it; return its queries, and what living returned.

    Whole lives are counted, because sessions report what they did for sure only when they
    end. Transactions stand for queries: no refusal has several in one, so there are no more.
    """
    before = stand.transactions()
    with stand.server(ISSUING) as server:
        requests = live(server)
    return stand.transactions() - before, requests
