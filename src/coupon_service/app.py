"""The ASGI application, and the only place where its parts are put together."""

import asyncio
import contextlib
import gc
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Any

import structlog
from connectrpc.interceptor import Interceptor
from protobuf import DescService

from coupon_service import http_replies, logs
from coupon_service.access.guards import guards
from coupon_service.availability import Availability
from coupon_service.changes import following_changes
from coupon_service.codecs import codecs
from coupon_service.error_border import ErrorBorder
from coupon_service.gate import Gate
from coupon_service.gen.coupon.v1.coupon_connect import CouponService
from coupon_service.gen.grpc.health.v1.health_connect import Health
from coupon_service.heads import Scope
from coupon_service.health import HealthRpcs
from coupon_service.http_replies import Answer
from coupon_service.issuing import Issuer
from coupon_service.metering.metrics import Metrics, answer_metrics
from coupon_service.metering.rpc_counting import CountingBorder
from coupon_service.reflection import reflection_of
from coupon_service.rpc import CouponRpcs
from coupon_service.rpc_application import CouponRpcApplication, HealthApplication
from coupon_service.serving import stop_signals
from coupon_service.settings import Settings
from coupon_service.store import Store

log = structlog.get_logger(__name__)

CLOSE_SECONDS_MAX = 5
# Garbage collector's measure: objects made and not freed since its last run.
NEW_OBJECTS_MAX = 100_000


class App:
    """The service as an ASGI application: the RPCs, and what is answered beside them.

    `make_rpcs` gives what answers the RPCs; the benchmarks give their yardsticks.
    """

    def __init__(
        self,
        settings: Settings,
        make_rpcs: Callable[[Store, Issuer], CouponService] = CouponRpcs,
    ) -> None:
        if settings.database_url is None:
            msg = "the application needs a database URL"
            raise ValueError(msg)
        self._settings = settings
        self._make_rpcs = make_rpcs
        self._database_url = settings.database_url
        self._loop: asyncio.AbstractEventLoop | None = None
        self._availability = Availability()
        self._metrics = Metrics() if settings.metrics else None
        self._coupons = CouponRpcApplication(
            self._lifespan(),
            interceptors=self._interceptors(),
            read_max_bytes=settings.request_bytes_max,
            codecs=codecs(),
        )
        self._answers = dict(self._plain_answers())
        for service, application in self._services():
            answer = self._open_to_browsers(application)
            self._answers |= {f"/{service.type_name}/{x.name}": answer for x in service.methods}
        self._refuse_unknown = self._open_to_browsers(http_replies.refuse_unknown)

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:  # noqa: ANN401 # as ASGI has it
        """Answer a request, or take part in the server's start and stop."""
        if scope["type"] != "http":
            return await self._coupons(scope, receive, send)
        answer = self._answers.get(scope["path"], self._refuse_unknown)
        if scope["http_version"] == "1.0":
            send = http_replies.in_one_piece(send)
        return await answer(scope, receive, send)

    def begin_to_stop(self) -> None:
        """End what would keep the server from stopping; from any thread, as often as one likes."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                self._loop.call_soon_threadsafe(self._availability.stop)

    def _interceptors(self) -> list[Interceptor]:
        border = ErrorBorder() if self._metrics is None else CountingBorder(self._metrics)
        return [border, *guards(self._settings)]

    def _plain_answers(self) -> Iterator[tuple[str, Answer]]:
        yield "/healthz", http_replies.answer_alive
        yield "/readyz", http_replies.answer_ready(self._availability)
        if self._metrics is not None:
            yield "/metrics", answer_metrics(self._metrics)

    def _services(self) -> Iterator[tuple[DescService, Answer]]:
        """Yield each service with the application that answers its RPCs."""
        known = [CouponService.desc(), Health.desc()]
        yield known[0], self._coupons
        health = HealthRpcs(self._availability, ["", *(each.type_name for each in known)])
        bytes_max = self._settings.request_bytes_max
        yield (
            known[1],
            HealthApplication(
                health,
                interceptors=[ErrorBorder()],
                read_max_bytes=bytes_max,
                codecs=codecs(),
            ),
        )
        if self._settings.reflection:
            yield from reflection_of(*known, request_bytes_max=bytes_max)

    def _open_to_browsers(self, answer: Answer) -> Answer:
        if not self._settings.cors_origins:
            return answer
        from coupon_service import cors  # noqa: PLC0415 # few need it

        return cors.for_pages_of(self._settings.cors_origins, answer)

    async def _lifespan(self) -> AsyncGenerator[CouponService]:
        """Open what the service needs, hand it over, and close it when the server stops."""
        settings = self._settings
        self._loop = asyncio.get_running_loop()
        async with contextlib.AsyncExitStack() as stack:
            stack.enter_context(stop_signals.heard(self.begin_to_stop))
            store = await stack.enter_async_context(
                Store.open(
                    self._database_url,
                    pool_size=settings.pool_size,
                    connect_seconds_max=settings.connect_seconds_max,
                    statement_seconds_max=settings.statement_seconds_max,
                )
            )
            gate = Gate(seconds_max=settings.gate_seconds_max)
            await stack.enter_async_context(
                following_changes(
                    self._database_url, gate, connect_seconds_max=settings.connect_seconds_max
                )
            )
            issuer = Issuer(
                store,
                gate,
                queue_limit=settings.queue_limit,
                group_limit=settings.group_limit,
                settle_seconds_max=settings.settle_seconds_max,
                tally=self._metrics,
            )
            if self._metrics is not None:
                await stack.enter_async_context(
                    self._metrics.following(
                        claims_waiting=lambda: issuer.claims_waiting,
                        connections_in_use=lambda: store.connections_in_use,
                    )
                )
            stack.push_async_callback(_close, issuer)
            self._availability.start(store)
            stack.callback(self._availability.stop)
            yield self._make_rpcs(store, issuer)


def create_app(make_rpcs: Callable[[Store, Issuer], CouponService] = CouponRpcs) -> App:
    """Build the application from the environment; called in each worker process."""
    settings = Settings()
    logs.configure(settings)
    collect_garbage_seldom()
    return App(settings, make_rpcs)


def collect_garbage_seldom() -> None:
    """Let the collector run when garbage may have piled up, not whenever calls do.

    Each call that waits is some hundred objects, so hundreds of them at once look like
    garbage to come: by default the collector looked through them all for every few calls
    that came, which doubled the cost of an issued coupon. What is imported by now stays.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS_MAX, 50, 50)


async def _close(issuer: Issuer) -> None:
    """Let the claims that are still in line be answered, within seconds."""
    try:
        async with asyncio.timeout(CLOSE_SECONDS_MAX):
            await issuer.close()
    except TimeoutError:
        log.warning("stopped while claims were still waiting for the database")
