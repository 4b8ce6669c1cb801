"""The three RPCs, over every protocol that the service speaks."""

import asyncio
import json
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from acceptance.conftest import LONG_AGO, CampaignCreator
from protobuf.wkt.google.protobuf.timestamp_pb import Timestamp
from support import plain
from support.refusals import PROTOCOLS, call, client
from support.service import Service

from coupon_service.gen.coupon.v1 import coupon_pb as pb

BUF = str(Path(sys.executable).with_name("buf"))
PROTO_DIR = Path(__file__).parents[2] / "proto"
CODE_SYMBOLS = set(
    "가나다라마바아자거너더러머버서어저고노도로모보소조누두루무부수우주하허호23456789"
)


def new_campaign(**fields: Any) -> pb.CreateCampaignRequest:  # noqa: ANN401 # the message's
    values: dict[str, Any] = {
        "name": "test",
        "coupon_limit": 3,
        "start_time": Timestamp.from_datetime(LONG_AGO),
    }
    return pb.CreateCampaignRequest(**values | fields)


async def created(url: str, **fields: Any) -> pb.Campaign:  # noqa: ANN401 # the message's
    async with client(url, "connect-binary") as calls:
        answer = await calls.create_campaign(new_campaign(**fields))
    assert answer.campaign is not None
    return answer.campaign


async def issued(
    url: str, campaign_id: str, user_id: str = "", *, protocol: str = "connect-binary"
) -> tuple[pb.Coupon, bool]:
    async with client(url, protocol) as calls:
        answer = await calls.issue_coupon(
            pb.IssueCouponRequest(campaign_id=campaign_id, user_id=user_id)
        )
    assert answer.coupon is not None
    return answer.coupon, answer.already_issued


async def shown(
    url: str, campaign_id: str, view: pb.CampaignView = pb.CampaignView.UNSPECIFIED
) -> pb.GetCampaignResponse:
    async with client(url, "connect-binary") as calls:
        return await calls.get_campaign(pb.GetCampaignRequest(campaign_id=campaign_id, view=view))


def instant(timestamp: Timestamp | None) -> datetime:
    assert timestamp is not None
    return timestamp.to_datetime()


# CreateCampaign ----------------------------------------------------------------------


