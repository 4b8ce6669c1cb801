"""The ASGI application, and the only place where its parts are put together."""

import asyncio
import contextlib
import gc
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any

import structlog

from coupon_service import logs
from coupon_service.changes import follow_changes
from coupon_service.codecs import codecs
from coupon_service.errors import StorageUnavailable
from coupon_service.gate import Gate
from coupon_service.gen.coupon.v1.coupon_connect import CouponService
from coupon_service.issuing import Issuer
from coupon_service.rpc import CouponRpcs
from coupon_service.rpc_application import CouponRpcApplication
from coupon_service.rpc_errors import ErrorBorder
from coupon_service.schema import SchemaState
from coupon_service.settings import Settings
from coupon_service.store import Store

log = structlog.get_logger(__name__)

CLOSE_SECONDS_MAX = 5
# Garbage collector's measure: objects made and not freed since its last run.
NEW_OBJECTS_MAX = 100_000

Scope = dict[str, Any]
Receive = Any
Send = Any


class App:
    """The service as an ASGI application: the RPCs, /healthz and /readyz.

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
        self._store: Store | None = None
        self._rpcs = CouponRpcApplication(
            self._lifespan(),
            interceptors=[ErrorBorder()],
            read_max_bytes=settings.request_bytes_max,
            codecs=codecs(),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or take part in the server's start and stop."""
        if scope["type"] == "http":
            match scope["path"]:
                case "/healthz":
                    return await _reply(send, 200, {"status": "alive"})
                case "/readyz":
                    return await self._reply_readiness(send)
            content_type = _prepare_headers(scope)
            if _needs_trailers(scope, content_type):
                return await _reply(send, 415, {"error": _NO_GRPC})
        return await self._rpcs(scope, receive, send)

    async def _lifespan(self) -> AsyncGenerator[CouponService]:
        """Open what the service needs, hand it over, and close it when the server stops."""
        async with contextlib.AsyncExitStack() as stack:
            settings = self._settings
            store = await stack.enter_async_context(
                Store.open(
                    self._database_url,
                    pool_size=settings.pool_size,
                    connect_seconds_max=settings.connect_seconds_max,
                    statement_seconds_max=settings.statement_seconds_max,
                )
            )
            gate = Gate(seconds_max=settings.gate_seconds_max)
            await stack.enter_async_context(self._following_changes(gate))
            issuer = Issuer(
                store,
                gate,
                queue_limit=settings.queue_limit,
                group_limit=settings.group_limit,
                settle_seconds_max=settings.settle_seconds_max,
            )
            stack.push_async_callback(_close, issuer)
            self._store = store
            yield self._make_rpcs(store, issuer)

    @contextlib.asynccontextmanager
    async def _following_changes(self, gate: Gate) -> AsyncIterator[None]:
        task = asyncio.create_task(
            follow_changes(
                self._database_url,
                gate,
                connect_seconds_max=self._settings.connect_seconds_max,
            )
        )
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def _reply_readiness(self, send: Send) -> None:
        """Answer 200 if calls can be served, otherwise 503 and why not."""
        try:
            if self._store is None:
                return await _reply(send, 503, {"status": "starting"})
            state = await self._store.schema_state()
        except StorageUnavailable:
            return await _reply(send, 503, {"status": "the database does not answer"})
        if state is SchemaState.OLD:
            return await _reply(send, 503, {"status": "the database has an old schema"})
        return await _reply(send, 200, {"status": "ready"})


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


_NO_GRPC = (
    "gRPC needs HTTP/2 trailers, which this server does not have; use the Connect or "
    "gRPC-Web protocol"
)


def _needs_trailers(scope: Scope, content_type: bytes) -> bool:
    """Tell whether the call is a gRPC one that this server cannot answer."""
    if not content_type.startswith(b"application/grpc"):
        return False
    is_web = content_type.startswith(b"application/grpc-web")
    return not is_web and "http.response.trailers" not in scope.get("extensions", {})


# Answers are not compressed: one is too small to gain by it, and a million codes, which
# are random, would keep the process from everything else for seconds to save the half.
_UNWANTED_HEADERS = {b"accept-encoding", b"grpc-accept-encoding"}


def _prepare_headers(scope: Scope) -> bytes:
    """Make the request's head what the library can work with; return its content type.

    The library decodes headers and the query as UTF-8, so what is not is rewritten.
    """
    headers = []
    content_type = b""
    for header in scope["headers"]:
        name, value = header
        if name in _UNWANTED_HEADERS:
            continue
        if name == b"content-type":
            content_type = value
        headers.append(header if value.isascii() else (name, value.decode("latin-1").encode()))
    scope["headers"] = headers
    if not scope["query_string"].isascii():
        scope["query_string"] = scope["query_string"].decode("latin-1").encode()
    return content_type


async def _reply(send: Send, status: int, body: dict[str, str]) -> None:
    headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(body).encode()})


async def _close(issuer: Issuer) -> None:
    """Let the claims that are still in line be answered, within seconds."""
    try:
        async with asyncio.timeout(CLOSE_SECONDS_MAX):
            await issuer.close()
    except TimeoutError:
        log.warning("stopped while claims were still waiting for the database")
