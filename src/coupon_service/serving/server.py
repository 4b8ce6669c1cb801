"""Runs the service: the database if it is ours, and the workers under a supervisor."""

import asyncio
import contextlib
import os
import resource
import signal
from collections.abc import Callable, Iterator

import asyncpg
import structlog

from coupon_service import logs, schema, variables
from coupon_service.access import exposure
from coupon_service.embedded import EmbeddedPostgres
from coupon_service.failures import CannotServe
from coupon_service.metering.metrics_folder import metrics_folder
from coupon_service.schema import SchemaState
from coupon_service.serving import announcing, listening, stop_signals, tls
from coupon_service.serving.supervisor import Supervisor, Workers, WorkersFailed
from coupon_service.settings import Settings

__all__ = ["APPLICATION", "CannotServe", "serve"]

log = structlog.get_logger(__name__)

APPLICATION = "coupon_service.app:create_app"
# A few of its 200 stay free for whoever looks after it.
EMBEDDED_CONNECTIONS_MAX = 190


def serve(settings: Settings, application: str = APPLICATION) -> None:
    """Run the service until SIGTERM or SIGINT.

    `application` names the factory of the workers' ASGI application.

    Raises:
        CannotServe, EmbeddedPostgresError: it could not start.
    """
    logs.configure(settings)
    for variable, _ in variables.unknown():
        log.warning("this variable is no setting: ignored", variable=variable)
    _raise_open_files_limit()
    # Until the workers run, and have their supervisor to stop them.
    stop_signals.leave_when_told()
    with contextlib.ExitStack() as stack:
        tls.require_usable(settings)
        kind = stack.enter_context(_workers(settings, application))
        # Nobody answers at the port yet, and that it is taken was said first.
        exposure.check(settings)
        database_url = stack.enter_context(_database(settings))
        exposure.announce(settings)
        stack.enter_context(metrics_folder(wanted=settings.metrics))
        _export(settings, database_url)
        is_ready = announcing.announce(settings, kind.address)
        _run(settings, kind, has_served=is_ready.is_set)
        # It is stopping already; a second signal must not break that off.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
    log.info("stopped")


def _raise_open_files_limit() -> None:
    """Allow as many connections as the system lets us have; each is an open file."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):  # macOS names a hard limit it refuses
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@contextlib.contextmanager
def _workers(settings: Settings, application: str) -> Iterator[Workers]:
    """Take the port, before anything slower happens that a taken one would make useless."""
    # Only the one of the two that is wanted is imported.
    if settings.server == "pyvoy":
        from coupon_service.serving import envoy_workers  # noqa: PLC0415

        envoy_workers.require_envoy(settings)
        with (
            listening.reserved(settings.host, settings.port) as reservation,
            envoy_workers.private_folder() as folder,
        ):
            yield envoy_workers.EnvoyWorkers(settings, reservation, application, folder)
        return
    from coupon_service.serving.uvicorn_workers import UvicornWorkers  # noqa: PLC0415

    with listening.listening(settings.host, settings.port) as listener:
        yield UvicornWorkers(settings, listener, application)


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
        msg = "the database has no schema of ours, or an old schema; run: coupon-service migrate"
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
    os.environ.update(variables.as_variables(settings, database_url=database_url))


def _run(settings: Settings, kind: Workers, *, has_served: Callable[[], bool]) -> None:
    supervisor = Supervisor(
        kind,
        count=settings.workers,
        stop_seconds_max=settings.shutdown_seconds_max,
        has_served=has_served,
    )
    try:
        supervisor.run()
    except WorkersFailed as exc:
        msg = "the workers could not start; the log above says why"
        raise CannotServe(msg) from exc
