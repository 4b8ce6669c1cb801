"""What is counted, and that the page adds up what several processes have counted."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path

import pytest
from connectrpc.code import Code
from connectrpc.errors import ConnectError
from connectrpc.method import IdempotencyLevel, MethodInfo, StreamType
from connectrpc.request import Headers, RequestContext
from support.metrics import Labels, figures

from coupon_service import errors
from coupon_service.gen.coupon.v1.coupon_pb import IssueCouponRequest, IssueCouponResponse
from coupon_service.metering.metrics import Metrics
from coupon_service.metering.metrics_folder import FOLDER_VARIABLE, metrics_folder
from coupon_service.metering.rpc_counting import CountingBorder

RPCS = "coupon_rpcs_total"


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


async def test_a_call_is_counted_by_method_code_and_reason(metrics: Metrics) -> None:
    for _ in range(3):
        metrics.calls["IssueCoupon", "ok", ""].add(0.001)
    metrics.calls["IssueCoupon", "resource_exhausted", "SOLD_OUT"].add(0.3)
    metrics.calls["GetCampaign", "ok", ""].add(11)
    got = figures(await metrics.page())
    assert {labels: value for (name, labels), value in got.items() if name == RPCS} == {
        (("code", "ok"), ("method", "IssueCoupon"), ("reason", "")): 3,
        (("code", "resource_exhausted"), ("method", "IssueCoupon"), ("reason", "SOLD_OUT")): 1,
        (("code", "ok"), ("method", "GetCampaign"), ("reason", "")): 1,
    }
    name = "coupon_rpc_duration_seconds"
    issuing, getting = [(("method", method),) for method in ("IssueCoupon", "GetCampaign")]
    assert [got[f"{name}_bucket", (("le", le), *issuing)] for le in ("0.001", "0.25", "0.5")] == [
        *(3, 3, 4)
    ]
    assert got[f"{name}_bucket", (("le", "10.0"), *getting)] == 0
    assert [got[f"{name}_count", each] for each in (issuing, getting)] == [4, 1]
    assert got[f"{name}_sum", getting] == 11


async def test_a_transaction_is_counted_once_with_its_claims_and_its_coupons(
    metrics: Metrics,
) -> None:
    metrics.claimed(512, 0.02)
    metrics.issued(500)
    metrics.claimed(1, 0.004)
    got = figures(await metrics.page())
    name = "coupon_claims_per_transaction"
    assert (got[f"{name}_count", ()], got[f"{name}_sum", ()]) == (2, 513)
    assert got[f"{name}_bucket", (("le", "1.0"),)] == 1
    assert got["coupon_claim_transaction_duration_seconds_sum", ()] == 0.024
    assert got["coupon_coupons_issued_total", ()] == 500


async def test_the_page_shows_how_things_stand_at_the_moment(metrics: Metrics) -> None:
    waiting = [7]
    names = "coupon_claims_waiting", "coupon_database_connections_in_use"
    async with metrics.following(
        claims_waiting=lambda: waiting[0], connections_in_use=lambda: waiting[0] + 1
    ):
        got = figures(await metrics.page())
        assert [got[name, ()] for name in names] == [7, 8]
        waiting[0] = 0
    got = figures(await metrics.page())
    assert [got[name, ()] for name in names] == [0, 1]


async def test_what_was_counted_is_shown_once_however_often_one_looks(metrics: Metrics) -> None:
    metrics.issued(5)
    pages = [figures(await metrics.page()) for _ in range(3)]
    assert [page["coupon_coupons_issued_total", ()] for page in pages] == [5] * 3


CALL = RequestContext(
    method=MethodInfo(
        name="IssueCoupon",
        service_name="coupon.v1.CouponService",
        input=IssueCouponRequest,
        output=IssueCouponResponse,
        idempotency_level=IdempotencyLevel.UNKNOWN,
        stream_type=StreamType.UNARY,
    ),
    http_method="POST",
    request_headers=Headers(),
)


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (None, "ok", ""),
        (errors.CampaignSoldOut(), "resource_exhausted", "SOLD_OUT"),
        (errors.StorageUnavailable(), "unavailable", "STORAGE_UNAVAILABLE"),
        # Neither is an outage or an overload of ours, so they are told apart.
        (ConnectError(Code.CANCELED, "gone"), "unavailable", "BROKEN_OFF"),
        (errors.RateLimited(time_left=timedelta(seconds=1)), "unavailable", "RATE_LIMITED"),
        (errors.CallerGone(), "canceled", ""),
        (TimeoutError(), "deadline_exceeded", ""),
        (RuntimeError("inside"), "internal", ""),
    ],
)
async def test_a_call_is_counted_by_what_its_caller_is_answered(
    metrics: Metrics, error: Exception | None, code: str, reason: str
) -> None:
    instants = iter([10.0, 12.5])
    border = CountingBorder(metrics, monotonic=lambda: next(instants))
    began_at = await border.on_start(CALL)
    if error is None:
        await border.on_end(began_at, CALL, error)
    else:
        with pytest.raises(ConnectError) as raised:
            await border.on_end(began_at, CALL, error)
        assert raised.value.code.value == code
    got = figures(await metrics.page())
    labels = (("code", code), ("method", "IssueCoupon"), ("reason", reason))
    assert got[RPCS, labels] == 1
    assert got["coupon_rpc_duration_seconds_sum", (("method", "IssueCoupon"),)] == 2.5


# Several processes -------------------------------------------------------------------

# Counts, waits for a word, and shows the page.
PROCESS = """
import asyncio, sys
from coupon_service.metering.metrics import Metrics
metrics = Metrics()
async def run():
    async with metrics.following(claims_waiting=lambda: 3, connections_in_use=lambda: 1):
        metrics.issued(10)
        metrics.calls["IssueCoupon", "ok", ""].add(0.1)
        metrics.flush()
        print("counted", flush=True)
        sys.stdin.readline()
        sys.stdout.buffer.write(await metrics.page())
        sys.stdout.flush()
