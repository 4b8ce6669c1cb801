"""Load on the store alone: claims by coroutines of this process, without any RPC."""

import asyncio
import contextlib
import gc
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from uuid import UUID

import uvloop

from bench.filling import user_id
from bench.load import LoadFailed, Throughput
from bench.stand import Stand
from bench.yardsticks import issue_plainly
from coupon_service.app import collect_garbage_seldom
from coupon_service.domain import COUPON_LIMIT_MAX, Claim, Issued
from coupon_service.errors import Refused
from coupon_service.gate import Gate
from coupon_service.issuing import Issuer
from coupon_service.settings import Settings

CLAIMS_AT_ONCE = 512
WARM_UP_SECONDS = 1
PLAIN_POOL_SIZE = 64

# The defaults, whatever the environment says.
DEFAULTS = Settings.model_construct()

Issue = Callable[[Claim], Awaitable[Issued]]
Way = Callable[[Stand], contextlib.AbstractAsyncContextManager[Issue]]

# Never the user of an earlier claim, nor one that a filled campaign has already.
_user_numbers = itertools.count(COUPON_LIMIT_MAX + 1)


@contextlib.asynccontextmanager
async def grouped(stand: Stand) -> AsyncIterator[Issue]:
    """Issue like the service, with its default limits."""
    async with stand.store(pool_size=DEFAULTS.pool_size) as store:
        issuer = Issuer(
            store,
            Gate(seconds_max=DEFAULTS.gate_seconds_max),
            queue_limit=DEFAULTS.queue_limit,
            group_limit=DEFAULTS.group_limit,
            settle_seconds_max=DEFAULTS.settle_seconds_max,
        )
        yield issuer.issue
        await issuer.close()


@contextlib.asynccontextmanager
async def plain(stand: Stand) -> AsyncIterator[Issue]:
    """Issue with one transaction for each claim, over many connections."""
    async with stand.store(pool_size=PLAIN_POOL_SIZE) as store:
        yield partial(issue_plainly, store)


def claim_in_a_loop(
    stand: Stand, campaign_id: str, way: Way, *, seconds: float, distinct_users: bool = False
) -> Throughput:
    """Claim from many coroutines at once, each as soon as it is answered.

    What is counted comes after a warm-up, in which the connections are opened and the
    database finds its pages. The loop is uvloop's and garbage is collected as seldom as
    in the service.

    Raises:
        LoadFailed: an answer was no new coupon, or an answered coupon is not stored.
    """
    before = _last_sequence(stand, campaign_id)
    claims = _claims(UUID(campaign_id), distinct_users=distinct_users)
    with _collecting_garbage_like_the_service():
        warm_up, run = uvloop.run(_claim(way(stand), claims, seconds))
    answered = warm_up.requests + run.requests
    stored = stand.issued_count(campaign_id, after_sequence=before)
    if stored != answered:
        raise LoadFailed(f"{answered} coupons were answered and {stored} are stored")
    return run


@contextlib.contextmanager
def _collecting_garbage_like_the_service() -> Iterator[None]:
    before = gc.get_threshold()
    collect_garbage_seldom()
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def _last_sequence(stand: Stand, campaign_id: str) -> int:
    (row,) = stand.sql("SELECT issued_count FROM campaign WHERE campaign_id = $1", campaign_id)
    return int(row["issued_count"])


def _claims(campaign_id: UUID, *, distinct_users: bool) -> Iterator[Claim]:
    if not distinct_users:
        return itertools.repeat(Claim(campaign_id=campaign_id))
    return (Claim(campaign_id=campaign_id, user_id=user_id(number)) for number in _user_numbers)


async def _claim(
    issuing: contextlib.AbstractAsyncContextManager[Issue], claims: Iterator[Claim], seconds: float
) -> tuple[Throughput, Throughput]:
    async with issuing as issue:
        warm_up = await _run(issue, claims, WARM_UP_SECONDS)
        return warm_up, await _run(issue, claims, seconds)


async def _run(issue: Issue, claims: Iterator[Claim], seconds: float) -> Throughput:
    """Claim for so long; the claims under way at the end are awaited, and count like the time."""
    begun = time.monotonic()
    stop_at = begun + seconds
    try:
        answered = await asyncio.gather(
            *(_claim_until(stop_at, issue, claims) for _ in range(CLAIMS_AT_ONCE))
        )
    except (Refused, TimeoutError) as exc:
        raise LoadFailed(f"a claim was not answered with a coupon: {exc}") from exc
    return Throughput(requests=sum(answered), seconds=time.monotonic() - begun, refused=0)


async def _claim_until(stop_at: float, issue: Issue, claims: Iterator[Claim]) -> int:
    answered = 0
    while time.monotonic() < stop_at:
        issued = await issue(next(claims))
        if issued.already_issued:
            raise LoadFailed("a new user was shown a coupon that was issued before")
        answered += 1
    return answered
