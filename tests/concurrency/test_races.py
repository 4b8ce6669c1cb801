"""Racing callers: real client processes against real workers."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import asyncpg
from support.callers import (
    ISSUED,
    Answer,
    claim_from_processes,
    claim_until,
    outcomes,
    read_campaign,
)
from support.service import Service
from support.stored import assert_all_acknowledged_are_stored, assert_sound, stored

from coupon_service.domain import Campaign

Create = Callable[..., Awaitable[Campaign]]


async def _race(service: Service, campaign_id: str, user_ids: list[str]) -> list[Answer]:
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201 # to repeat a failing order of calls
    return await asyncio.to_thread(
        claim_from_processes, service.url, campaign_id, user_ids, processes=4, seed=seed
    )


async def test_3000_calls_for_1000_coupons_issue_exactly_1000(
    service: Service, create: Create, connection: asyncpg.Connection
) -> None:
    campaign_id = str((await create(limit=1000)).campaign_id)
    answers = await _race(service, campaign_id, [""] * 3000)
    campaign, codes = await asyncio.to_thread(read_campaign, service.url, campaign_id)
    issued = sorted((a for a in answers if a.outcome == ISSUED), key=lambda a: a.sequence)

    assert outcomes(answers) == {ISSUED: 1000, "SOLD_OUT": 2000}
    assert [a.sequence for a in issued] == list(range(1, 1001))
    assert [a.code for a in issued] == codes
    assert len(set(codes)) == campaign.issued_count == 1000
    assert_sound(await stored(connection, campaign_id))


async def test_users_who_call_three_times_get_one_coupon_each(
    service: Service, create: Create, connection: asyncpg.Connection
) -> None:
    campaign_id = str((await create(limit=1000)).campaign_id)
    user_ids = [f"사용자 {i}" for i in range(1000)]
    answers = await _race(service, campaign_id, user_ids * 3)
    found = await stored(connection, campaign_id)

    assert outcomes(answers) == {ISSUED: 3000}
    assert len({(a.user_id, a.code, a.sequence) for a in answers}) == 1000
    assert sum(not a.already_issued for a in answers) == 1000
    assert sorted(u for u in found.user_ids if u) == sorted(user_ids)
    assert_sound(found)
    assert_all_acknowledged_are_stored(found, answers)


async def test_users_who_all_call_three_times_share_too_few_coupons(
    service: Service, create: Create, connection: asyncpg.Connection
) -> None:
    campaign_id = str((await create(limit=300)).campaign_id)
    answers = await _race(service, campaign_id, [f"user-{i}" for i in range(1000)] * 3)
    found = await stored(connection, campaign_id)

    assert outcomes(answers) == {ISSUED: 900, "SOLD_OUT": 2100}
    assert len({(a.user_id, a.code) for a in answers if a.code}) == 300
    assert found.issued_count == 300
    assert_sound(found)


async def test_calls_before_the_start_are_refused_and_from_the_start_on_issued(
    service: Service, create: Create, connection: asyncpg.Connection
) -> None:
    start_time = datetime.now(UTC) + timedelta(seconds=3)
    campaign_id = str((await create(limit=300, start_time=start_time)).campaign_id)
    stop = asyncio.Event()
    calling = asyncio.create_task(
        claim_until(service.url, campaign_id, stop, callers=40, pause_seconds=0.05)
    )
    while (await stored(connection, campaign_id)).issued_count < 300:
        await asyncio.sleep(0.05)
    stop.set()
    answers = await calling
    start = start_time.timestamp()
    early = [a for a in answers if a.answered_at < start]
    late = [a for a in answers if a.sent_at > start]
    issued = [a for a in answers if a.outcome == ISSUED]

    assert outcomes(early) == {"CAMPAIGN_NOT_STARTED": len(early)}
    assert len(early) > 300
    for answer in early:
        assert answer.retry_seconds is not None
        # Never so short that a caller comes back early. It may be longer by the
        # time that the database took to tell its clock, for which a second is ample.
        assert start - answer.answered_at - 0.001 <= answer.retry_seconds
        assert answer.retry_seconds <= start - answer.sent_at + 1
    assert "CAMPAIGN_NOT_STARTED" not in outcomes(late)
    assert len(issued) == 300
    assert all(a.issue_time >= start for a in issued)
    assert_sound(await stored(connection, campaign_id))
