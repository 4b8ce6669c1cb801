"""The conformance service on the coupon service's own request path: what we change.

Everything between the server and the RPCs is that of the coupon service: its
application, what it does to requests' heads, its interceptors, errors and codecs.
"""

from collections.abc import AsyncGenerator, Iterator
from typing import Any

from conformance_gen.connectrpc.conformance.v1.service_connect import (  # type: ignore[import-not-found] # made when it runs
    ConformanceService,
    ConformanceServiceASGIApplication,
)
from connectrpc.codec import proto_binary_codec, proto_json_codec
from protobuf import DescService

from conformance.service import TYPES, Conformance
from coupon_service.app import App
from coupon_service.codecs import OurCodec, OurJsonCodec
from coupon_service.gen.coupon.v1.coupon_connect import CouponService
from coupon_service.http_replies import Answer
from coupon_service.rpc_application import RpcApplication
from coupon_service.settings import Settings


class _Rpcs(RpcApplication, ConformanceServiceASGIApplication):  # type: ignore[misc] # see above
    """The conformance service as one of the coupon service's."""


class _NoCoupons(CouponService):
    """The RPCs of the coupon service, none of which is there."""


class _App(App):
    """The coupon service's application with one more service, and without a database."""

    def _services(self) -> Iterator[tuple[DescService, Answer]]:
        yield from super()._services()
        make: Any = _Rpcs
        yield (
            ConformanceService.desc(),
            make(
                Conformance(),
                interceptors=self._interceptors(),
                read_max_bytes=self._settings.request_bytes_max,
                codecs=[OurCodec(proto_binary_codec()), OurJsonCodec(proto_json_codec(TYPES))],
            ),
        )

    async def _lifespan(self) -> AsyncGenerator[CouponService]:
        yield _NoCoupons()


def create_app() -> App:
    """Build the application; called in each worker process."""
    return _App(Settings())
