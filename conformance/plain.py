"""The conformance service as an application of the library's own: what the library does."""

from typing import Any

from conformance_gen.connectrpc.conformance.v1.service_connect import (  # type: ignore[import-not-found] # made when it runs
    ConformanceServiceASGIApplication,
)
from connectrpc.codec import proto_binary_codec, proto_json_codec

from conformance.service import TYPES, Conformance
from coupon_service.settings import Settings


def create_app() -> Any:  # noqa: ANN401 # generated when it runs
    """Build the application; called in each worker process."""
    return ConformanceServiceASGIApplication(
        Conformance(),
        read_max_bytes=Settings().request_bytes_max,
        codecs=[proto_binary_codec(), proto_json_codec(TYPES)],
    )