async def test_a_campaign_is_created_as_it_was_asked_for(
    shared_service: Service, sql: asyncpg.Connection
) -> None:
    start = datetime(2030, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    before = await sql.fetchval("SELECT clock_timestamp()")
    campaign = await created(
        shared_service.url,
        name="런치 나이트",
        coupon_limit=10_000_000,
        start_time=Timestamp.from_datetime(start),
        end_time=Timestamp.from_datetime(start + timedelta(microseconds=1)),
    )
    after = await sql.fetchval("SELECT clock_timestamp()")
    assert str(UUID(campaign.campaign_id)) == campaign.campaign_id
    assert (campaign.name, campaign.coupon_limit, campaign.issued_count) == (
        "런치 나이트",
        10_000_000,
        0,
    )
    assert instant(campaign.start_time) == start
    assert instant(campaign.end_time) == start + timedelta(microseconds=1)
    assert before <= instant(campaign.create_time) <= after
    assert campaign.state is pb.CampaignState.SCHEDULED


async def test_a_start_in_the_past_opens_the_campaign_at_once(shared_service: Service) -> None:
    campaign = await created(shared_service.url)
    assert (campaign.state, campaign.end_time) == (pb.CampaignState.ACTIVE, None)
    coupon, _ = await issued(shared_service.url, campaign.campaign_id)
    assert coupon.sequence == 1


async def test_times_are_rounded_up_to_microseconds(shared_service: Service) -> None:
    campaign = await created(
        shared_service.url,
        start_time=Timestamp(seconds=1_900_000_000, nanos=1),
        end_time=Timestamp(seconds=1_900_000_000, nanos=999_999_001),
    )
    assert campaign.start_time == Timestamp(seconds=1_900_000_000, nanos=1000)
    assert campaign.end_time == Timestamp(seconds=1_900_000_001)


async def test_the_same_request_id_is_the_same_campaign(
    shared_service: Service, sql: asyncpg.Connection
) -> None:
    request_id = str(uuid4())
    first = await created(shared_service.url, request_id=request_id)
    again = await created(shared_service.url, request_id=request_id, name="another", coupon_limit=9)
    assert again == first
    stored = await sql.fetchval("SELECT count(*) FROM campaign WHERE request_id = $1", request_id)
    assert stored == 1


async def test_20_racing_calls_with_one_request_id_create_one_campaign(
    shared_service: Service, sql: asyncpg.Connection
) -> None:
    request_id = str(uuid4())
    racing = [created(shared_service.url, request_id=request_id) for _ in range(20)]
    campaigns = await asyncio.gather(*racing)
    stored = await sql.fetchval("SELECT count(*) FROM campaign WHERE request_id = $1", request_id)
    assert (len({each.campaign_id for each in campaigns}), stored) == (1, 1)


async def test_without_a_request_id_every_call_creates_a_campaign(shared_service: Service) -> None:
    campaigns = [await created(shared_service.url) for _ in range(2)]
    assert len({each.campaign_id for each in campaigns}) == 2


# GetCampaign -------------------------------------------------------------------------


@pytest.mark.parametrize("view", [pb.CampaignView.UNSPECIFIED, pb.CampaignView.FULL])
async def test_the_full_view_has_every_code_in_order_of_issue(
    shared_service: Service, create_shared: CampaignCreator, view: pb.CampaignView
) -> None:
    campaign_id = await create_shared(limit=5)
    coupons = [(await issued(shared_service.url, campaign_id))[0] for _ in range(4)]
    answer = await shown(shared_service.url, campaign_id, view)
    assert answer.campaign is not None
    assert list(answer.coupon_codes) == [coupon.code for coupon in coupons]
    assert [coupon.sequence for coupon in coupons] == [1, 2, 3, 4]
    assert (answer.campaign.issued_count, answer.campaign.state) == (4, pb.CampaignState.ACTIVE)


async def test_the_basic_view_has_the_count_and_no_codes(
    shared_service: Service, create_shared: CampaignCreator
) -> None:
    campaign_id = await create_shared(limit=1)
    await issued(shared_service.url, campaign_id)
    answer = await shown(shared_service.url, campaign_id, pb.CampaignView.BASIC)
    assert answer.campaign is not None
    assert list(answer.coupon_codes) == []
    assert (answer.campaign.issued_count, answer.campaign.state) == (1, pb.CampaignState.SOLD_OUT)


async def test_a_campaign_can_be_read_by_http_get(
    shared_service: Service, create_shared: CampaignCreator
) -> None:
    campaign_id = await create_shared()
    coupon, _ = await issued(shared_service.url, campaign_id)
    request = pb.GetCampaignRequest(campaign_id=campaign_id)
    answers = []
    for protocol in ("connect-json", "connect-binary"):
        async with client(shared_service.url, protocol) as calls:
            answers.append(await calls.get_campaign(request, use_get=True))
    by_hand = await plain.get(
        f"{shared_service.url}/coupon.v1.CouponService/GetCampaign",
        {"encoding": "json", "message": request.to_json()},
    )
    assert [list(answer.coupon_codes) for answer in answers] == [[coupon.code]] * 2
    assert (by_hand.status_code, by_hand.json()["couponCodes"]) == (200, [coupon.code])


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ("end_time = now()", pb.CampaignState.ENDED),
        ("pause_time = now()", pb.CampaignState.PAUSED),
        ("start_time = now() + interval '1 hour'", pb.CampaignState.SCHEDULED),
        ("issued_count = coupon_limit", pb.CampaignState.SOLD_OUT),
        ("pause_time = now(), issued_count = coupon_limit", pb.CampaignState.SOLD_OUT),
        ("end_time = now(), issued_count = coupon_limit", pb.CampaignState.ENDED),
        ("pause_time = now(), start_time = now() + interval '1 hour'", pb.CampaignState.PAUSED),
    ],
)
async def test_the_state_follows_the_database(
    shared_service: Service,
    create_shared: CampaignCreator,
    sql: asyncpg.Connection,
    change: str,
    state: pb.CampaignState,
) -> None:
    campaign_id = await create_shared()
    await sql.execute(f"UPDATE campaign SET {change} WHERE campaign_id = $1", campaign_id)
    answer = await shown(shared_service.url, campaign_id, pb.CampaignView.BASIC)
    assert answer.campaign is not None
    assert answer.campaign.state is state


