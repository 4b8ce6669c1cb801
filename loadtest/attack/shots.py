"""What an attacker sends over one connection, and what may come back."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

SERVICE = b"/coupon.v1.CouponService/"
RPCS = ("CreateCampaign", "GetCampaign", "IssueCoupon")

Header = tuple[bytes, bytes]
Headers = Sequence[Header]

JSON: Headers = ((b"content-type", b"application/json"),)
PROTO: Headers = ((b"content-type", b"application/proto"),)
GRPC_WEB: Headers = ((b"content-type", b"application/grpc-web+proto"),)
GRPC: Headers = ((b"content-type", b"application/grpc+proto"), (b"te", b"trailers"))


class Wanted(Enum):
    """What may come back."""

    CONNECT = "an answer or an error of Connect"
    GRPC_WEB = "an answer of gRPC-Web, with a status"
    GRPC = "an answer of gRPC, with a status"
    HTTP = "any answer of HTTP but a failure, or a closed connection"
    REFUSED = "a refusal of HTTP or a closed connection, and nothing after it"


@dataclass(frozen=True, kw_only=True, slots=True)
class Shot:
    """Bytes for a connection of HTTP/1.1 and, if they are one request, that for HTTP/2.

    `answer_count` is how many answers are waited for.
    """

    data: bytes
    wanted: Wanted
    request: "Request | None" = None
    answer_count: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """A request that is whole as far as HTTP is concerned."""

    method: bytes = b"POST"
    target: bytes
    headers: tuple[Header, ...] = field(default=())
    body: bytes = b""

    def as_http1(self) -> bytes:
        """Return its bytes in HTTP/1.1."""
        length = [(b"content-length", b"%d" % len(self.body))] if self.method == b"POST" else []
        return head(self.method, self.target, [*self.headers, *length]) + self.body

    def as_http2(self) -> list[Header]:
        """Return its headers in HTTP/2."""
        return [
            (b":method", self.method),
            (b":scheme", b"http"),
            (b":authority", b"coupons"),
            (b":path", self.target),
            *((name.lower(), value) for name, value in self.headers),
        ]


def head(method: bytes, target: bytes, headers: Headers = (), version: bytes = b"1.1") -> bytes:
    """Return a request's head, up to and with the empty line."""
    lines = [name + b": " + value for name, value in headers]
    first = method + b" " + target + b" HTTP/" + version
    return b"\r\n".join([first, b"host: coupons", *lines, b"", b""])


def call(rpc: str, body: bytes, headers: Headers = JSON, wanted: Wanted = Wanted.CONNECT) -> Shot:
    """Return a call of an RPC by POST."""
    request = Request(target=SERVICE + rpc.encode(), headers=tuple(headers), body=body)
    return Shot(data=request.as_http1(), wanted=wanted, request=request)


def get(target: bytes, headers: Headers = (), wanted: Wanted = Wanted.HTTP) -> Shot:
    """Return a GET."""
    request = Request(method=b"GET", target=target, headers=tuple(headers))
    return Shot(data=request.as_http1(), wanted=wanted, request=request)


def raw(data: bytes, wanted: Wanted = Wanted.HTTP, *, answer_count: int = 1) -> Shot:
    """Return bytes as they are."""
    return Shot(data=data, wanted=wanted, answer_count=answer_count)


def envelope(message: bytes, *, flags: int = 0, length: int | None = None) -> bytes:
    """Return a frame of gRPC, whose length may be a lie."""
    told = len(message) if length is None else length
    return bytes([flags]) + told.to_bytes(4, "big") + message


def chunk(data: bytes) -> bytes:
    """Return one chunk of a chunked body; an empty one ends it."""
    return b"%x\r\n%b\r\n" % (len(data), data)