asyncio.run(run())
"""


@contextmanager
def started(folder: Path) -> Iterator["subprocess.Popen[str]"]:
    """Have a process that has counted until this is left."""
    with subprocess.Popen(
        [sys.executable, "-c", PROCESS],
        env=os.environ | {FOLDER_VARIABLE: str(folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "counted\n"
            yield process
        finally:
            process.kill()


def page_of(process: "subprocess.Popen[str]") -> dict[tuple[str, Labels], float]:
    output, _ = process.communicate("show\n", timeout=30)
    return figures(output.encode())


def test_the_page_adds_up_what_every_process_has_counted(tmp_path: Path) -> None:
    with started(tmp_path), started(tmp_path) as second:
        got = page_of(second)
    assert got["coupon_coupons_issued_total", ()] == 20
    assert got["coupon_rpc_duration_seconds_count", (("method", "IssueCoupon"),)] == 2
    assert got["coupon_claims_waiting", ()] == 6
    assert got["coupon_build_info", (("version", version("coupon-service")),)] == 1


def test_what_a_killed_process_counted_stays_and_what_waited_there_does_not(
    tmp_path: Path,
) -> None:
    with started(tmp_path):
        pass  # it is killed here
    with started(tmp_path) as another:
        got = page_of(another)
    assert (got["coupon_coupons_issued_total", ()], got["coupon_claims_waiting", ()]) == (20, 3)


@pytest.mark.parametrize("wanted", [True, False])
def test_the_folder_is_private_and_there_as_long_as_the_service(
    monkeypatch: pytest.MonkeyPatch, *, wanted: bool
) -> None:
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)
    with metrics_folder(wanted=wanted):
        named = os.environ.get(FOLDER_VARIABLE)
        mode = Path(named).stat().st_mode & 0o777 if named else None
    assert mode == (0o700 if wanted else None)
    assert FOLDER_VARIABLE not in os.environ
    assert named is None or not Path(named).exists()
