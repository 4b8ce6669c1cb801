"""Structured logs on stderr, for this program's and its libraries' messages alike."""

import logging
import sys

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from coupon_service.settings import Settings

# The system keeps lines apart that several processes write to one pipe at the same time,
# but only those of up to 4096 bytes.
PATH_CHARACTERS_MAX = 1000

_SHARED: list[Processor] = [
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
]


def configure(settings: Settings) -> None:
    """Send every log record to stderr in the format and from the level that are set."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*_SHARED, _access_fields],
            pass_foreign_args=True,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_renderers(settings.log_format),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=settings.log_level.upper(), force=True)
    _quieten_libraries(settings)
    structlog.configure(
        processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _quieten_libraries(settings: Settings) -> None:
    """Keep what libraries say of their own doings for debugging."""
    chatty = logging.DEBUG if settings.log_level == "debug" else logging.WARNING
    for name in ("alembic", "asyncio", "httpcore", "uvicorn.error"):
        logging.getLogger(name).setLevel(chatty)
    # It tells of every header, tokens among them.
    logging.getLogger("hpack").setLevel(logging.WARNING)
    # Without a handler to reach, uvicorn does not even put a request's line together.
    access = logging.getLogger("uvicorn.access")
    access.setLevel(logging.INFO)
    access.propagate = settings.access_log


def _renderers(log_format: str) -> list[Processor]:
    if log_format == "console" or (log_format == "auto" and sys.stderr.isatty()):
        return [
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            )
        ]
    return [
        # Local variables hold passwords and callers' data; they stay out of the logs.
        structlog.processors.ExceptionRenderer(
            structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        ),
        structlog.processors.JSONRenderer(ensure_ascii=False),
    ]


def _access_fields(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Turn uvicorn's access message into fields: its arguments in the order it logs them."""
    arguments = event.pop("positional_args")
    if event["_record"].name == "uvicorn.access":
        names = ("client", "method", "path", "http_version", "status")
        event.update(zip(names, arguments, strict=False), event="request")
        # What follows may be a token, by its sender's mistake.
        path = str(event.get("path", "")).partition("?")[0]
        event["path"] = path[:PATH_CHARACTERS_MAX]
    return event
