"""What the tests of bad input ask with, and what every answer to it holds."""

from collections.abc import Awaitable, Callable

from protobuf.wkt.google.protobuf.timestamp_pb import Timestamp
from support.refusals import BAD_REQUEST, ERROR_INFO, Refusal, of_json
from support.wire import RPC_PREFIX, Answer, post

from coupon_service.gen.coupon.v1 import coupon_pb as pb

REQUEST_BYTES_MAX = 65536
START = '"startTime":"2020-01-01T00:00:00Z"'
GOOD_JSON = f'{{"name":"x","couponLimit":3,{START}}}'.encode()
GOOD_PROTO = pb.CreateCampaignRequest(
    name="x", coupon_limit=3, start_time=Timestamp(seconds=1)
).to_binary()
GZIP = (b"content-encoding", b"gzip")
CREATE = RPC_PREFIX + b"CreateCampaign"

# What only the inside knows.
INNER = (b"Traceback", b'File "', b"asyncpg", b"SELECT", b"coupon_service", b"connectrpc", b".py")
# How Python and its libraries talk.
PYTHONISH = (b"<class", b"codec can't", b"object at 0x", b"Error -", b"None", b"NoneType", b"(char")

Ask = Callable[[bytes], Awaitable[Answer]]


def assert_invalid(status: int, got: Refusal, *fields: str) -> None:
    """Hold that an answer is INVALID_REQUEST for these fields, in the contract's form."""
    want = "invalid_argument", "INVALID_REQUEST", "coupon.v1", (ERROR_INFO, BAD_REQUEST)
    assert (status, got.summary, got.fields) == (400, want, fields)


def assert_readable(answer: Answer, code: str) -> None:
    """Hold that an answer which no RPC gives is one that Connect clients read."""
    got = of_json(answer.body)
    assert (got.code, got.details) == (code, ())
    assert got.message.endswith(".")
    assert (answer.headers["content-type"], answer.headers["cache-control"]) == (
        "application/json",
        "no-store",
    )


async def assert_json_refused(ask: Ask, rpc: str, body: str | bytes, *fields: str) -> None:
    data = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
    answer = await ask(post(rpc, data))
    assert_invalid(answer.status, of_json(answer.body), *fields)
