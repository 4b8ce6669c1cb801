"""What a refused call leaves behind: nothing that only the garbage collector would free.

The collector runs seldom, so that thousands of calls with large bodies would be kept.
"""

import gc
import tracemalloc
from collections.abc import Iterator
from typing import cast

import pytest
from support.asgi import Call
from support.wire import GRPC_WEB, JSON, envelope

from coupon_service.codecs import codecs
from coupon_service.error_border import ErrorBorder
from coupon_service.issuing import Issuer
from coupon_service.rpc import CouponRpcs
from coupon_service.rpc_application import CouponRpcApplication
from coupon_service.store import Store

CALLS = 50
BODY_BYTES = 60_000
KEPT_BYTES_MAX = CALLS * BODY_BYTES // 10
BODIES = {
    "not read": (b"[" + b"x" * BODY_BYTES, list(JSON), 400),
    "not valid": (b'{"name":"' + b"x" * BODY_BYTES + b'"}', list(JSON), 400),
    # Whose refusal is in the trailers.
    "not read, gRPC-Web": (envelope(b"\xff" * BODY_BYTES), list(GRPC_WEB), 200),
}


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    tracemalloc.start()
    yield
    tracemalloc.stop()
    gc.enable()


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("case", BODIES.values(), ids=BODIES.keys())
async def test_the_body_of_a_refused_call_is_not_kept(
    case: tuple[bytes, list[tuple[bytes, bytes]], int],
) -> None:
    body, headers, status = case
    # Nothing of this gets as far as the store.
    rpcs = CouponRpcs(cast("Store", None), cast("Issuer", None))
    application = CouponRpcApplication(rpcs, interceptors=[ErrorBorder()], codecs=codecs())

    async def call() -> None:
        # A body of its own each time, as those that arrive are.
        own = bytes(bytearray(body))
        made = Call("CreateCampaign", own, offers=True, headers=headers)
        await made.make(application)
        assert made.status == status

    await call()
    before, _ = tracemalloc.get_traced_memory()
    for _ in range(CALLS):
        await call()
    after, _ = tracemalloc.get_traced_memory()
    assert after - before < KEPT_BYTES_MAX
