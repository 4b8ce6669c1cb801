"""grpcio, Google's client, with the code that Google's compiler generates."""

import asyncio
import importlib
import sys
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.json_format import MessageToDict, ParseDict
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from interop.calls import COUPONS, HEALTH, Call, Refused, refused
from interop.tomorrow import UNKNOWN_SERVICE

DETAILS = {
    message.DESCRIPTOR.full_name: message
    for message in (
        error_details_pb2.ErrorInfo,
        error_details_pb2.BadRequest,
        error_details_pb2.RetryInfo,
    )
}


class Generated:
    """The modules that were generated into a folder."""

    def __init__(self, folder: Path) -> None:
        sys.path.insert(0, str(folder))
        try:
            self._messages: Any = importlib.import_module("coupon.v1.coupon_pb2")
            self._stubs: Any = importlib.import_module("coupon.v1.coupon_pb2_grpc")
        finally:
            sys.path.remove(str(folder))

    def stub(self, service: str, channel: Any) -> Any:  # noqa: ANN401 # generated
        stubs = {
            COUPONS: self._stubs.CouponServiceStub,
            UNKNOWN_SERVICE: self._stubs.TomorrowServiceStub,
            HEALTH: health_pb2_grpc.HealthStub,
        }
        return stubs[service](channel)

    def request(self, call: Call) -> Any:  # noqa: ANN401 # generated
        """Return a call's request."""
        if call.service == HEALTH:
            kind = health_pb2.HealthCheckRequest
        elif hasattr(self._messages, f"{call.rpc}Request"):
            kind = getattr(self._messages, f"{call.rpc}Request")
        else:
            kind = self._messages.IssueCouponRequest
        return ParseDict(dict(call.fields), kind())


class GrpcClient:
    """grpcio's synchronous client."""

    def __init__(self, target: str, generated: Generated) -> None:
        self._channel = grpc.insecure_channel(target)
        self._generated = generated

    def close(self) -> None:
        self._channel.close()

    def call(self, call: Call) -> dict[str, Any]:
        rpc = getattr(self._generated.stub(call.service, self._channel), call.rpc)
        try:
            answer = rpc(self._generated.request(call), **_options(call))
        except grpc.RpcError as error:
            raise _refused(error) from error
        return _fields(answer)


class GrpcAioClient:
    """grpcio's asynchronous client; `runner` is the event loop that it lives on."""

    def __init__(self, target: str, generated: Generated, runner: asyncio.Runner) -> None:
        self._generated = generated
        self._runner = runner
        self._channel = runner.run(self._open(target))

    @staticmethod
    async def _open(target: str) -> grpc.aio.Channel:
        return grpc.aio.insecure_channel(target)

    def close(self) -> None:
        self._runner.run(self._channel.close())

    def call(self, call: Call) -> dict[str, Any]:
        return self._runner.run(self._call(call))

    async def _call(self, call: Call) -> dict[str, Any]:
        rpc = getattr(self._generated.stub(call.service, self._channel), call.rpc)
        try:
            answer = await rpc(self._generated.request(call), **_options(call))
        except grpc.aio.AioRpcError as error:
            raise _refused(error) from error
        return _fields(answer)


def _fields(answer: Any) -> dict[str, Any]:  # noqa: ANN401 # generated
    fields: dict[str, Any] = MessageToDict(answer)
    return fields


def _options(call: Call) -> dict[str, Any]:
    metadata = [("authorization", call.authorization)] if call.authorization else []
    return {
        "timeout": call.timeout_ms / 1000,
        "metadata": metadata,
        "compression": grpc.Compression.Gzip if call.gzip else None,
    }


def _refused(error: Any) -> Refused:  # noqa: ANN401 # both kinds of grpcio's errors
    status = rpc_status.from_call(error)
    details = []
    for packed in status.details if status is not None else ():
        message = DETAILS[packed.TypeName()]()
        assert packed.Unpack(message)
        details.append((packed.TypeName(), MessageToDict(message)))
    return refused(error.code().name.lower(), error.details(), details)
