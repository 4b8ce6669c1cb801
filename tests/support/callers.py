"""Real callers: client processes that claim coupons over sockets, many at a time."""

import asyncio
import multiprocessing
import random
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from connectrpc.code import Code
from connectrpc.errors import ConnectError

from coupon_service.client import reason
from coupon_service.gen.coupon.v1 import coupon_pb as pb
from coupon_service.gen.coupon.v1.coupon_connect import CouponServiceClient
from coupon_service.gen.google.rpc.error_details_pb import RetryInfo

ISSUED = "ISSUED"
CALL_MS_MAX = 60_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What one call came to. `outcome` is ISSUED, or a refusal's reason or code.

    `sent_at` and `answered_at` are wall-clock seconds of the caller's host.
    """

    user_id: str
    outcome: str
    sent_at: float
    answered_at: float
    code: str = ""
    sequence: int = 0
    already_issued: bool = False
    issue_time: float = 0
    retry_seconds: float | None = None


async def claim(client: CouponServiceClient, campaign_id: str, user_id: str = "") -> Answer:
    """Make one call and say what came of it."""
    request = pb.IssueCouponRequest(campaign_id=campaign_id, user_id=user_id)
    sent_at = time.time()
    try:
        response = await client.issue_coupon(request)
    except ConnectError as error:
        return Answer(
            user_id=user_id,
            outcome=reason(error),
            sent_at=sent_at,
            answered_at=time.time(),
            retry_seconds=_retry_seconds(error),
        )
    coupon = response.coupon
    assert coupon is not None
    assert coupon.issue_time is not None
    return Answer(
        user_id=user_id,
        outcome=ISSUED,
        sent_at=sent_at,
        answered_at=time.time(),
        code=coupon.code,
        sequence=coupon.sequence,
        already_issued=response.already_issued,
        issue_time=coupon.issue_time.to_datetime().timestamp(),
    )


def _retry_seconds(error: ConnectError) -> float | None:
    for detail in error.details:
        info = detail.value(RetryInfo)
        if info is not None and info.retry_delay is not None:
            return info.retry_delay.to_timedelta().total_seconds()
    return None


def connect(url: str) -> CouponServiceClient:
    """Return a client for a service's URL."""
    return CouponServiceClient(url, timeout_ms=CALL_MS_MAX, send_compression=None)


def claim_from_processes(
    url: str, campaign_id: str, user_ids: Sequence[str], *, processes: int, seed: int
) -> list[Answer]:
    """Call once for each user id ("" is anonymous), all at once, from several processes."""
    shuffled = list(user_ids)
    random.Random(seed).shuffle(shuffled)
    shares = [shuffled[i::processes] for i in range(processes)]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        futures = [pool.submit(_claim_all, url, campaign_id, share) for share in shares]
        return [answer for future in futures for answer in future.result()]


def _claim_all(url: str, campaign_id: str, user_ids: Iterable[str]) -> list[Answer]:
    async def run() -> list[Answer]:
        async with connect(url) as client:
            return await asyncio.gather(*(claim(client, campaign_id, u) for u in user_ids))

    return asyncio.run(run())


async def claim_until(
    url: str,
    campaign_id: str,
    stop: asyncio.Event,
    *,
    callers: int,
    user_ids: Iterable[str] = (),
    pause_seconds: float = 0,
    into: list[Answer] | None = None,
) -> list[Answer]:
    """Call again and again with so many callers until told to stop.

    Returns all answers in their order; `into` shows them as they come.
    """
    answers: list[Answer] = [] if into is None else into
    users = iter(user_ids)

    async def call() -> None:
        while not stop.is_set():
            answers.append(await claim(client, campaign_id, next(users, "")))
            await asyncio.sleep(pause_seconds)

    async with connect(url) as client:
        await asyncio.gather(*(call() for _ in range(callers)))
    return answers


def outcomes(answers: Iterable[Answer]) -> Counter[str]:
    """Count the answers by outcome."""
    return Counter(answer.outcome for answer in answers)


def read_campaign(url: str, campaign_id: str) -> tuple[pb.Campaign, list[str]]:
    """Return a campaign and its codes."""

    async def read() -> pb.GetCampaignResponse:
        async with connect(url) as client:
            return await client.get_campaign(pb.GetCampaignRequest(campaign_id=campaign_id))

    response = asyncio.run(read())
    assert response.campaign is not None
    return response.campaign, list(response.coupon_codes)


# What a caller sees when its connection is cut under it, or finds nobody listening.
LOST = frozenset({Code.UNAVAILABLE.value, Code.UNKNOWN.value, Code.CANCELED.value})
