"""Calls from browsers: which pages may make them, and what they may send and read."""

from collections.abc import Sequence

from starlette.middleware.cors import CORSMiddleware

from coupon_service.http_replies import Answer

PREFLIGHT_SECONDS = 7200  # the longest that Chromium keeps one; others keep it longer

# What the clients of Connect and gRPC-Web send beyond what every page may.
REQUEST_HEADERS = (
    "authorization",
    "connect-accept-encoding",
    "connect-content-encoding",
    "connect-protocol-version",
    "connect-timeout-ms",
    "content-encoding",
    "content-type",
    "grpc-accept-encoding",
    "grpc-encoding",
    "grpc-timeout",
    "x-grpc-web",
    "x-user-agent",
)
# What they read beyond what every page may.
RESPONSE_HEADERS = (
    "connect-content-encoding",
    "content-encoding",
    "grpc-encoding",
    "grpc-message",
    "grpc-status",
    "grpc-status-details-bin",
    "www-authenticate",
)


def for_pages_of(origins: Sequence[str], application: Answer) -> Answer:
    """Let pages of these origins call an application; "*" is any origin.

    Credentials that browsers add by themselves, as cookies are, are not asked for:
    tokens are sent by the page's own code.
    """
    return CORSMiddleware(
        application,  # type: ignore[arg-type] # it wants mutable mappings, and gets dictionaries
        allow_origins=origins,
        allow_methods=("GET", "POST"),
        allow_headers=REQUEST_HEADERS,
        expose_headers=RESPONSE_HEADERS,
        max_age=PREFLIGHT_SECONDS,
    )
