"""What gRPC's health service answers, and what it leaves behind."""

import asyncio
from collections.abc import AsyncIterator
from typing import cast

import pytest
from connectrpc.code import Code
from connectrpc.errors import ConnectError

from coupon_service.availability import Availability, State
from coupon_service.errors import WatchersFull
from coupon_service.gen.grpc.health.v1.health_pb import HealthCheckRequest, HealthCheckResponse
from coupon_service.health import WATCHERS_MAX, HealthRpcs

Status = HealthCheckResponse.ServingStatus
KNOWN = ["", "coupon.v1.CouponService"]


class Changing:
    """An availability whose states the test gives one after the other, without a pause."""

    def __init__(self, *states: State) -> None:
        self._states = list(states)
        self.seconds_paused = 0

    @property
    def is_stopping(self) -> bool:
        return not self._states

    async def recent(self) -> State:
        return self._states.pop(0)

    async def pause(self) -> None:
        self.seconds_paused += 1


def rpcs(availability: object) -> HealthRpcs:
    return HealthRpcs(cast("Availability", availability), KNOWN)


async def sent(stream: AsyncIterator[HealthCheckResponse]) -> list[Status]:
    return [Status(each.status) async for each in stream]


@pytest.mark.parametrize("service", KNOWN)
@pytest.mark.parametrize("state", State)
async def test_check_says_whether_calls_can_be_served(service: str, state: State) -> None:
    answer = await rpcs(Changing(state)).check(HealthCheckRequest(service=service), None)
    want = Status.SERVING if state is State.READY else Status.NOT_SERVING
    assert answer == HealthCheckResponse(status=want)


@pytest.mark.parametrize("service", ["coupon.v1", "CouponService", "coupon.v1.couponservice", " "])
async def test_check_of_an_unknown_service_is_not_found(service: str) -> None:
    with pytest.raises(ConnectError) as raised:
        await rpcs(Changing(State.READY)).check(HealthCheckRequest(service=service), None)
    assert raised.value.code is Code.NOT_FOUND


@pytest.mark.parametrize("service", KNOWN)
async def test_watch_sends_the_present_status_and_each_change_of_it(service: str) -> None:
    states = [
        *(State.STARTING, State.NO_DATABASE, State.READY, State.READY),
        *(State.OLD_SCHEMA, State.NO_DATABASE, State.READY),
    ]
    changing = Changing(*states)
    got = await sent(rpcs(changing).watch(HealthCheckRequest(service=service), None))
    assert got == [
        *(Status.NOT_SERVING, Status.SERVING, Status.NOT_SERVING, Status.SERVING),
        Status.NOT_SERVING,  # it stops
    ]
    assert changing.seconds_paused == len(states)


async def test_watch_sends_not_serving_once_when_it_was_so_before_the_stop() -> None:
    changing = Changing(State.READY, State.NO_DATABASE)
    got = await sent(rpcs(changing).watch(HealthCheckRequest(), None))
    assert got == [Status.SERVING, Status.NOT_SERVING]


async def test_watch_of_an_unknown_service_says_so_and_ends_with_the_service() -> None:
    availability = Availability()
    stream = rpcs(availability).watch(HealthCheckRequest(service="unknown"), None)
    first = await anext(stream)
    rest = asyncio.create_task(sent(stream))
    for _ in range(10):
        await asyncio.sleep(0)
    assert (first.status, rest.done()) == (Status.SERVICE_UNKNOWN, False)
    availability.stop()
    assert await rest == []


async def test_a_thousand_watchers_leave_no_task_behind() -> None:
    before = asyncio.all_tasks()
    health = rpcs(Availability())
    watching = [
        asyncio.create_task(sent(health.watch(HealthCheckRequest(service=service), None)))
        for service in ["", "unknown"] * 500
    ]
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks() - before) == 1000
    for watcher in watching:
        watcher.cancel()
    await asyncio.wait(watching)
    assert asyncio.all_tasks() == before


async def test_no_more_than_so_many_watch_and_who_leaves_makes_room() -> None:
    class Lasting:
        is_stopping = False

        async def recent(self) -> State:
            return State.READY

        async def pause(self) -> None:
            await asyncio.Event().wait()

    health = rpcs(Lasting())
    watching = [health.watch(HealthCheckRequest(), None) for _ in range(WATCHERS_MAX)]
    for each in watching:
        await anext(each)
    with pytest.raises(WatchersFull):
        await anext(health.watch(HealthCheckRequest(), None))
    await watching.pop().aclose()  # type: ignore[attr-defined] # a generator
    latecomer = health.watch(HealthCheckRequest(), None)
    assert (await anext(latecomer)).status == Status.SERVING
    for each in (*watching, latecomer):
        await each.aclose()  # type: ignore[attr-defined] # as above
