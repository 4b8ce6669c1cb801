"""Heads of requests, made what the RPC library can work with."""

from typing import Any

Scope = dict[str, Any]

# Answers are not compressed: one is too small to gain by it, and a million codes, which
# are random, would keep the process from everything else for seconds to save the half.
_UNWANTED_HEADERS = {b"accept-encoding", b"grpc-accept-encoding"}


def prepare(scope: Scope) -> bytes:
    """Make a request's head what the library can work with; return its content type.

    The library decodes headers and the query as UTF-8, so what is not is rewritten.
    """
    headers = []
    kind = b""
    for header in scope["headers"]:
        name, value = header
        if name in _UNWANTED_HEADERS:
            continue
        if name == b"content-type" and not kind:
            kind = value  # of several, the library reads the first
        headers.append(header if value.isascii() else (name, value.decode("latin-1").encode()))
    scope["headers"] = headers
    if not scope["query_string"].isascii():
        scope["query_string"] = scope["query_string"].decode("latin-1").encode()
    return kind


def content_type(scope: Scope) -> bytes:
    """Return a request's content type, or nothing if it has none."""
    return next((value for name, value in scope["headers"] if name == b"content-type"), b"")


def is_grpc(kind: bytes) -> bool:
    """Tell whether a content type is one of gRPC or gRPC-Web."""
    return kind.startswith(b"application/grpc")


def is_grpc_web(kind: bytes) -> bool:
    """Tell whether a content type is one of gRPC-Web."""
    return kind.startswith(b"application/grpc-web")


def is_answerable(scope: Scope, kind: bytes) -> bool:
    """Tell whether the server can answer: gRPC needs HTTP/2, and trailers in it.

    Some servers offer trailers over HTTP/1.1 too, where they cannot send them.
    """
    if not is_grpc(kind) or is_grpc_web(kind):
        return True
    is_http1 = scope["http_version"].startswith("1")
    return not is_http1 and "http.response.trailers" in scope.get("extensions", {})
