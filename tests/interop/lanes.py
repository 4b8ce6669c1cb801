"""Every way in: which client speaks which protocol to which server, and what it cannot do."""

import shutil
from dataclasses import dataclass, field
from typing import Literal

Protocol = Literal["Connect", "gRPC-Web", "gRPC"]
Codec = Literal["JSON", "binary"]
Server = Literal["uvicorn", "pyvoy"]

SERVERS: tuple[Server, ...] = ("uvicorn", "pyvoy")

# These two come from no package registry: they are used where they are installed.
CURL = shutil.which("curl") or ""
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)

ONLY_CONNECT_GETS = "only the Connect protocol has calls by HTTP GET"
NEVER_COMPRESSES = "the client never compresses what it sends"
NOT_HERE = "its program is not on this machine"


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """A client; `ways` are the protocols and codecs that it speaks, `only` why no others.

    `is_program` tells whether each call starts it anew, `is_absent` whether it is not on
    this machine, `lacks` for what it has no switch.
    """

    name: str
    ways: tuple[tuple[Protocol, Codec], ...]
    only: str = ""
    is_program: bool = False
    is_absent: bool = False
    needs_http2: bool = False
    lacks: dict[str, str] = field(default_factory=dict)


_CONNECT: tuple[tuple[Protocol, Codec], ...] = (("Connect", "JSON"), ("Connect", "binary"))
_WEB: tuple[Protocol, Codec] = ("gRPC-Web", "binary")
_GRPC: tuple[Protocol, Codec] = ("gRPC", "binary")

_BUF_LACKS = {"gzip": NEVER_COMPRESSES, "get": "buf curl has no option for calls by HTTP GET"}
_BUF_WAYS: tuple[tuple[Protocol, Codec], ...] = (("Connect", "binary"), _WEB, _GRPC)

KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            name="curl",
            ways=(("Connect", "JSON"),),
            only="what people type is JSON over Connect",
            is_program=True,
            is_absent=not CURL,
        ),
        Kind(
            name="buf curl",
            ways=_BUF_WAYS,
            only="it takes and prints JSON, and sends binary in every protocol",
            is_program=True,
            lacks=_BUF_LACKS,
        ),
        Kind(
            name="buf curl, reflection",
            ways=_BUF_WAYS,
            only="as buf curl",
            is_program=True,
            needs_http2=True,
            lacks=_BUF_LACKS
            | dict.fromkeys(("field", "no rpc"), "the schema is the server's: it has nothing else"),
        ),
        Kind(name="grpcio", ways=(_GRPC,), only="it is Google's gRPC library"),
        Kind(name="grpcio aio", ways=(_GRPC,), only="it is Google's gRPC library"),
        Kind(name="connectrpc", ways=(*_CONNECT, _WEB, _GRPC)),
        Kind(name="connectrpc async", ways=(*_CONNECT, _WEB, _GRPC)),
        Kind(name="connect-node", ways=(*_CONNECT, _WEB, _GRPC)),
        Kind(
            name="connect-web, Node",
            ways=(*_CONNECT, _WEB),
            only="fetch shows no trailers, in which gRPC sends the status",
            lacks={"gzip": NEVER_COMPRESSES},
        ),
        Kind(
            name="connect-web, Chromium",
            ways=(*_CONNECT, _WEB),
            only="browsers show no trailers, in which gRPC sends the status",
            is_absent=not CHROMIUM,
            lacks={"gzip": NEVER_COMPRESSES},
        ),
    )
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Lane:
    """One client speaking one protocol with one codec to one server."""

    client: str
    protocol: Protocol
    codec: Codec
    server: Server

    @property
    def kind(self) -> Kind:
        return KINDS[self.client]

    @property
    def id(self) -> str:
        """The name of the lane in the names of tests."""
        words = (self.client, self.protocol, self.codec, self.server)
        return "-".join(words).replace(", ", "-").replace(" ", "-")

    @property
    def way(self) -> str:
        """The protocol, and the codec where there is a choice."""
        return f"Connect {self.codec}" if self.protocol == "Connect" else self.protocol

    @property
    def needs_http2(self) -> bool:
        """Whether the lane leads nowhere with a server that speaks HTTP/1.1."""
        return self.protocol == "gRPC" or self.kind.needs_http2

    @property
    def is_closed(self) -> bool:
        """Whether no call can get through; a test sees how it fails, and says why."""
        return self.server == "uvicorn" and self.needs_http2

    def cannot(self, column: str) -> str:
        """Return why the lane has no such cell; "" if it has."""
        if self.kind.is_absent:
            return NOT_HERE
        if column == "get" and self.protocol != "Connect":
            return ONLY_CONNECT_GETS
        return self.kind.lacks.get(column, "")


LANES = tuple(
    Lane(client=kind.name, protocol=protocol, codec=codec, server=server)
    for server in SERVERS
    for kind in KINDS.values()
    for protocol, codec in kind.ways
)