async def test_the_json_of_an_answer_has_the_contracts_names(
    shared_service: Service, create_shared: CampaignCreator
) -> None:
    campaign_id = await create_shared(
        limit=2, end_time=Timestamp.from_datetime(datetime(2100, 1, 1, tzinfo=UTC))
    )
    rpcs = f"{shared_service.url}/coupon.v1.CouponService"
    claim = {"campaignId": campaign_id, "userId": "alice"}
    first, second = [(await plain.post(f"{rpcs}/IssueCoupon", claim)).json() for _ in "12"]
    answer = (await plain.post(f"{rpcs}/GetCampaign", {"campaign_id": campaign_id})).json()
    assert set(first) == {"coupon"}, "false is left out"
    assert set(second) == {"coupon", "alreadyIssued"}
    assert set(first["coupon"]) == {"code", "campaignId", "sequence", "userId", "issueTime"}
    assert set(answer) == {"campaign", "couponCodes"}
    assert set(answer["campaign"]) == {
        *("campaignId", "name", "couponLimit", "issuedCount"),
        *("startTime", "endTime", "state", "createTime"),
    }
    assert answer["campaign"]["state"] == "CAMPAIGN_STATE_ACTIVE"
    assert answer["campaign"]["startTime"] == "2020-01-01T00:00:00Z"


# IssueCoupon -------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_an_anonymous_claim_is_a_new_one_each_time(
    shared_service: Service,
    create_shared: CampaignCreator,
    sql: asyncpg.Connection,
    protocol: str,
) -> None:
    campaign_id = await create_shared(limit=2)
    before = await sql.fetchval("SELECT clock_timestamp()")
    answers = [await issued(shared_service.url, campaign_id, protocol=protocol) for _ in range(2)]
    after = await sql.fetchval("SELECT clock_timestamp()")
    assert [(c.sequence, c.user_id, again) for c, again in answers] == [
        (1, "", False),
        (2, "", False),
    ]
    times = [instant(coupon.issue_time) for coupon, _ in answers]
    assert before <= times[0] <= times[1] <= after
    rows = await sql.fetch(
        "SELECT code, sequence, user_id, issue_time FROM coupon"
        " WHERE campaign_id = $1 ORDER BY sequence",
        campaign_id,
    )
    assert [tuple(row) for row in rows] == [
        (coupon.code, coupon.sequence, None, instant(coupon.issue_time)) for coupon, _ in answers
    ]


async def test_a_code_has_the_form_of_the_contract(
    shared_service: Service, create_shared: CampaignCreator
) -> None:
    campaign_id = await create_shared(limit=20)
    codes = [(await issued(shared_service.url, campaign_id))[0].code for _ in range(20)]
    assert [len(code) for code in codes] == [10] * 20
    assert set("".join(codes)) <= CODE_SYMBOLS
    assert all(any(c.isdigit() for c in code) for code in codes)
    assert all(not code.isdigit() for code in codes)
    assert len(set(codes)) == 20


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_user_gets_the_same_coupon_again(
    shared_service: Service, create_shared: CampaignCreator, protocol: str
) -> None:
    campaign_id = await create_shared()
    first, already = await issued(shared_service.url, campaign_id, "앨리스", protocol=protocol)
    again, already_again = await issued(
        shared_service.url, campaign_id, "앨리스", protocol=protocol
    )
    assert (already, already_again) == (False, True)
    assert again == first
    assert first.user_id == "앨리스"


