"""What Envoy says itself: its answers to what it refuses, and the lines of the access log."""

from typing import Any

from coupon_service.serving import wire_refusals
from coupon_service.settings import Settings

Config = dict[str, Any]

NO_HTTP = 400
# What its access control says; the service's own comes from the application.
DENIED = 403
HEAD_TOO_LARGE = 431
TOO_SLOW = 408
_LOGGERS = "type.googleapis.com/envoy.extensions.access_loggers"


def local_replies(settings: Settings) -> Config:
    """Give Envoy's own refusals the form of the service's."""
    refusals = {
        NO_HTTP: wire_refusals.no_http(),
        DENIED: wire_refusals.no_text(),
        HEAD_TOO_LARGE: wire_refusals.head_too_large(settings),
        TOO_SLOW: wire_refusals.too_slow(settings),
    }
    return {
        "mappers": [
            _mapper(found, status, body.decode()) for found, (status, body) in refusals.items()
        ]
    }


def _mapper(found: int, status: int, body: str) -> Config:
    return {
        "filter": {
            "status_code_filter": {
                "comparison": {
                    "op": "EQ",
                    "value": {"default_value": found, "runtime_key": f"coupon.status_{found}"},
                }
            }
        },
        "status_code": int(status),
        "headers_to_add": [{"header": {"key": "cache-control", "value": "no-store"}}],
        "body_format_override": {
            "text_format_source": {"inline_string": body.replace("%", "%%")},
            "content_type": "application/json",
        },
    }


def access_log(settings: Settings, *, for_people: bool) -> list[Config]:
    """Log a line for each request, if that is wanted, in the form of all other lines."""
    if not settings.access_log:
        return []
    if for_people:
        line = (
            "%START_TIME(%Y-%m-%dT%H:%M:%S.%6fZ)% [info     ] request    "
            "client=%DOWNSTREAM_REMOTE_ADDRESS% method=%REQ(:METHOD):32% path=%PATH(NQ):1000% "
            "http_version=%PROTOCOL% status=%RESPONSE_CODE%\n"
        )
        form: Config = {"text_format_source": {"inline_string": line}}
    else:
        form = {
            "json_format": {
                "client": "%DOWNSTREAM_REMOTE_ADDRESS%",
                "method": "%REQ(:METHOD):32%",
                "path": "%PATH(NQ):1000%",
                "http_version": "%PROTOCOL%",
                "status": "%RESPONSE_CODE%",
                "event": "request",
                "level": "info",
                "timestamp": "%START_TIME(%Y-%m-%dT%H:%M:%S.%6fZ)%",
            }
        }
    return [
        {
            "name": "envoy.access_loggers.stderr",
            "typed_config": {
                "@type": f"{_LOGGERS}.stream.v3.StderrAccessLog",
                "log_format": form,
            },
        }
    ]
