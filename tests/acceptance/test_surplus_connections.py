"""More connections than a process may have, on both servers."""

import asyncio
import contextlib
from urllib.parse import urlsplit

import grpc
import pytest
from conftest import ServiceStarter
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from grpc_status import rpc_status
from support.refusals import RETRY_INFO, of_grpc_web, of_json
from support.wire import GRPC_WEB, JSON, Wire, assert_closed, envelope, head, post, wire

SERVERS = ("uvicorn", "pyvoy")
CALL = post("IssueCoupon", b"{}")
SERVED = 400  # it names no campaign
PROBES = ("/healthz", "/readyz", "/metrics")
ENDS_WITHIN_SECONDS = 30
UNAVAILABLE = "14"
SERVING = b"\x08\x01"  # as grpc.health.v1 writes it


@pytest.mark.parametrize("server", SERVERS)
async def test_one_connection_too_many_is_not_served_and_the_others_are(
    start_service: ServiceStarter, database_url: str, server: str
) -> None:
    service = start_service(server=server, database_url=database_url, connections_max=4)
    async with contextlib.AsyncExitStack() as stack:
        within = [await _served(stack, service.url) for _ in range(4)]
        surplus = await stack.enter_async_context(wire(service.url))
        answer = await surplus.ask(CALL)
        got = of_json(answer.body)
        assert (answer.status, got.code, got.reason) == (503, "unavailable", "OVERLOADED")
        assert got.retry_seconds is not None
        assert answer.headers["cache-control"] == "no-store"
        await assert_closed(surplus)
        assert [(await each.ask(CALL)).status for each in within] == [SERVED] * 4
    async with contextlib.AsyncExitStack() as stack:
        await _served(stack, service.url)


async def _served(stack: contextlib.AsyncExitStack, url: str) -> Wire:
    """Connect as soon as there is room, which ended connections leave in a moment."""
    async with asyncio.timeout(ENDS_WITHIN_SECONDS):
        while True:
            caller = await stack.enter_async_context(wire(url))
            if (await caller.ask(CALL)).status == SERVED:
                return caller


@pytest.mark.parametrize("server", SERVERS)
async def test_connections_far_beyond_the_limit_are_closed_at_once(
    start_service: ServiceStarter, database_url: str, server: str
) -> None:
    service = start_service(server=server, database_url=database_url, connections_max=1)
    async with contextlib.AsyncExitStack() as stack:
        await _served(stack, service.url)
        callers = [await stack.enter_async_context(wire(service.url)) for _ in range(120)]
        async with asyncio.timeout(ENDS_WITHIN_SECONDS):
            while not any(each.reader.at_eof() for each in callers):
                await asyncio.sleep(0.02)
        answers = [await each.ask(CALL) for each in callers]
    assert {each.status for each in answers} == {503, 0}


@pytest.mark.parametrize("server", SERVERS)
async def test_one_connection_too_many_is_told_so_over_grpc_web(
    start_service: ServiceStarter, database_url: str, server: str
) -> None:
    service = start_service(server=server, database_url=database_url, connections_max=1)
    async with contextlib.AsyncExitStack() as stack:
        await _served(stack, service.url)
        surplus = await stack.enter_async_context(wire(service.url))
        got = of_grpc_web(await surplus.ask(post("IssueCoupon", envelope(b""), GRPC_WEB)))
        assert (got.code, got.reason) == (UNAVAILABLE, "OVERLOADED")
        assert RETRY_INFO in got.details
        await assert_closed(surplus)


async def test_one_connection_too_many_is_told_so_over_grpc(
    start_service: ServiceStarter, database_url: str
) -> None:
    service = start_service(server="pyvoy", database_url=database_url, connections_max=1)
    async with grpc.aio.insecure_channel(urlsplit(service.url).netloc) as channel:
        issue = channel.unary_unary("/coupon.v1.CouponService/IssueCoupon")
        async with contextlib.AsyncExitStack() as stack:
            await _served(stack, service.url)
            with pytest.raises(grpc.RpcError) as caught:
                await issue(b"", timeout=ENDS_WITHIN_SECONDS)
        status = rpc_status.from_call(caught.value)
        info = ErrorInfo()
        assert status.details[0].Unpack(info)
        assert status.details[1].Is(RetryInfo.DESCRIPTOR)
        assert (caught.value.code(), info.reason) == (grpc.StatusCode.UNAVAILABLE, "OVERLOADED")
        async with asyncio.timeout(ENDS_WITHIN_SECONDS):
            while await _is_overloaded(issue):
                await asyncio.sleep(0.1)


async def _is_overloaded(issue: grpc.aio.UnaryUnaryMultiCallable) -> bool:
    call = issue(b"", timeout=ENDS_WITHIN_SECONDS)
    code = await call.code()
    assert code in {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.UNAVAILABLE}
    return code is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("server", SERVERS)
async def test_probes_are_answered_on_one_connection_too_many(
    start_service: ServiceStarter, database_url: str, server: str
) -> None:
    service = start_service(server=server, database_url=database_url, connections_max=1)
    async with contextlib.AsyncExitStack() as stack:
        await _served(stack, service.url)
        for path in PROBES:
            async with wire(service.url) as surplus:
                assert (await surplus.ask(head(b"GET", path.encode()))).status == 200
                await assert_closed(surplus)
        if server == "pyvoy":
            async with grpc.aio.insecure_channel(urlsplit(service.url).netloc) as channel:
                check = channel.unary_unary("/grpc.health.v1.Health/Check")
                assert await check(b"", timeout=ENDS_WITHIN_SECONDS) == SERVING


async def test_a_caller_cannot_choose_the_number_of_its_connection(
    start_service: ServiceStarter, database_url: str
) -> None:
    service = start_service(server="pyvoy", database_url=database_url, connections_max=1)
    forged = post("IssueCoupon", b"{}", [*JSON, (b"x-connection-number", b"0")])
    async with contextlib.AsyncExitStack() as stack:
        await _served(stack, service.url)
        surplus = await stack.enter_async_context(wire(service.url))
        assert (await surplus.ask(forged)).status == 503


async def test_clients_of_http2_count_as_connections_of_uvicorn(
    start_service: ServiceStarter, database_url: str
) -> None:
    service = start_service(server="uvicorn", database_url=database_url, connections_max=2)
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(2):
            caller = await stack.enter_async_context(wire(service.url))
            await caller.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            # Its settings: it speaks.
            assert await caller.reader.readexactly(9)
        surplus = await stack.enter_async_context(wire(service.url))
        assert (await surplus.ask(CALL)).status == 503
    async with contextlib.AsyncExitStack() as stack:
        await _served(stack, service.url)
