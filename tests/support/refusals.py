"""What a refusal says, read the same way from every protocol."""

import json
from base64 import b64decode
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import unquote

import httpx
from connectrpc._gen.google.rpc.status_pb import Status
from connectrpc.codec import proto_json_codec
from connectrpc.errors import ConnectError
from connectrpc.protocol import ProtocolType
from protobuf import Message

from coupon_service.gen.coupon.v1 import coupon_pb as pb
from coupon_service.gen.coupon.v1.coupon_connect import CouponServiceClient
from coupon_service.gen.google.rpc.error_details_pb import BadRequest, ErrorInfo, RetryInfo
from support.wire import Answer

Request = pb.CreateCampaignRequest | pb.GetCampaignRequest | pb.IssueCouponRequest
PROTOCOLS = ("connect-json", "connect-binary", "grpc-web")


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """An error as a caller reads it; `details` names the types of its details, in order."""

    code: str
    message: str
    reason: str = ""
    domain: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    fields: tuple[str, ...] = ()
    retry_seconds: float | None = None
    details: tuple[str, ...] = ()

    @property
    def summary(self) -> tuple[str, str, str, tuple[str, ...]]:
        """Return what is the same each time: neither a delay nor a sentence."""
        return self.code, self.reason, self.domain, self.details


ERROR_INFO = "google.rpc.ErrorInfo"
BAD_REQUEST = "google.rpc.BadRequest"
RETRY_INFO = "google.rpc.RetryInfo"


def of_error(error: ConnectError) -> Refusal:
    """Read what connectrpc's client raised."""
    details = ((detail.type_name, detail.message_bytes) for detail in error.details)
    return _refusal(error.code.value, error.message, details)


def of_json(body: bytes) -> Refusal:
    """Read the body of a Connect error."""
    error = json.loads(body)
    details = (
        (detail["type"], b64decode(detail["value"] + "===")) for detail in error.get("details", ())
    )
    return _refusal(error["code"], error["message"], details)


def of_grpc_web(answer: Answer) -> Refusal:
    """Read the trailers of a gRPC-Web answer, which may be its headers; the code is a number."""
    trailers = dict(answer.headers)
    if answer.body:
        lines = answer.body[5:].decode().split("\r\n")
        trailers = {name: value.strip() for name, _, value in (x.partition(":") for x in lines)}
    status = Status.from_binary(b64decode(trailers.get("grpc-status-details-bin", "") + "==="))
    details = (
        (detail.type_url.removeprefix("type.googleapis.com/"), detail.value)
        for detail in status.details
    )
    return _refusal(trailers["grpc-status"], unquote(trailers.get("grpc-message", "")), details)


def _refusal(code: str, message: str, details: Iterable[tuple[str, bytes]]) -> Refusal:
    payloads = dict(details)
    info = ErrorInfo.from_binary(payloads.get(ERROR_INFO, b""))
    bad_request = BadRequest.from_binary(payloads.get(BAD_REQUEST, b""))
    retry = RetryInfo.from_binary(payloads.get(RETRY_INFO, b"")).retry_delay
    return Refusal(
        code=code,
        message=message,
        reason=info.reason,
        domain=info.domain,
        metadata=dict(info.metadata),
        fields=tuple(violation.field for violation in bad_request.field_violations),
        retry_seconds=None if retry is None else retry.to_timedelta().total_seconds(),
        details=tuple(payloads),
    )


def client(url: str, protocol: str) -> CouponServiceClient:
    """Return connectrpc's client for a protocol and codec."""
    return CouponServiceClient(
        url,
        codec=proto_json_codec() if protocol == "connect-json" else None,
        protocol=ProtocolType.GRPC_WEB if protocol == "grpc-web" else ProtocolType.CONNECT,
    )


async def call(url: str, protocol: str, request: Request) -> Message:
    """Make the call that a request belongs to."""
    async with client(url, protocol) as calls:
        match request:
            case pb.CreateCampaignRequest():
                return await calls.create_campaign(request)
            case pb.GetCampaignRequest():
                return await calls.get_campaign(request)
            case pb.IssueCouponRequest():
                return await calls.issue_coupon(request)


async def refusal(url: str, protocol: str, request: Request) -> Refusal:
    """Make a call that must be refused."""
    try:
        answer = await call(url, protocol, request)
    except ConnectError as error:
        return of_error(error)
    raise AssertionError(f"not refused, but answered: {answer}")


async def refusals(url: str, request: Request) -> tuple[int, list[Refusal]]:
    """Make a call in every protocol; return the HTTP status and what each of them says."""
    rpc = type(request).__name__.removesuffix("Request")
    async with httpx.AsyncClient() as plain:
        response = await plain.post(
            f"{url}/coupon.v1.CouponService/{rpc}",
            content=request.to_json(),
            headers={"content-type": "application/json"},
        )
    heard = [await refusal(url, protocol, request) for protocol in PROTOCOLS]
    return response.status_code, [of_json(response.content), *heard]
