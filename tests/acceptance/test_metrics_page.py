"""/metrics, of a service with several workers and of one that was told not to."""

import asyncio
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from acceptance.conftest import create_campaign
from conftest import ServiceStarter
from support import plain
from support.metrics import figures
from support.refusals import call, refusal
from support.service import Service, eventually

from coupon_service.gen.coupon.v1 import coupon_pb as pb

CLAIMS = 40
ISSUED = "coupon_coupons_issued_total"
FOLDERS = "coupon-service-metrics-*"
CONNECTION = {"connection": "close"}


def page(service: Service) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Ask a worker, each time any of them, for the figures of all."""
    return figures(httpx.get(f"{service.url}/metrics", headers=CONNECTION).content)


async def claim(service: Service, campaign_id: str, *users: str) -> None:
    await asyncio.gather(
        *(
            call(
                service.url,
                "connect-binary",
                pb.IssueCouponRequest(campaign_id=campaign_id, user_id=user),
            )
            for user in users
        )
    )


@pytest.mark.parametrize("server", ["uvicorn", "pyvoy"])
async def test_every_worker_shows_what_all_have_counted(
    start_service: ServiceStarter, database_url: str, server: str
) -> None:
    service = start_service("--workers", "3", "--server", server, database_url=database_url)
    campaign_id = await create_campaign(service.url, limit=CLAIMS)
    await claim(service, campaign_id, *[f"user {number}" for number in range(CLAIMS)])
    await claim(service, campaign_id, "user 1")  # has one, so nothing is issued
    for protocol in ("connect-json", "grpc-web"):
        await refusal(service.url, protocol, pb.IssueCouponRequest(campaign_id=campaign_id))
    want = {("ok", ""): CLAIMS + 1, ("resource_exhausted", "SOLD_OUT"): 2}

    def calls() -> dict[tuple[str, str], float]:
        return {
            (dict(labels)["code"], dict(labels)["reason"]): value
            for (name, labels), value in page(service).items()
            if name == "coupon_rpcs_total" and ("method", "IssueCoupon") in labels
        }

    eventually(lambda: calls() == want)
    pages = [page(service) for _ in range(10)]
    assert {each[ISSUED, ()] for each in pages} == {CLAIMS}
    assert {each["coupon_claims_waiting", ()] for each in pages} == {0}
    groups = pages[0]["coupon_claims_per_transaction_count", ()]
    assert 1 <= groups <= pages[0]["coupon_claims_per_transaction_sum", ()]


async def test_the_page_names_nobody_and_no_campaign(
    start_service: ServiceStarter, database_url: str
) -> None:
    service = start_service("--workers", "1", database_url=database_url)
    campaign_id = await create_campaign(service.url)
    await claim(service, campaign_id, "alice")
    await plain.post(f"{service.url}/coupon.v1.CouponService/Nonsense", {})
    answer = await plain.get(f"{service.url}/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert answer.headers["cache-control"] == "no-store"
    assert [x for x in (campaign_id, "alice", "Nonsense") if x in answer.text] == []
    assert page(service)[ISSUED, ()] == 1


async def test_what_a_killed_worker_counted_stays(
    start_service: ServiceStarter, database_url: str
) -> None:
    service = start_service("--workers", "1", database_url=database_url)
    campaign_id = await create_campaign(service.url)
    await claim(service, campaign_id, "alice", "bob")
    assert page(service)[ISSUED, ()] == 2
    [pid] = service.worker_pids()
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: service.worker_pids() not in ([pid], []))
    eventually(lambda: answers(service))
    await claim(service, campaign_id, "carol")
    got = page(service)
    assert (got[ISSUED, ()], got["coupon_build_info", (("version", "0.1.0"),)]) == (3, 1)


def answers(service: Service) -> bool:
    try:
        return httpx.get(f"{service.url}/readyz").status_code == 200
    except httpx.HTTPError:
        return False


@pytest.fixture
def temporary_files() -> Iterator[Path]:
    """A folder for the service's temporary files, with a short name: sockets are in it too."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def test_what_the_workers_count_in_is_private_and_removed_in_the_end(
    start_service: ServiceStarter, database_url: str, temporary_files: Path
) -> None:
    variables = {"TMPDIR": str(temporary_files)}
    service = start_service("--workers", "2", database_url=database_url, variables=variables)
    [folder] = temporary_files.glob(FOLDERS)
    mode = folder.stat().st_mode & 0o777
    assert (mode, service.stop(), folder.exists()) == (0o700, 0, False)


def test_where_metrics_are_off_there_is_no_page_and_nothing_is_counted(
    start_service: ServiceStarter, database_url: str, temporary_files: Path
) -> None:
    service = start_service(
        *("--workers", "1"),
        database_url=database_url,
        metrics="false",
        variables={"TMPDIR": str(temporary_files)},
    )
    answer = httpx.get(f"{service.url}/metrics")
    assert (answer.status_code, answer.json()["code"]) == (404, "unimplemented")
    assert list(temporary_files.glob(FOLDERS)) == []
