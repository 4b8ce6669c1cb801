"""An application host whose clock is wrong changes nothing: the database's clock decides."""

import asyncio
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import httpx
import pytest
from support.callers import ISSUED, Answer, claim, connect, outcomes
from support.service import environment, eventually

from coupon_service.domain import Campaign

Create = Callable[..., Awaitable[Campaign]]
HOUR = 3600


@contextmanager
def _service_with_wrong_clock(database_url: str, seconds: int) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        application = "loadtest.faults.wrong_clock:create_app"
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "uvicorn", "--factory", application),
                *("--fd", str(listener.fileno())),
            ],
            env=environment(database_url=database_url)
            | {
                "WRONG_BY_SECONDS": str(seconds),
                "PYTHONPATH": str(Path(__file__).parents[2]),
            },
            pass_fds=[listener.fileno()],
        )
        url = f"http://127.0.0.1:{port}"
        try:
            eventually(lambda: _is_ready(url))
            yield url
        finally:
            process.terminate()
            process.wait(30)


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.parametrize("wrong_by", [HOUR, -HOUR])
async def test_a_clock_that_is_an_hour_wrong_changes_nothing(
    wrong_by: int, create: Create, database_url: str
) -> None:
    now = datetime.now(UTC)
    starts_soon = await create(start_time=now + timedelta(minutes=30))
    started = await create(start_time=now - timedelta(minutes=30))
    ends_late = await create(end_time=now + timedelta(minutes=30))
    ended = await create(end_time=now - timedelta(minutes=30))

    with _service_with_wrong_clock(database_url, wrong_by) as url:
        async with connect(url) as client:
            told: dict[UUID, list[Answer]] = {}
            for campaign in (starts_soon, started, ends_late, ended):
                for _ in range(3):  # first the database's answer, then the gate's
                    answer = await claim(client, str(campaign.campaign_id))
                    told.setdefault(campaign.campaign_id, []).append(answer)
            opening = await create(start_time=datetime.now(UTC) + timedelta(seconds=2))
            answers = [await claim(client, str(opening.campaign_id))]
            while answers[-1].outcome != ISSUED:
                await asyncio.sleep(0.01)
                answers.append(await claim(client, str(opening.campaign_id)))

    assert outcomes(told[starts_soon.campaign_id]) == {"CAMPAIGN_NOT_STARTED": 3}
    assert outcomes(told[started.campaign_id]) == {ISSUED: 3}
    assert outcomes(told[ends_late.campaign_id]) == {ISSUED: 3}
    assert outcomes(told[ended.campaign_id]) == {"CAMPAIGN_ENDED": 3}
    for answer in told[starts_soon.campaign_id]:
        assert answer.retry_seconds is not None
        assert 25 * 60 < answer.retry_seconds <= 31 * 60
    start = opening.start_time.timestamp()
    assert answers[-1].issue_time >= start
    refused = answers[:-1]
    assert outcomes(refused) == {"CAMPAIGN_NOT_STARTED": len(refused)}
    assert [a for a in refused if a.sent_at > start] == []
