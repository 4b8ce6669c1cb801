"""Every coupon is counted once, however it came to be issued, and every transaction of claims."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack

import asyncpg
import pytest
from conftest import open_store
from support.stored import stored

from coupon_service.codes import random_codes
from coupon_service.domain import Campaign, Claim, Issued
from coupon_service.gate import Gate
from coupon_service.issuing import Issuer
from coupon_service.store import Store
from loadtest.faults.proxy import Break, Proxy, proxied

Create = Callable[..., Awaitable[Campaign]]


class Noted:
    """A tally that the test can read."""

    def __init__(self) -> None:
        self.claims: list[int] = []
        self.coupons = 0

    def claimed(self, claims: int, seconds: float) -> None:
        assert seconds > 0
        self.claims.append(claims)

    def issued(self, coupons: int) -> None:
        self.coupons += coupons


def issuer(
    store: Store, tally: Noted, draw_codes: Callable[[int], list[str]] = random_codes
) -> Issuer:
    return Issuer(
        store,
        Gate(seconds_max=1),
        queue_limit=5000,
        group_limit=50,
        settle_seconds_max=10,
        draw_codes=draw_codes,
        tally=tally,
    )


async def issue(issuing: Issuer, claims: Sequence[Claim]) -> int:
    """Make claims at once, and return how many coupons there were in answer."""
    answers = await asyncio.gather(*map(issuing.issue, claims), return_exceptions=True)
    return len({answer.coupon.code for answer in answers if isinstance(answer, Issued)})


async def test_what_is_counted_is_what_is_issued(
    create: Create, store: Store, connection: asyncpg.Connection
) -> None:
    campaign = await create(limit=100)
    noted = Noted()
    users = [f"user {number % 60}" for number in range(120)]  # each asks twice
    claims = [
        Claim(campaign_id=campaign.campaign_id, user_id=user) for user in [*users, *[""] * 80]
    ]
    issued = await issue(issuer(store, noted), claims)
    found = await stored(connection, campaign.campaign_id)
    assert (issued, noted.coupons, found.issued_count) == (100, 100, 100)
    assert sum(noted.claims) >= 100
    assert max(noted.claims) <= 50


async def test_claims_in_line_are_told_until_they_are_answered(
    create: Create, store: Store
) -> None:
    campaign = await create(limit=100)
    issuing = issuer(store, Noted())
    calls = [
        asyncio.create_task(issuing.issue(Claim(campaign_id=campaign.campaign_id)))
        for _ in range(20)
    ]
    await asyncio.sleep(0)
    waiting = issuing.claims_waiting
    await asyncio.gather(*calls)
    assert (waiting, issuing.claims_waiting) == (20, 0)


@pytest.fixture
async def proxy(database_url: str) -> AsyncIterator[Proxy]:
    async with proxied(database_url) as made:
        yield made


@pytest.mark.parametrize("breaking", list(Break))
async def test_coupons_whose_connection_broke_are_counted_once(
    stores: AsyncExitStack,
    create: Create,
    proxy: Proxy,
    connection: asyncpg.Connection,
    breaking: Break,
) -> None:
    campaign = await create()
    drawn: list[bytes] = []

    def draw(count: int) -> list[str]:
        codes = random_codes(count)
        drawn[:] = [code.encode() for code in codes]
        return codes

    noted = Noted()
    issuing = issuer(await open_store(stores, proxy.url), noted, draw)
    await issue(issuing, [Claim(campaign_id=campaign.campaign_id)])
    proxy.matches = lambda chunk: b"INSERT" not in chunk and any(code in chunk for code in drawn)
    proxy.breaking = breaking
    issued = await issue(issuing, [Claim(campaign_id=campaign.campaign_id)] * 5)
    found = await stored(connection, campaign.campaign_id)
    assert (proxy.broken_count, issued) == (1, 5)
    assert (noted.coupons, found.issued_count) == (6, 6)
