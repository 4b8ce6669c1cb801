"""The yardsticks of the benchmarks answer as what they stand for would."""

import asyncio
import contextlib
import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest
from acceptance.conftest import CampaignCreator
from support.callers import ISSUED, Answer, claim_from_processes, outcomes
from support.refusals import PROTOCOLS, Refusal, call, refusals
from support.service import Service
from support.stored import assert_all_acknowledged_are_stored, assert_sound, stored

from bench.stand import EMPTY, NOT_STARTED, PLAIN, SOLD_OUT, Stand
from coupon_service.gen.coupon.v1 import coupon_pb as pb

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def stand(shared_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """A stand on the database of the shared service."""
    with contextlib.chdir(ROOT):  # where `python -m bench` finds itself
        yield Stand(tmp_path_factory.mktemp("stand"), shared_url)


async def test_the_empty_rpc_answers_like_a_real_one_and_stores_nothing(
    stand: Stand,
    shared_service: Service,
    create_shared: CampaignCreator,
    sql: asyncpg.Connection,
) -> None:
    campaign_id = await create_shared()
    request = pb.IssueCouponRequest(campaign_id=campaign_id)
    with stand.server(EMPTY) as server:
        answers = [await call(server.url, protocol, request) for protocol in PROTOCOLS]
    found = await stored(sql, campaign_id)
    assert (found.issued_count, found.codes) == (0, [])

    real = await call(shared_service.url, "connect-binary", request)
    assert isinstance(real, pb.IssueCouponResponse)
    for answer in answers:
        assert isinstance(answer, pb.IssueCouponResponse)
        assert answer == answers[0]
        assert fields_set(answer) == fields_set(real)
        assert len(answer.to_binary()) == pytest.approx(len(real.to_binary()), rel=0.2)


def fields_set(answer: pb.IssueCouponResponse) -> set[str]:
    """Return which fields of the coupon an answer says."""
    coupon: dict[str, object] = json.loads(answer.to_json())["coupon"]
    return set(coupon)


async def test_the_sold_out_rpc_refuses_as_the_service_does_when_it_is_sold_out(
    stand: Stand, shared_service: Service, create_shared: CampaignCreator
) -> None:
    request = pb.IssueCouponRequest(campaign_id=await create_shared(limit=1))
    await call(shared_service.url, "connect-binary", request)
    with stand.server(SOLD_OUT) as server:
        refused = await refusals(server.url, request)
    assert refused == await refusals(shared_service.url, request)
    assert {each.reason for each in refused[1]} == {"SOLD_OUT"}


async def test_the_not_started_rpc_refuses_like_the_service_before_the_start(
    stand: Stand, shared_service: Service, create_shared: CampaignCreator
) -> None:
    in_a_day = datetime.now(UTC) + timedelta(days=1)
    request = pb.IssueCouponRequest(campaign_id=await create_shared(start=in_a_day))
    with stand.server(NOT_STARTED) as server:
        status, likeness = await refusals(server.url, request)
    real_status, real = await refusals(shared_service.url, request)
    assert (status, shapes(likeness)) == (real_status, shapes(real))
    assert {each.reason for each in likeness} == {"CAMPAIGN_NOT_STARTED"}


def shapes(each: list[Refusal]) -> list[object]:
    """Return refusals without their times."""
    return [(one.summary, one.message, sorted(one.metadata)) for one in each]


async def test_the_plain_issuer_issues_exactly_100_coupons_to_300_racing_callers(
    stand: Stand, create_shared: CampaignCreator, sql: asyncpg.Connection
) -> None:
    campaign_id = await create_shared(limit=100)
    with stand.server(PLAIN, workers=2) as server:
        answers = await _race(server.url, campaign_id, [f"user {i}" for i in range(300)])
    assert outcomes(answers) == {ISSUED: 100, "SOLD_OUT": 200}
    found = await stored(sql, campaign_id)
    assert found.issued_count == 100
    assert_sound(found)
    assert_all_acknowledged_are_stored(found, answers)


async def _race(url: str, campaign_id: str, user_ids: list[str]) -> list[Answer]:
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201 # to repeat a failing order of calls
    return await asyncio.to_thread(
        claim_from_processes, url, campaign_id, user_ids, processes=2, seed=seed
    )
