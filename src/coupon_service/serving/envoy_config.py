"""Envoy's configuration for one worker, from the service's settings."""

import math
import socket
import sys
from pathlib import Path
from typing import Any

from pyvoy import PyvoyServer

from coupon_service.serving import envoy_connections, envoy_replies, wire_refusals
from coupon_service.serving.listening import SEND_BUFFER_BYTES
from coupon_service.serving.wire_refusals import HEADERS_MAX
from coupon_service.settings import Settings

Config = dict[str, Any]

APPLICATION = "coupon_service.serving.pyvoy_app:application"
WATCH = "/grpc.health.v1.Health/Watch"
STREAMS_MAX = 256
# What one stream, and one connection, may send ahead of the application's reading.
STREAM_BYTES_AHEAD = 65_536
CONNECTION_BYTES_AHEAD = 1_048_576
# A request that crosses with the notice of the end comes in time; a later one is told that
# it was not looked at.
DRAIN_SECONDS = 1
# Bytes of a path that are not ASCII. No path of ours has any.
NO_TEXT = r".*([^\x00-\x7F]|%[89A-Fa-f]).*"
# Envoy warns of its own doings, a clean stop among them, so warnings stay out.
LOG_LEVELS = {"debug": "info", "info": "error", "warning": "error", "error": "critical"}
# Envoy keeps an answer's "connection: close" to itself unless it is told to.
ENDING_CONNECTIONS = """
function envoy_on_response(answer)
  if answer:headers():get("connection") == "close" then
    answer:streamInfo():drainConnectionUponCompletion()
  end
end
"""
_TYPES = "type.googleapis.com/envoy.extensions"


def envoy_config(settings: Settings, *, host: str, port: int, admin_path: Path) -> Config:
    """Return the configuration of an Envoy that serves the application on a port.

    Its admin interface can drain and end it, so that is a socket in a private folder.
    """
    made: Config = PyvoyServer(
        APPLICATION,
        address=host,
        port=port,
        tls_cert=settings.tls_cert and settings.tls_cert.absolute(),
        tls_key=settings.tls_key and settings.tls_key.absolute(),
        tls_enable_http3=False,
        worker_threads=1,
        lifespan=True,
        loop="uvloop",
    ).get_envoy_config()
    made["admin"] = {"address": {"pipe": {"path": str(admin_path), "mode": 0o600}}}
    made["overload_manager"] = _overload_manager(settings)
    (listener,) = made["static_resources"]["listeners"]
    listener |= _listener(settings)
    (chain,) = listener["filter_chains"]
    chain["transport_socket_connect_timeout"] = _seconds(settings.receive_seconds_max)
    if "transport_socket" in chain:
        context = chain["transport_socket"]["typed_config"]["common_tls_context"]
        context["tls_params"] = {"tls_minimum_protocol_version": "TLSv1_2"}
    http = chain["filters"][-1]["typed_config"]
    http |= _http(settings)
    http["route_config"] |= _endless_watches()
    http["http_filters"][:0] = [_texts_only(), _ending_connections()]
    return made


def log_pattern(log_format: str) -> str:
    """Return the pattern that gives Envoy's own messages the form of all others."""
    if is_for_people(log_format):
        return "%Y-%m-%dT%T.%fZ [%-9l] %v"
    return '{"event": "%j", "level": "%l", "timestamp": "%Y-%m-%dT%T.%fZ", "logger": "envoy.%n"}'


def is_for_people(log_format: str) -> bool:
    """Tell whether the log is for a person at a terminal."""
    return log_format == "console" or (log_format == "auto" and sys.stderr.isatty())


def _seconds(seconds: float) -> str:
    return f"{seconds:.3f}s"


def _overload_manager(settings: Settings) -> Config:
    return {
        "resource_monitors": [
            {
                "name": "envoy.resource_monitors.global_downstream_max_connections",
                "typed_config": {
                    "@type": f"{_TYPES}.resource_monitors.downstream_connections.v3"
                    ".DownstreamConnectionsConfig",
                    "max_active_downstream_connections": settings.connections_max
                    + wire_refusals.SURPLUS_MAX,
                },
            }
        ]
    }


