"""The health service of gRPC: what /readyz says, in the form that gRPC's tools ask for."""

from collections.abc import AsyncIterator, Collection
from typing import Any

from connectrpc.code import Code
from connectrpc.errors import ConnectError

from coupon_service.availability import Availability, State
from coupon_service.errors import WatchersFull
from coupon_service.gen.grpc.health.v1.health_connect import Health
from coupon_service.gen.grpc.health.v1.health_pb import HealthCheckRequest, HealthCheckResponse

# Each looks once a second for as long as its caller likes.
WATCHERS_MAX = 1000

Status = HealthCheckResponse.ServingStatus


class HealthRpcs(Health):
    """The implementation of grpc.health.v1.Health, for services of these names."""

    def __init__(self, availability: Availability, services: Collection[str]) -> None:
        self._availability = availability
        self._services = frozenset(services)
        self._watchers = 0

    async def check(self, request: HealthCheckRequest, _ctx: Any, /) -> HealthCheckResponse:  # noqa: ANN401 # not looked at
        """Return the present status."""
        if request.service not in self._services:
            raise ConnectError(Code.NOT_FOUND, "There is no service of this name.")
        return _answer(await self._availability.recent())

    async def watch(
        self,
        request: HealthCheckRequest,
        _ctx: Any,  # noqa: ANN401 # not looked at
        /,
    ) -> AsyncIterator[HealthCheckResponse]:
        """Send the present status at once and then each change, until the service stops.

        Raises:
            WatchersFull: WATCHERS_MAX watch this process already.
        """
        if self._watchers >= WATCHERS_MAX:
            raise WatchersFull
        self._watchers += 1
        try:
            async for answer in self._watch(request):
                yield answer
        finally:
            self._watchers -= 1

    async def _watch(self, request: HealthCheckRequest) -> AsyncIterator[HealthCheckResponse]:
        if request.service not in self._services:
            yield HealthCheckResponse(status=Status.SERVICE_UNKNOWN)
            await self._availability.stopped()
            return
        told = None
        while not self._availability.is_stopping:
            answer = _answer(await self._availability.recent())
            if answer != told:
                yield answer
                told = answer
            await self._availability.pause()
        if told != (last := _answer(State.STOPPING)):
            yield last


def _answer(state: State) -> HealthCheckResponse:
    serves = state is State.READY
    return HealthCheckResponse(status=Status.SERVING if serves else Status.NOT_SERVING)
