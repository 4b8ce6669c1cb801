"""connectrpc's own clients, synchronous and not, with the code generated for them."""

import asyncio
import importlib
import json
import sys
from pathlib import Path
from typing import Any

from connectrpc.codec import proto_binary_codec, proto_json_codec
from connectrpc.compression.gzip import GzipCompression
from connectrpc.errors import ConnectError
from connectrpc.protocol import ProtocolType
from interop.calls import COUPONS, HEALTH, Call, Refused, refused
from interop.lanes import Lane
from interop.tomorrow import UNKNOWN_SERVICE
from pyqwest import Client as HttpClient
from pyqwest import HTTPTransport, HTTPVersion, SyncClient, SyncHTTPTransport

from coupon_service.gen.google.rpc.error_details_pb import BadRequest, ErrorInfo, RetryInfo

_PROTOCOLS = {
    "Connect": ProtocolType.CONNECT,
    "gRPC-Web": ProtocolType.GRPC_WEB,
    "gRPC": ProtocolType.GRPC,
}
_DETAILS = {each.desc().type_name: each for each in (ErrorInfo, BadRequest, RetryInfo)}


class Generated:
    """The package that was generated into a folder."""

    def __init__(self, folder: Path) -> None:
        sys.path.insert(0, str(folder.parent))
        try:
            self._coupon = self._import(f"{folder.name}.coupon.v1.coupon")
            self._health = self._import(f"{folder.name}.grpc.health.v1.health")
        finally:
            sys.path.remove(str(folder.parent))

    @staticmethod
    def _import(name: str) -> tuple[Any, Any]:
        return importlib.import_module(f"{name}_pb"), importlib.import_module(f"{name}_connect")

    def clients(self, *, suffix: str) -> dict[str, Any]:
        """Return the class of the clients of each service."""
        names = {COUPONS: "CouponService", UNKNOWN_SERVICE: "TomorrowService", HEALTH: "Health"}
        modules = {
            COUPONS: self._coupon[1],
            UNKNOWN_SERVICE: self._coupon[1],
            HEALTH: self._health[1],
        }
        return {
            service: getattr(modules[service], f"{name}Client{suffix}")
            for service, name in names.items()
        }

    def request(self, call: Call) -> Any:  # noqa: ANN401 # generated
        """Return a call's request."""
        if call.service == HEALTH:
            kind = self._health[0].HealthCheckRequest
        else:
            today = getattr(self._coupon[0], f"{call.rpc}Request", None)
            kind = today or self._coupon[0].IssueCouponRequest
        return kind.from_json(json.dumps(call.fields))


class ConnectRpcClient:
    """connectrpc's synchronous client: over HTTP/2 to pyvoy, otherwise HTTP/1.1."""

    def __init__(self, url: str, lane: Lane, generated: Generated) -> None:
        self._generated = generated
        self._classes = generated.clients(suffix="Sync")
        self._url = url
        self._lane = lane
        self._http = SyncClient(SyncHTTPTransport(http_version=_http_version(lane)))

    def call(self, call: Call) -> dict[str, Any]:
        options = _client_options(self._lane, call)
        with self._classes[call.service](self._url, http_client=self._http, **options) as client:
            try:
                answer = getattr(client, _python_name(call.rpc))(
                    self._generated.request(call), **_call_options(call)
                )
            except ConnectError as error:
                raise _refused(error) from error
        return _fields(answer)


class ConnectRpcAsyncClient:
    """connectrpc's asynchronous client; `runner` is the event loop that it lives on."""

    def __init__(self, url: str, lane: Lane, generated: Generated, runner: asyncio.Runner) -> None:
        self._generated = generated
        self._classes = generated.clients(suffix="")
        self._url = url
        self._lane = lane
        self._runner = runner
        self._http = HttpClient(HTTPTransport(http_version=_http_version(lane)))

    def call(self, call: Call) -> dict[str, Any]:
        return self._runner.run(self._call(call))

    async def _call(self, call: Call) -> dict[str, Any]:
        options = _client_options(self._lane, call)
        async with self._classes[call.service](
            self._url, http_client=self._http, **options
        ) as client:
            try:
                answer = await getattr(client, _python_name(call.rpc))(
                    self._generated.request(call), **_call_options(call)
                )
            except ConnectError as error:
                raise _refused(error) from error
        return _fields(answer)


def _http_version(lane: Lane) -> HTTPVersion:
    is_http2 = lane.server == "pyvoy" or lane.protocol == "gRPC"
    return HTTPVersion.HTTP2 if is_http2 else HTTPVersion.HTTP1


def _client_options(lane: Lane, call: Call) -> dict[str, Any]:
    return {
        "protocol": _PROTOCOLS[lane.protocol],
        "codec": proto_json_codec() if lane.codec == "JSON" else proto_binary_codec(),
        "send_compression": GzipCompression() if call.gzip else None,
    }


def _call_options(call: Call) -> dict[str, Any]:
    headers = {"authorization": call.authorization} if call.authorization else {}
    by_get = {"use_get": True} if call.get else {}
    return {"headers": headers, "timeout_ms": call.timeout_ms, **by_get}


def _python_name(rpc: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in rpc).removeprefix("_")


def _fields(answer: Any) -> dict[str, Any]:  # noqa: ANN401 # generated
    fields: dict[str, Any] = json.loads(answer.to_json())
    return fields


def _refused(error: ConnectError) -> Refused:
    details = []
    for detail in error.details:
        message = detail.value(_DETAILS[detail.type_name])
        assert message is not None
        details.append((detail.type_name, json.loads(message.to_json())))
    return refused(error.code.value, error.message, details)
