"""What was stored by a transaction whose connection broke while it claimed."""

import asyncio
import contextlib
from collections.abc import Callable
from uuid import UUID

from coupon_service.domain import Coupon
from coupon_service.errors import StorageUnavailable
from coupon_service.store import Store

PAUSE_SECONDS = 0.1


async def stored_coupons(
    store: Store,
    campaign_id: UUID,
    codes: list[str],
    *,
    seconds_max: float,
    is_awaited: Callable[[], bool],
) -> dict[str, Coupon] | None:
    """Return, by its code, each coupon of the transaction that is stored; no other ever will be.

    Asks until the database answers, for `seconds_max` seconds and while `is_awaited`;
    returns None if it does not.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds_max):
            while is_awaited():
                with contextlib.suppress(StorageUnavailable):
                    coupons = await store.settle(campaign_id, codes)
                    return {coupon.code: coupon for coupon in coupons}
                await asyncio.sleep(PAUSE_SECONDS)
    return None
