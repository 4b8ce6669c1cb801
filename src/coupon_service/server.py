"""Runs the service: the database if it is ours, and uvicorn's workers under a supervisor."""

import asyncio
import contextlib
import http.client
import os
import resource
import signal
import socket
import threading
import time
from collections.abc import Iterator
from types import FrameType

import asyncpg
import structlog
import uvicorn

from coupon_service import logs, schema
from coupon_service.embedded import EmbeddedPostgres
from coupon_service.schema import SchemaState
from coupon_service.settings import Settings, as_variables
from coupon_service.supervisor import Supervisor, WorkersFailed

log = structlog.get_logger(__name__)

APPLICATION = "coupon_service.app:create_app"
LISTEN_BACKLOG = 4096
READY_POLL_SECONDS = 0.05
# A few of its 200 stay free for whoever looks after it.
EMBEDDED_CONNECTIONS_MAX = 190


class CannotServe(Exception):
    """The service cannot start; the message is one sentence for the operator."""


def serve(settings: Settings, application: str = APPLICATION) -> None:
    """Run the service until SIGTERM or SIGINT.

    `application` names the factory of the workers' ASGI application.

    Raises:
        CannotServe, EmbeddedPostgresError: it could not start.
    """
    logs.configure(settings)
    _raise_open_files_limit()
    for number in (signal.SIGTERM, signal.SIGINT):
        # Until the workers run, and have their supervisor to stop them.
        signal.signal(number, _leave)
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(_bound(settings))
        database_url = stack.enter_context(_database(settings))
        _export(settings, database_url)
        _announce(settings, listener)
        _run_workers(settings, listener, application)
        # It is stopping already; a second signal must not break that off.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
    log.info("stopped")


def _leave(_number: int, _frame: FrameType | None) -> None:
    """Unwind, so that a database that is starting is stopped, and exit with status 0."""
    raise SystemExit(0)


def _raise_open_files_limit() -> None:
    """Allow as many connections as the system lets us have; each is an open file."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):  # macOS names a hard limit it refuses
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@contextlib.contextmanager
def _bound(settings: Settings) -> Iterator[socket.socket]:
    """Listen, before anything slower happens that a taken port would make useless."""
    try:
        family, *_, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.create_server(address[:2], family=family, backlog=LISTEN_BACKLOG)
    except (OSError, UnicodeError) as exc:
        why = getattr(exc, "strerror", None) or "that is no address"
        msg = f"cannot listen on {settings.host} port {settings.port}: {why}"
        raise CannotServe(msg) from exc
    with listener:
        listener.set_inheritable(True)
        yield listener


@contextlib.contextmanager
def _database(settings: Settings) -> Iterator[str]:
    """Provide a database with the newest schema: the operator's, or our own."""
    if settings.database_url is not None:
        _require_newest_schema(settings.database_url, settings.connect_seconds_max)
        yield settings.database_url
        return
    connections = settings.workers * (settings.pool_size + 1)
    if connections > EMBEDDED_CONNECTIONS_MAX:
        msg = (
            f"the workers need {connections} database connections and the embedded PostgreSQL "
            f"has {EMBEDDED_CONNECTIONS_MAX}: lower COUPON_WORKERS or COUPON_POOL_SIZE"
        )
        raise CannotServe(msg)
    log.info("starting the embedded PostgreSQL", data_dir=str(settings.data_dir))
    with EmbeddedPostgres(settings.data_dir) as postgres:
        if (
            asyncio.run(_schema_state(postgres.url, settings.connect_seconds_max))
            is SchemaState.OLD
        ):
            _migrate(postgres.url)
        yield postgres.url


def _migrate(database_url: str) -> None:
    # Imported only here: it takes long, and a database that was used before needs none.
    from coupon_service import migrating  # noqa: PLC0415

    asyncio.run(migrating.migrate(database_url))


def _require_newest_schema(database_url: str, seconds_max: float) -> None:
    if asyncio.run(_schema_state(database_url, seconds_max)) is SchemaState.OLD:
        msg = "the database has an old schema; run: coupon-service migrate"
        raise CannotServe(msg)


async def _schema_state(database_url: str, seconds_max: float) -> SchemaState:
    try:
        async with asyncio.timeout(seconds_max):
            return await _look_at(database_url)
    except (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as exc:
        why = str(exc) or "it does not answer"
        msg = f"cannot use the database of COUPON_DATABASE_URL: {why}"
        raise CannotServe(msg) from exc


async def _look_at(database_url: str) -> SchemaState:
    connection = await asyncpg.connect(database_url)
    try:
        if await connection.fetchval("SHOW fsync") == "off":
            log.warning("fsync is off in this database: a power failure can lose issued coupons")
        return await schema.schema_state(connection)
    finally:
        connection.terminate()


def _export(settings: Settings, database_url: str) -> None:
    """Hand the settings to the workers, which read them from the environment."""
    os.environ.update(as_variables(settings, database_url=database_url))


def _run_workers(settings: Settings, listener: socket.socket, application: str) -> None:
    supervisor = Supervisor(
        _uvicorn_config(settings, application),
        listener,
        count=settings.workers,
        stop_seconds_max=settings.shutdown_seconds_max,
    )
    try:
        supervisor.run()
    except WorkersFailed as exc:
        msg = "the workers could not start; the log above says why"
        raise CannotServe(msg) from exc


def _uvicorn_config(settings: Settings, application: str) -> uvicorn.Config:
    return uvicorn.Config(
        application,
        factory=True,
        loop="uvloop",
        http="coupon_service.http_protocol:CouponHttpProtocol",
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="info" if settings.log_level == "debug" else "warning",
        access_log=settings.access_log,
        server_header=False,
        timeout_keep_alive=settings.keep_alive_seconds,
        timeout_graceful_shutdown=settings.shutdown_seconds_max,
    )


def _announce(settings: Settings, listener: socket.socket) -> None:
    """Say that the service is ready once it really is, from a thread of its own."""
    host, port = listener.getsockname()[:2]
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    database = f"embedded in {settings.data_dir}" if settings.database_url is None else "external"

    def watch() -> None:
        while not _is_ready(host, port):
            time.sleep(READY_POLL_SECONDS)
        log.info("ready", url=url, workers=settings.workers, database=database)

    threading.Thread(target=watch, name="announce", daemon=True).start()


def _is_ready(host: str, port: int) -> bool:
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except OSError:
        return False
    finally:
        connection.close()
