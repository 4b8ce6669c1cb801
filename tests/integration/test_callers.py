"""Callers who go while their claims wait, whether or not the server can be asked about them."""

import asyncio
import json
from collections.abc import Awaitable, Callable

import asyncpg
import pytest
from support.asgi import Call
from support.locks import row_locked, until_statements_wait
from support.stored import assert_sound, stored

from coupon_service.codecs import codecs
from coupon_service.domain import Campaign
from coupon_service.error_border import ErrorBorder
from coupon_service.issuing import Issuer
from coupon_service.rpc import CouponRpcs
from coupon_service.rpc_application import CouponRpcApplication
from coupon_service.store import Store

Create = Callable[..., Awaitable[Campaign]]


@pytest.mark.parametrize("offers", [True, False])
async def test_who_goes_in_line_gets_nothing_whether_or_not_the_server_can_be_asked(
    create: Create,
    store: Store,
    issuer: Issuer,
    connection: asyncpg.Connection,
    database_url: str,
    *,
    offers: bool,
) -> None:
    campaign = await create()
    rpcs = CouponRpcs(store, issuer)
    application = CouponRpcApplication(rpcs, interceptors=[ErrorBorder()], codecs=codecs())
    body = json.dumps({"campaignId": str(campaign.campaign_id)}).encode()
    first, *others = calls = [Call("IssueCoupon", body, offers) for _ in range(8)]
    leavers, stayers = others[::2], others[1::2]
    async with row_locked(connection, campaign.campaign_id):
        tasks = [asyncio.create_task(first.make(application))]
        await until_statements_wait(database_url)
        tasks += [asyncio.create_task(call.make(application)) for call in others]
        for _ in range(10):
            await asyncio.sleep(0)
        for leaver in leavers:
            leaver.lose()
        for _ in range(10):
            await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    await issuer.close()
    found = await stored(connection, campaign.campaign_id)

    granted = [call for call in calls if call.status == 200]
    assert granted == [first, *stayers]
    assert found.issued_count == 1 + len(stayers)
    assert_sound(found)
