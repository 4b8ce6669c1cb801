"""States that a service is kept in while tests call it."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from uuid import UUID

import asyncpg
from connectrpc.code import Code
from connectrpc.errors import ConnectError
from support.locks import row_locked, until_statements_wait

from coupon_service.gen.coupon.v1.coupon_connect import CouponServiceClient
from coupon_service.gen.coupon.v1.coupon_pb import IssueCouponRequest

# For so long may tests keep a state up; a whole module of them runs meanwhile.
HELD_SECONDS_MAX = 600


@contextmanager
def held(state: AbstractAsyncContextManager[None]) -> Iterator[None]:
    """Keep up a state for tests that are not coroutines."""
    with asyncio.Runner() as runner:
        runner.run(state.__aenter__())
        try:
            yield
        finally:
            runner.run(_leave(state))


async def _leave(state: AbstractAsyncContextManager[None]) -> None:
    await state.__aexit__(None, None, None)


@asynccontextmanager
async def claims_waiting(
    database_url: str,
    urls: Sequence[str],
    authorization: str,
    *,
    campaign_id: str,
    full_campaign_id: str,
    queue_limit: int,
) -> AsyncIterator[None]:
    """Hold two campaigns' rows, so that claims wait.

    Every service has a claim of each campaign under way. Of the full one, as many others
    wait for their turn as there is room for.
    """
    connection = await asyncpg.connect(database_url)
    clients = [CouponServiceClient(url, timeout_ms=HELD_SECONDS_MAX * 1000) for url in urls]
    claims = []

    def claim(client: CouponServiceClient, campaign_id: str) -> "asyncio.Task[object]":
        return asyncio.ensure_future(
            client.issue_coupon(
                IssueCouponRequest(campaign_id=campaign_id),
                headers={"authorization": authorization},
            )
        )

    try:
        async with (
            row_locked(connection, UUID(campaign_id)),
            row_locked(connection, UUID(full_campaign_id)),
        ):
            for client in clients:
                claims += [claim(client, campaign_id), claim(client, full_campaign_id)]
            await until_statements_wait(database_url, len(claims))
            for client in clients:
                one_too_many = range(queue_limit + 1)
                claims += await _queued([claim(client, full_campaign_id) for _ in one_too_many])
            yield
        await asyncio.gather(*claims)
    finally:
        await connection.close()


async def _queued(racing: "Sequence[asyncio.Task[object]]") -> "set[asyncio.Task[object]]":
    """Return those that found room in the queue, all but one."""
    [refused], queued = await asyncio.wait(racing, return_when=asyncio.FIRST_COMPLETED)
    error = refused.exception()
    assert isinstance(error, ConnectError)
    assert error.code is Code.UNAVAILABLE
    return queued
