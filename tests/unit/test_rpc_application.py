"""A claim in line is watched by nobody where the server can be asked about its caller."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn, cast
from uuid import UUID

import pytest
from connectrpc.code import Code
from connectrpc.errors import ConnectError
from connectrpc.interceptor import Interceptor
from connectrpc.request import RequestContext
from support.asgi import Call
from support.refusals import of_grpc_web, of_json
from support.wire import GRPC_WEB, Answer

from coupon_service import error_border, rpc_application
from coupon_service.callers import never
from coupon_service.codecs import codecs
from coupon_service.domain import Claim, Issued, NewCampaign, Sighting
from coupon_service.error_border import ErrorBorder
from coupon_service.errors import (
    CampaignNotFound,
    CampaignNotStarted,
    CampaignSoldOut,
    FieldViolation,
    InvalidRequest,
    OutcomeUnknown,
    Overloaded,
    Unauthenticated,
)
from coupon_service.gen.coupon.v1.coupon_connect import CouponServiceASGIApplication
from coupon_service.gen.google.rpc.error_details_pb import ErrorInfo
from coupon_service.http_replies import NO_STORE
from coupon_service.issuing import Issuer
from coupon_service.rpc import CouponRpcs
from coupon_service.rpc_application import CouponRpcApplication
from coupon_service.rpc_errors import connect_error
from coupon_service.store import Store

CALLS = 20
START_TIME = datetime(2030, 1, 1, 12, tzinfo=UTC)
CAMPAIGN = json.dumps({"campaignId": str(UUID(int=1))}).encode()
NEW_CAMPAIGN = b'{"name":"x","couponLimit":1,"startTime":"2020-01-01T00:00:00Z"}'
BODIES = {"IssueCoupon": CAMPAIGN, "GetCampaign": CAMPAIGN, "CreateCampaign": NEW_CAMPAIGN}


class Slow:
    """An issuer and a store whose answers are long in coming, and then are refusals."""

    def __init__(self) -> None:
        self.asked: list[Callable[[], bool]] = []
        self.cancelled_count = 0
        self.refusal: Exception = CampaignNotFound()
        self.answer = asyncio.Event()

    async def issue(self, _claim: Claim, is_gone: Callable[[], bool] = never) -> Issued:
        await self._wait(is_gone)

    async def campaign(self, _campaign_id: UUID) -> Sighting | None:
        await self._wait()

    async def create_campaign(self, _new: NewCampaign) -> Sighting:
        await self._wait()

    async def _wait(self, is_gone: Callable[[], bool] = never) -> NoReturn:
        self.asked.append(is_gone)
        try:
            await self.answer.wait()
        except asyncio.CancelledError:
            self.cancelled_count += 1
            raise
        raise self.refusal


@pytest.fixture
async def slow() -> Slow:
    return Slow()


@pytest.fixture
async def application(slow: Slow) -> CouponRpcApplication:
    rpcs = CouponRpcs(cast("Store", slow), cast("Issuer", slow))
    return CouponRpcApplication(rpcs, interceptors=[ErrorBorder()], codecs=codecs())


async def begin(
    application: CouponRpcApplication, slow: Slow, rpc: str, *, count: int = 1, offers: bool
) -> tuple[list[Call], list["asyncio.Task[None]"]]:
    """Make calls that wait for their answers."""
    calls = [Call(rpc, BODIES[rpc], offers) for _ in range(count)]
    tasks = [asyncio.create_task(call.make(application)) for call in calls]
    async with asyncio.timeout(10):
        while len(slow.asked) < count:
            await asyncio.sleep(0)
    for _ in range(10):  # whatever starts beside them has started then
        await asyncio.sleep(0)
    return calls, tasks


@pytest.mark.parametrize(("offers", "tasks_of_a_call"), [(True, 1), (False, 2)])
async def test_a_claim_that_waits_is_one_task_where_the_server_can_be_asked_about_its_caller(
    application: CouponRpcApplication, slow: Slow, *, offers: bool, tasks_of_a_call: int
) -> None:
    before = asyncio.all_tasks()
    calls, tasks = await begin(application, slow, "IssueCoupon", count=CALLS, offers=offers)
    assert len(asyncio.all_tasks() - before) == CALLS * tasks_of_a_call
    slow.answer.set()
    await asyncio.gather(*tasks)
    assert [call.status for call in calls] == [404] * CALLS


async def test_each_claim_is_told_how_to_ask_about_its_own_caller(
    application: CouponRpcApplication, slow: Slow
) -> None:
    calls, tasks = await begin(application, slow, "IssueCoupon", count=3, offers=True)
    calls[1].lose()
    assert [is_gone() for is_gone in slow.asked] == [False, True, False]
    slow.answer.set()
    await asyncio.gather(*tasks)


async def test_a_claim_is_not_cut_off_where_the_server_can_be_asked_about_its_caller(
    application: CouponRpcApplication, slow: Slow
) -> None:
    (call,), (task,) = await begin(application, slow, "IssueCoupon", offers=True)
    call.lose()
    for _ in range(10):
        await asyncio.sleep(0)
    assert (task.done(), slow.cancelled_count) == (False, 0)
    slow.answer.set()
    await task


async def test_a_claim_is_cut_off_when_its_caller_goes_where_the_server_cannot_be_asked(
    application: CouponRpcApplication, slow: Slow
) -> None:
    (call,), (task,) = await begin(application, slow, "IssueCoupon", offers=False)
    assert slow.asked == [never]
    call.lose()
    async with asyncio.timeout(10):
        await task
    assert slow.cancelled_count == 1


@pytest.mark.parametrize(("rpc", "cancelled_count"), [("GetCampaign", 1), ("CreateCampaign", 0)])
@pytest.mark.parametrize("offers", [True, False])
async def test_every_other_call_ends_when_its_caller_goes(
    application: CouponRpcApplication, slow: Slow, rpc: str, cancelled_count: int, *, offers: bool
) -> None:
    (call,), (task,) = await begin(application, slow, rpc, offers=offers)
    call.lose()
    async with asyncio.timeout(10):
        await task
    # What creates a campaign goes on behind it.
    assert slow.cancelled_count == cancelled_count


@pytest.mark.parametrize(
    "refusal",
    [
        CampaignNotFound(),
        CampaignSoldOut(),
        CampaignNotStarted(start_time=START_TIME, time_left=timedelta(seconds=1.5)),
        InvalidRequest(FieldViolation(field="campaign_id", description="No.")),
        Overloaded(),
        OutcomeUnknown(),
        RuntimeError("inside"),
        TimeoutError(),
    ],
    ids=lambda refusal: type(refusal).__name__,
)
async def test_an_error_is_answered_as_the_library_would_however_often(
    slow: Slow, refusal: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = connect_error(refusal)  # once, because the time to wait is drawn
    monkeypatch.setattr(error_border, "connect_error", lambda *_, **__: error)
    slow.refusal = refusal
    slow.answer.set()
    answers = []
    for made in (CouponServiceASGIApplication, *[CouponRpcApplication] * 3):
        rpcs = CouponRpcs(cast("Store", slow), cast("Issuer", slow))
        application = made(rpcs, interceptors=[ErrorBorder()], codecs=codecs())
        call = Call("IssueCoupon", BODIES["IssueCoupon"], offers=True)
        await call.make(application)
        answers.append(call.sent)
    answers[0][0]["headers"].append(NO_STORE)
    assert answers[1:] == answers[:1] * 3
    assert answers[0][0]["status"] >= 400


class HeaderSetter:
    """An interceptor that has something to say with every answer, and perhaps refuses."""

    def __init__(self, refusal: Exception | None) -> None:
        self._refusal = refusal

    async def on_start(self, ctx: RequestContext[Any, Any]) -> None:
        ctx.response_headers["x-said"] = "before"
        ctx.response_trailers["x-said"] = "after"
        if self._refusal is not None:
            raise self._refusal

    async def on_end(self, *_: object) -> None:
        pass


@pytest.mark.parametrize("refusal", [None, Unauthenticated()])
async def test_an_error_is_answered_with_the_headers_that_interceptors_set(
    slow: Slow, refusal: Exception | None
) -> None:
    slow.answer.set()
    rpcs = CouponRpcs(cast("Store", slow), cast("Issuer", slow))
    interceptors: list[Interceptor] = [ErrorBorder(), HeaderSetter(refusal)]
    application = CouponRpcApplication(rpcs, interceptors=interceptors, codecs=codecs())
    call = Call("IssueCoupon", CAMPAIGN, offers=True)
    await call.make(application)
    assert call.sent[0]["headers"] == [
        (b"content-type", b"application/json"),
        NO_STORE,
        (b"x-said", b"before"),
        (b"trailer-x-said", b"after"),
    ]
    assert call.status == (404 if refusal is None else 401)


async def test_an_error_of_a_head_that_cannot_be_read_has_the_form_of_ours(
    application: CouponRpcApplication,
) -> None:
    call = Call("IssueCoupon", CAMPAIGN, offers=True)
    call.headers.append((b"connect-timeout-ms", b"soon"))
    await call.make(application)
    got = of_json(call.sent[1]["body"])
    assert (call.status, got.reason, got.fields) == (
        400,
        "INVALID_REQUEST",
        ("connect-timeout-ms",),
    )


class SpeaksKorean:
    """An interceptor that refuses in words that no header can hold."""

    async def on_start(self, _ctx: RequestContext[Any, Any]) -> None:
        raise ConnectError(Code.PERMISSION_DENIED, "안 돼요: 100%\r\n", [ErrorInfo(reason="한글")])

    async def on_end(self, *_: object) -> None:
        pass


async def test_a_grpc_status_in_any_words_is_percent_encoded(slow: Slow) -> None:
    rpcs = CouponRpcs(cast("Store", slow), cast("Issuer", slow))
    interceptors: list[Interceptor] = [ErrorBorder(), SpeaksKorean()]
    application = CouponRpcApplication(rpcs, interceptors=interceptors, codecs=codecs())
    call = Call("IssueCoupon", b"", offers=True, headers=[*GRPC_WEB])
    await call.make(application)
    body = b"".join(each["body"] for each in call.sent[1:])
    assert body[5:].isascii()
    got = of_grpc_web(Answer(status=call.status, headers={}, body=body))
    assert (got.code, got.message, got.reason) == ("7", "안 돼요: 100%\r\n", "한글")
    encoded = "%EC%95%88%20%EB%8F%BC%EC%9A%94%3A%20100%25%0D%0A"
    assert f"grpc-message: {encoded}\r\n".encode() in body


@pytest.mark.parametrize(
    ("kind", "query", "speaks_json"),
    [
        (b"application/json", b"", True),
        (b"Application/JSON; charset=utf-8", b"", True),
        (b"application/grpc-web+json", b"", True),
        (b"application/proto; x=json", b"", False),
        (b"application/proto", b"", False),
        (None, b"encoding=json&message=%7B%7D", True),
        (None, b"encoding=proto&x=encoding=json", False),
        (None, b"", False),
    ],
)
def test_the_format_is_the_one_that_the_library_reads(
    kind: bytes | None, query: bytes, *, speaks_json: bool
) -> None:
    scope = {"method": "GET" if kind is None else "POST", "query_string": query}
    assert rpc_application._speaks_json(scope, kind or b"") is speaks_json


async def test_of_two_content_types_the_first_decides_as_in_the_library(
    application: CouponRpcApplication,
) -> None:
    both = [(b"content-type", b"application/grpc"), (b"content-type", b"application/json")]
    call = Call("GetCampaign", CAMPAIGN, offers=False, headers=both)
    await call.make(application)
    headers = dict(call.sent[0]["headers"])
    assert (call.status, headers[b"grpc-status"]) == (200, b"12")


async def test_an_answer_over_grpc_web_may_not_be_kept_either(
    application: CouponRpcApplication, slow: Slow
) -> None:
    slow.answer.set()
    body = b"\0" + len(CAMPAIGN).to_bytes(4, "big") + CAMPAIGN
    headers = [(b"content-type", b"application/grpc-web+json")]
    call = Call("GetCampaign", body, offers=False, headers=headers)
    await call.make(application)
    assert NO_STORE in call.sent[0]["headers"]
