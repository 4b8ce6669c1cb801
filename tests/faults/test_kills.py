"""kill -9 in the middle of a burst: nothing acknowledged is lost, and service goes on by itself."""

import asyncio
import itertools
import os
import random
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import asyncpg
import pytest
from conftest import LONG_AGO
from protobuf.wkt.google.protobuf.timestamp_pb import Timestamp
from support.callers import ISSUED, LOST, Answer, claim, claim_until, connect
from support.databases import data_dir
from support.service import Service, running_service
from support.stored import (
    Stored,
    assert_all_acknowledged_are_stored,
    assert_sound,
    stored,
)

from coupon_service.client import present
from coupon_service.embedded import EmbeddedPostgres
from coupon_service.gen.coupon.v1 import coupon_pb as pb

ROUNDS = 6
LIMIT = 1_000_000
CALLERS = 40
# Enough answers to be in the middle of a burst, and to see that it goes on.
ANSWERS_BEFORE, ANSWERS_AFTER = 150, 150


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with data_dir() as made:
        yield made / "data"


@pytest.fixture(scope="module")
def kept_service(folder: Path) -> Iterator[Service]:
    """One service with its own PostgreSQL for all rounds: it has to survive them."""
    with running_service("--workers", "2", "--data-dir", str(folder)) as service:
        yield service


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    made = random.randrange(2**32)
    print(f"{request.node.name}: seed {made}")  # noqa: T201 # to repeat a failing round
    return made


async def _create(url: str) -> str:
    request = pb.CreateCampaignRequest(
        name="burst", coupon_limit=LIMIT, start_time=Timestamp.from_datetime(LONG_AGO)
    )
    async with connect(url) as client:
        return present((await client.create_campaign(request)).campaign).campaign_id


def _user_ids(chance: random.Random) -> Iterator[str]:
    """Every other call is anonymous; users ask again now and then."""
    for number in itertools.count():
        yield "" if number % 2 else f"user {chance.randrange(number + 1)}"


async def _read(folder: Path, campaign_id: str) -> Stored:
    """Read what is stored, as soon as the database lets us."""
    while True:
        with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            connection = await asyncpg.connect(EmbeddedPostgres(folder).url)
            try:
                return await stored(connection, campaign_id)
            finally:
                connection.terminate()
        await asyncio.sleep(0.05)


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(90):
        while not condition():
            await asyncio.sleep(0.01)


def _issued(answers: list[Answer]) -> int:
    return sum(answer.outcome == ISSUED for answer in answers)


async def _burst(url: str, folder: Path, seed: int, kill: Callable[[random.Random], None]) -> None:
    """Call all the time, kill in the middle, see that it goes on, and hold it to its answers."""
    chance = random.Random(seed)
    campaign_id = await _create(url)
    stop, answers = asyncio.Event(), list[Answer]()
    calling = asyncio.create_task(
        claim_until(
            url, campaign_id, stop, callers=CALLERS, user_ids=_user_ids(chance), into=answers
        )
    )
    await _until(lambda: _issued(answers) >= ANSWERS_BEFORE)
    await asyncio.sleep(chance.random() / 20)
    kill(chance)
    before = _issued(answers)
    await _until(lambda: _issued(answers) >= before + ANSWERS_AFTER)
    stop.set()
    await calling
    await _ask_again(url, campaign_id, answers)
    _assert_kept(await _read(folder, campaign_id), answers)


async def _ask_again(url: str, campaign_id: str, answers: list[Answer]) -> None:
    """Do what a user does whose answer was lost."""
    lost = {answer.user_id for answer in answers if answer.outcome != ISSUED} - {""}
    async with connect(url) as client:
        for user_id in sorted(lost):
            while answers[-1].user_id != user_id or answers[-1].outcome != ISSUED:
                answers.append(await claim(client, campaign_id, user_id))


def _assert_kept(found: Stored, answers: list[Answer]) -> None:
    unanswered = [a for a in answers if a.outcome != ISSUED and not a.user_id]
    acknowledged = {a.code for a in answers if a.outcome == ISSUED}
    anonymous = [a.code for a in answers if a.outcome == ISSUED and not a.user_id]
    assert_sound(found)
    assert_all_acknowledged_are_stored(found, answers)
    assert len(set(anonymous)) == len(anonymous)
    # What is stored beyond the answers was on its way to callers who lost theirs.
    assert len(set(found.codes) - acknowledged) <= len(unanswered)
    assert {a.outcome for a in answers} <= {
        ISSUED,
        "STORAGE_UNAVAILABLE",
        "OUTCOME_UNKNOWN",
        "OVERLOADED",
        *LOST,
    }


@pytest.mark.parametrize("_round", range(ROUNDS))
async def test_a_killed_worker_loses_nothing_and_is_replaced(
    _round: int, kept_service: Service, folder: Path, seed: int
) -> None:
    await _until(lambda: len(kept_service.worker_pids()) == 2)
    killed: list[int] = []

    def kill(chance: random.Random) -> None:
        killed.append(chance.choice(kept_service.worker_pids()))
        os.kill(killed[0], signal.SIGKILL)

    await _burst(kept_service.url, folder, seed, kill)
    await _until(lambda: len({*kept_service.worker_pids()} - {*killed}) == 2)


@pytest.mark.parametrize("_round", range(ROUNDS))
async def test_all_workers_killed_at_once_lose_nothing_and_are_replaced(
    _round: int, kept_service: Service, folder: Path, seed: int
) -> None:
    await _until(lambda: len(kept_service.worker_pids()) == 2)

    def kill(_chance: random.Random) -> None:
        for pid in kept_service.worker_pids():
            os.kill(pid, signal.SIGKILL)

    await _burst(kept_service.url, folder, seed, kill)


@pytest.mark.parametrize("_round", range(ROUNDS))
async def test_a_killed_postgresql_loses_nothing_and_is_started_again(
    _round: int, kept_service: Service, folder: Path, seed: int
) -> None:
    def kill(_chance: random.Random) -> None:
        pid = int((folder / "postgres" / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGKILL)

    await _burst(kept_service.url, folder, seed, kill)


async def test_everything_killed_at_once_loses_nothing_and_is_found_again_by_the_next_start(
    seed: int,
) -> None:
    with data_dir() as made:
        folder = made / "data"
        chance = random.Random(seed)
        answers: list[Answer] = []
        with running_service("--workers", "2", "--data-dir", str(folder)) as service:
            campaign_id = await _create(service.url)
            stop = asyncio.Event()
            calling = asyncio.create_task(
                claim_until(
                    service.url,
                    campaign_id,
                    stop,
                    callers=CALLERS,
                    user_ids=_user_ids(chance),
                    into=answers,
                )
            )
            await _until(lambda: _issued(answers) >= ANSWERS_BEFORE)
            postmaster = int((folder / "postgres" / "postmaster.pid").read_text().split()[0])
            service.kill_everything()
            os.kill(postmaster, signal.SIGKILL)
            stop.set()
            await calling
        with running_service("--workers", "2", "--data-dir", str(folder)) as service:
            await _ask_again(service.url, campaign_id, answers)
            _assert_kept(await _read(folder, campaign_id), answers)
            async with connect(service.url) as client:
                answers.append(await claim(client, campaign_id))
            found = await _read(folder, campaign_id)
    assert answers[-1].outcome == ISSUED
    _assert_kept(found, answers)