def _listener(settings: Settings) -> Config:
    """Return how connections are taken and how long their first bytes are waited for.

    Those may take no longer than a request.
    """
    kind = "http_inspector" if settings.tls_cert is None else "tls_inspector"
    name = "".join(word.capitalize() for word in kind.split("_"))
    return {
        "stat_prefix": envoy_connections.LISTENER,
        "enable_reuse_port": True,
        "socket_options": [
            {
                "description": "what is kept of answers that callers have not taken",
                "level": socket.SOL_SOCKET,
                "name": socket.SO_SNDBUF,
                "int_value": SEND_BUFFER_BYTES,
                "state": "STATE_LISTENING",
            }
        ],
        "listener_filters_timeout": _seconds(settings.receive_seconds_max),
        "listener_filters": [
            {
                "name": f"envoy.filters.listener.{kind}",
                "typed_config": {"@type": f"{_TYPES}.filters.listener.{kind}.v3.{name}"},
            }
        ],
    }


def _http(settings: Settings) -> Config:
    receive = _seconds(settings.receive_seconds_max)
    return {
        "max_request_headers_kb": math.ceil(settings.head_bytes_max / 1024),
        "request_headers_timeout": receive,
        "request_timeout": receive,
        # Between the notice that an idle connection of HTTP/2 ends, and its end.
        "drain_timeout": _seconds(DRAIN_SECONDS),
        # An answer that is not all in Envoy yet counts as idle while its caller gives no room.
        "stream_idle_timeout": _seconds(settings.send_seconds_max + _answer_seconds(settings)),
        "stream_flush_timeout": _seconds(settings.send_seconds_max),
        "common_http_protocol_options": {
            "idle_timeout": _seconds(settings.keep_alive_seconds),
            "max_headers_count": HEADERS_MAX,
        },
        # An upgrade is an offer that need not be taken.
        "http_protocol_options": {
            "accept_http_10": True,
            "default_host_for_http_10": "localhost",
            "ignore_http_11_upgrade": [{"safe_regex": {"regex": ".*"}}],
        },
        "http2_protocol_options": {
            "max_concurrent_streams": STREAMS_MAX,
            "initial_stream_window_size": STREAM_BYTES_AHEAD,
            "initial_connection_window_size": CONNECTION_BYTES_AHEAD,
        },
        # The address of a caller is whom the connection is from, whatever its headers say;
        # those the application reads itself.
        "use_remote_address": True,
        "skip_xff_append": True,
        "server_header_transformation": "PASS_THROUGH",
        "early_header_mutation_extensions": [_numbered_connections()],
        "local_reply_config": envoy_replies.local_replies(settings),
        "access_log": envoy_replies.access_log(
            settings, for_people=is_for_people(settings.log_format)
        ),
    }


def _numbered_connections() -> Config:
    """Let each request say which connection it came on, whatever its caller wrote there."""
    number = {"key": envoy_connections.NUMBER, "value": "%CONNECTION_ID%"}
    append = {"header": number, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
    return {
        "name": "envoy.http.early_header_mutation.header_mutation",
        "typed_config": {
            "@type": f"{_TYPES}.http.early_header_mutation.header_mutation.v3.HeaderMutation",
            "mutations": [{"append": append}],
        },
    }


def _answer_seconds(settings: Settings) -> float:
    """Return how long a call may wait for its answer to begin."""
    return (
        settings.connect_seconds_max + settings.statement_seconds_max + settings.settle_seconds_max
    )


def _endless_watches() -> Config:
    """Return routes on which a stream is never idle: watchers are told nothing for hours.

    Nothing is routed, as the application is in Envoy itself; so the cluster is none.
    """
    route = {"match": {"path": WATCH}, "route": {"cluster": "none", "idle_timeout": "0s"}}
    host = {"name": "every host", "domains": ["*"], "routes": [route]}
    return {"virtual_hosts": [host], "validate_clusters": False}


def _texts_only() -> Config:
    """Deny paths that may be no text: pyvoy never answers those that are not UTF-8."""
    policy = {
        "permissions": [{"url_path": {"path": {"safe_regex": {"regex": NO_TEXT}}}}],
        "principals": [{"any": True}],
    }
    return {
        "name": "envoy.filters.http.rbac",
        "typed_config": {
            "@type": f"{_TYPES}.filters.http.rbac.v3.RBAC",
            "rules": {"action": "DENY", "policies": {"paths that are no text": policy}},
        },
    }


def _ending_connections() -> Config:
    """End connections on which the application has the last word."""
    return {
        "name": "envoy.filters.http.lua",
        "typed_config": {
            "@type": f"{_TYPES}.filters.http.lua.v3.Lua",
            "default_source_code": {"inline_string": ENDING_CONNECTIONS},
        },
    }
