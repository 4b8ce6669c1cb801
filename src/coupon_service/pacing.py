"""Claims before readers: long answers give way while coupons are issued."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

PAUSE_SECONDS = 0.001

Page = TypeVar("Page")


async def giving_way(
    pages: AsyncIterator[Page],
    *,
    is_issuing: Callable[[], bool],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> AsyncIterator[Page]:
    """Yield pages; while claims are under way, with a pause of PAUSE_SECONDS after each.

    A page takes about as long as the pause. So whoever reads large campaigns again and
    again leaves half of a processor, and of PostgreSQL's, to those who claim.
    """
    async for page in pages:
        yield page
        if is_issuing():
            await sleep(PAUSE_SECONDS)
