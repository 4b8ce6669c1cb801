"""Reading a campaign of a million codes: the time beside the driver's, and the memory."""

import asyncio
import gc
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import asyncpg
import uvloop

from bench.figures import Figure, at_most, interleaved, ratios
from bench.filling import fill_campaign
from bench.load import LoadFailed
from bench.memory import peak_of
from bench.options import Options
from bench.reader import Body, Reader
from bench.stand import ISSUING, Stand
from coupon_service.codecs import codecs
from coupon_service.gen.coupon.v1.coupon_pb import GetCampaignResponse

COUPONS = 1_000_000
FETCH = "SELECT code FROM coupon WHERE campaign_id = $1 ORDER BY sequence"


@dataclass(slots=True)
class Peaks:
    """How much more memory than when idle a worker held in each read, in megabytes."""

    megabytes: list[float] = field(default_factory=list)
    idle_megabytes: float = 0


def against_driver(stand: Stand, options: Options) -> Iterator[Figure]:
    """Row i: GetCampaign with a million codes ÷ fetching them with asyncpg, and its memory."""
    campaign_id = fill_campaign(stand, COUPONS)
    with _fetching(stand.database_url, campaign_id) as fetch_seconds:
        for message_format in ("json", "proto"):
            peaks = Peaks()
            with _reading(stand, campaign_id, message_format, peaks) as read_seconds:
                runs = interleaved(options.rounds, {"asyncpg": fetch_seconds, "rpc": read_seconds})
            yield from _figures(message_format, runs, peaks)


def _figures(message_format: str, runs: dict[str, list[float]], peaks: Peaks) -> Iterator[Figure]:
    yield Figure(
        row="i",
        title=f"GetCampaign with {COUPONS:,} codes ÷ asyncpg, {message_format}",
        values=ratios(runs["rpc"], runs["asyncpg"]),
        target=at_most(4),
        beside={f"{name}_ms": statistics.median(each) * 1000 for name, each in runs.items()},
    )
    yield Figure(
        row="i",
        title=f"the worker's peak memory above idle meanwhile, {message_format}",
        values=peaks.megabytes,
        unit="MB",
        target=at_most(600),
        beside={"idle_mb": peaks.idle_megabytes},
    )


@contextmanager
def _fetching(database_url: str, campaign_id: str) -> Iterator[Callable[[], float]]:
    """Yield what fetches the codes over an open connection, and returns the seconds it took."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        connection = runner.run(asyncpg.connect(database_url))
        try:
            yield lambda: runner.run(_fetch_seconds(connection, campaign_id))
        finally:
            runner.run(connection.close())


async def _fetch_seconds(connection: asyncpg.Connection, campaign_id: str) -> float:
    with _without_collecting():
        begun_at = time.perf_counter()
        rows = await connection.fetch(FETCH, campaign_id)
        seconds = time.perf_counter() - begun_at
    if len(rows) != COUPONS:
        raise LoadFailed(f"{len(rows)} codes were fetched instead of {COUPONS}")
    return seconds


@contextmanager
def _without_collecting() -> Iterator[None]:
    """Leave out the search for cycles in a million records, which would double the time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@contextmanager
def _reading(
    stand: Stand, campaign_id: str, message_format: str, peaks: Peaks
) -> Iterator[Callable[[], float]]:
    """Yield what reads the codes through RPC, notes the peak and returns the seconds it took."""
    with (
        stand.server(ISSUING) as server,
        Reader(server.url, campaign_id, message_format=message_format) as reader,
    ):
        reader.read(codes=False)
        (worker,) = server.workers()
        idle = worker.memory_info().rss
        peaks.idle_megabytes = idle / 1e6

        def read_seconds() -> float:
            with peak_of(worker) as peak:
                begun_at = time.perf_counter()
                body = reader.read()
                seconds = time.perf_counter() - begun_at
            peaks.megabytes.append((peak.byte_count - idle) / 1e6)
            _require_all(body, message_format)
            return seconds

        yield read_seconds


def _require_all(body: Body, message_format: str) -> None:
    (codec,) = (each for each in codecs() if each.name() == message_format)
    count = len(codec.decode(body.decoded(), GetCampaignResponse).coupon_codes)
    if count != COUPONS:
        raise LoadFailed(f"{count} codes were read instead of {COUPONS}")
