"""Server reflection: tools such as grpcurl and `buf curl` learn the schema from the server."""

from collections.abc import Iterator
from typing import Any

from connectrpc_grpcreflect import (  # type: ignore[import-untyped] # it has types, and no py.typed
    ServerReflectionAlphaASGIApplication,
    ServerReflectionAlphaService,
    ServerReflectionASGIApplication,
    ServerReflectionService,
)
from protobuf import DescService

from coupon_service.codecs import codecs
from coupon_service.error_border import ErrorBorder
from coupon_service.http_replies import Answer
from coupon_service.rpc_application import RpcApplication


class ReflectionApplication(RpcApplication, ServerReflectionASGIApplication):  # type: ignore[misc] # as above
    """Server reflection as an ASGI application."""


class ReflectionAlphaApplication(RpcApplication, ServerReflectionAlphaASGIApplication):  # type: ignore[misc] # as above
    """The same under the name that it had first, which many tools still call."""


def reflection_of(
    *services: DescService, request_bytes_max: int
) -> Iterator[tuple[DescService, Answer]]:
    """Yield the reflection services that show others, with the applications that answer."""
    kinds: list[tuple[Any, Any]] = [
        (ServerReflectionService, ReflectionApplication),
        (ServerReflectionAlphaService, ReflectionAlphaApplication),
    ]
    for kind, application in kinds:
        answer = application(
            kind(*services),
            interceptors=[ErrorBorder()],
            read_max_bytes=request_bytes_max,
            codecs=codecs(),
        )
        yield kind.desc(), answer
