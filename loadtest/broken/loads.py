"""What the issuers are put through."""

import asyncio
import os
import random
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

from loadtest.callers import Crowd, Mix, RecordingClient, ask_again, recording
from loadtest.history import Line
from loadtest.services import Service

UNLIMITED = 1_000_000
SECONDS_MAX = 60
# What was answered and not stored yet is stored by then, if it ever is.
QUIET_SECONDS = 0.1


def in_threes() -> Iterator[str]:
    """Yield users of whom each asks three times in a row."""
    return (f"user {number // 3}" for number in count())


EVERYBODY = Mix()
ANONYMOUS = Mix(anonymous_share=1)
TRIPLETS = Mix(anonymous_share=0, repeat_share=0, users=in_threes)
READERS = Mix(readers=10)
LOSERS = Mix(callers=20, anonymous_share=0, repeat_share=0, hang_up_share=0.3)


@dataclass(frozen=True, kw_only=True, slots=True)
class Load:
    """Campaigns and who asks for their coupons.

    It goes on until there were `answers` answers, `sold_outs` of them SOLD_OUT, and
    `seconds` are over. With `kills_after`, the first server's worker is killed when there
    were so many answers. With `asks_again`, the users who got no answer then ask again.
    """

    mix: Mix = EVERYBODY
    coupon_limit: int = 120
    campaign_count: int = 1
    starts_in_seconds: float = -1
    ends_in_seconds: float = 1800
    server_count: int = 1
    answers: int = 300
    sold_outs: int = 0
    seconds: float = 0
    kills_after: int | None = None
    asks_again: bool = False


RACE = Load()
ANONYMOUS_RACE = Load(mix=ANONYMOUS, coupon_limit=60, sold_outs=100)
TRIPLETS_RACE = Load(mix=TRIPLETS)
# So many that each server could hand out more than the limit alone.
TWO_SERVERS = Load(mix=ANONYMOUS, server_count=2, answers=450)
TWO_CAMPAIGNS = Load(campaign_count=2, answers=450)
MANY_READS = Load(mix=READERS, coupon_limit=UNLIMITED, seconds=0.5)
OPENING = Load(starts_in_seconds=0.5, ends_in_seconds=7200, seconds=0.9)
ENDING = Load(coupon_limit=UNLIMITED, ends_in_seconds=0.5, seconds=0.9)
LOST_ANSWERS = Load(mix=LOSERS, coupon_limit=UNLIMITED, asks_again=True)
WITHOUT_END = Load(mix=ANONYMOUS, coupon_limit=UNLIMITED)
KILLED = Load(mix=ANONYMOUS, coupon_limit=UNLIMITED, kills_after=150)


async def put_through(
    load: Load, services: list[Service], *, name: str, database_url: str, seed: int
) -> list[Line]:
    """Put a service through a load, and return the history.

    `name` is what the campaigns are called.

    Raises:
        TimeoutError: there were not enough answers in time.
    """
    chance = random.Random(seed)  # noqa: S311 # to be repeated
    urls = [service.url for service in services[: load.server_count]]
    async with recording(urls, chance) as client:
        campaign_ids = [await _create(client, load, name) for _ in range(load.campaign_count)]
        crowd = Crowd(client, campaign_ids, load.mix, chance)
        crowd.start()
        async with asyncio.timeout(SECONDS_MAX):
            await _call(client, load, services[0])
        await crowd.stop()
        if load.asks_again:
            await ask_again(client, seconds_max=SECONDS_MAX)
        await asyncio.sleep(QUIET_SECONDS)
        for campaign_id in campaign_ids:
            await client.read(campaign_id)
            await client.record_stored(campaign_id, database_url)
    return client.lines


async def _create(client: RecordingClient, load: Load, name: str) -> str:
    return await client.create(
        coupon_limit=load.coupon_limit,
        starts_in_seconds=load.starts_in_seconds,
        ends_in_seconds=load.ends_in_seconds,
        name=name,
    )


async def _call(client: RecordingClient, load: Load, service: Service) -> None:
    """Wait until the callers have called for long enough."""
    over = asyncio.create_task(asyncio.sleep(load.seconds))
    if load.kills_after is not None:
        await _until(client, load.kills_after)
        for pid in service.worker_pids():
            os.kill(pid, signal.SIGKILL)
    await _until(client, load.answers)
    while client.outcomes["SOLD_OUT"] < load.sold_outs:
        await asyncio.sleep(0.01)
    await over


async def _until(client: RecordingClient, answers: int) -> None:
    while client.outcomes.total() < answers:
        await asyncio.sleep(0.01)