async def test_a_user_gets_a_coupon_of_every_campaign(
    shared_service: Service, create_shared: CampaignCreator
) -> None:
    ids = [await create_shared() for _ in range(2)]
    coupons = [(await issued(shared_service.url, each, "alice"))[0] for each in ids]
    assert [coupon.campaign_id for coupon in coupons] == ids
    assert len({coupon.code for coupon in coupons}) == 2


async def test_after_selling_out_a_user_still_gets_its_coupon(
    shared_service: Service, create_shared: CampaignCreator
) -> None:
    campaign_id = await create_shared(limit=2)
    mine, _ = await issued(shared_service.url, campaign_id, "alice")
    await issued(shared_service.url, campaign_id)
    assert await issued(shared_service.url, campaign_id, "alice") == (mine, True)


@pytest.mark.parametrize("change", ["end_time = now()", "pause_time = now()"])
async def test_after_an_end_or_a_pause_a_user_still_gets_its_coupon(
    shared_service: Service,
    create_shared: CampaignCreator,
    sql: asyncpg.Connection,
    change: str,
) -> None:
    campaign_id = await create_shared()
    mine, _ = await issued(shared_service.url, campaign_id, "alice")
    await sql.execute(f"UPDATE campaign SET {change} WHERE campaign_id = $1", campaign_id)
    assert await issued(shared_service.url, campaign_id, "alice") == (mine, True)


async def test_20_racing_calls_of_one_user_take_one_coupon(
    shared_service: Service, create_shared: CampaignCreator
) -> None:
    campaign_id = await create_shared()
    racing = [issued(shared_service.url, campaign_id, "alice") for _ in range(20)]
    answers = await asyncio.gather(*racing)
    assert Counter(again for _, again in answers) == {True: 19, False: 1}
    assert {(coupon.code, coupon.sequence) for coupon, _ in answers} == {(answers[0][0].code, 1)}


async def test_a_user_id_of_128_characters_is_kept(
    shared_service: Service, create_shared: CampaignCreator
) -> None:
    campaign_id = await create_shared()
    coupon, _ = await issued(shared_service.url, campaign_id, "😀" * 128)
    assert coupon.user_id == "😀" * 128


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_every_rpc_answers_in_every_protocol(
    shared_service: Service, create_shared: CampaignCreator, protocol: str
) -> None:
    campaign_id = await create_shared()
    requests = (
        new_campaign(),
        pb.IssueCouponRequest(campaign_id=campaign_id),
        pb.GetCampaignRequest(campaign_id=campaign_id),
    )
    answers = [type(await call(shared_service.url, protocol, each)) for each in requests]
    assert answers == [pb.CreateCampaignResponse, pb.IssueCouponResponse, pb.GetCampaignResponse]


# Other people's clients --------------------------------------------------------------


@pytest.mark.parametrize("protocol", ["connect", "grpcweb"])
def test_buf_curl_can_call_every_rpc(
    shared_service: Service, protocol: str, tmp_path: Path
) -> None:
    def curl(rpc: str, **fields: object) -> Any:  # noqa: ANN401 # whatever JSON it is
        ended = subprocess.run(
            [
                *(BUF, "curl", "--schema", PROTO_DIR, "--protocol", protocol),
                *("--data", json.dumps(fields)),
                f"{shared_service.url}/coupon.v1.CouponService/{rpc}",
            ],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
        )
        assert (ended.returncode, ended.stderr) == (0, "")
        return json.loads(ended.stdout)

    campaign = curl("CreateCampaign", name="버프", couponLimit=1, startTime="2020-01-01T00:00:00Z")
    campaign_id = campaign["campaign"]["campaignId"]
    coupon = curl("IssueCoupon", campaignId=campaign_id, userId="alice")["coupon"]
    answer = curl("GetCampaign", campaignId=campaign_id)
    assert (answer["campaign"]["name"], answer["campaign"]["issuedCount"]) == ("버프", 1)
    assert answer["couponCodes"] == [coupon["code"]]
