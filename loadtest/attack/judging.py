"""Holds each answer to the contract: its form, its code, and nothing of the inside in it."""

import json
from base64 import b64decode
from binascii import Error as NotBase64
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from loadtest.attack.answers import Answer, Exchange
from loadtest.attack.shots import Shot, Wanted

# The codes of Connect and their HTTP status.
STATUS_OF_CODE = {
    "canceled": 499,
    "unknown": 500,
    "invalid_argument": 400,
    "deadline_exceeded": 504,
    "not_found": 404,
    "already_exists": 409,
    "permission_denied": 403,
    "resource_exhausted": 429,
    "failed_precondition": 400,
    "aborted": 409,
    "out_of_range": 400,
    "unimplemented": 501,
    "internal": 500,
    "unavailable": 503,
    "data_loss": 500,
    "unauthenticated": 401,
}
# A service that has all it needs never answers these.
FAILURES = frozenset({"unknown", "internal", "data_loss", "unavailable"})
GRPC_FAILURES = frozenset({"2", "14", "15"})
GRPC_CODES = frozenset(str(number) for number in range(17))
INTERNAL = "13"

# What HTTP itself has to say of requests that are none of Connect.
PLAIN = frozenset({200, 204, 400, 401, 403, 404, 405, 406, 408, 411, 413, 414, 415, 417, 421, 426})
PLAIN |= {301, 307, 308, 429, 431, 501, 505}

# What only the inside knows, and how Python and its libraries talk.
INNER: tuple[bytes, ...] = (
    b"Traceback",
    b'File "',
    b"asyncpg",
    b"postgres",
    b"connectrpc",
    b"coupon_service",
    b"uvicorn",
)
INNER += (b"SELECT ", b"INSERT ", b"UPDATE ", b"site-packages", b".py", b"<class", b"object at 0x")
INNER += (b"NoneType", b"codec can't", b"/root/", b"/home/")
INNER += (str(Path(__file__).parents[2]).encode(),)


def outcome(exchange: Exchange) -> str:
    """Return what came back in a word or two, for counting."""
    if not exchange.answers:
        return "closed" if exchange.is_closed else "none"
    answer = exchange.answers[0]
    code = _grpc_status(answer)
    return f"grpc {code}" if code else str(answer.status)


def violation(shot: Shot, exchange: Exchange) -> str | None:
    """Return in one sentence what is wrong with what came back, or None."""
    if not exchange.is_over:
        return "It was neither answered nor closed in time."
    # Noise may hold the end of one request and the beginning of another.
    if len(exchange.answers) > shot.answer_count and shot.wanted is not Wanted.HTTP:
        return f"{len(exchange.answers)} answers came to {shot.answer_count} requests."
    if not exchange.answers and shot.wanted not in {Wanted.HTTP, Wanted.REFUSED}:
        return "The connection was closed without an answer."
    for answer in exchange.answers:
        if wrong := answer_violation(shot, answer):
            return wrong
    return None


def answer_violation(shot: Shot, answer: Answer) -> str | None:
    """Return what is wrong with one answer, or None."""
    if words := inner_words(answer, sent=shot.data):
        return f"The answer holds {words[0]!r}, which is of the inside."
    match shot.wanted:
        case Wanted.REFUSED:
            is_refused = 400 <= answer.status < 500 or answer.status in {501, 505}
            return None if is_refused else f"It was answered {answer.status} and not refused."
        case Wanted.CONNECT:
            return _of_connect(answer)
        case Wanted.GRPC_WEB | Wanted.GRPC:
            return _of_grpc(answer)
        case Wanted.HTTP:
            return _of_http(answer)


def inner_words(answer: Answer, *, sent: bytes) -> list[bytes]:
    """Return what the answer holds of the inside; what callers sent may come back."""
    told = [str(answer.headers).encode(), str(answer.trailers).encode(), *_details(answer)]
    if answer.status != 200 or _grpc_status(answer):
        told.append(answer.body)
    return [word for word in INNER if word not in sent and any(word in text for text in told)]


def _details(answer: Answer) -> list[bytes]:
    values = [_object(answer.body).get("details", [])]
    packed = [each.get("value", "") for each in values[0] if isinstance(each, dict)]
    packed += [answer.headers.get("grpc-status-details-bin", "")]
    packed += [answer.trailers.get("grpc-status-details-bin", "")]
    return [_decoded(text) for text in packed]


def _decoded(text: str) -> bytes:
    try:
        return b64decode(text + "==")
    except (NotBase64, ValueError):
        return text.encode()


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _of_connect(answer: Answer) -> str | None:
    if answer.status == 200:
        return None
    # A content type that Connect does not know, and a method, have no error of Connect.
    if answer.status in {404, 405, 413, 415}:
        return None
    return _error_violation(answer)


def _error_violation(answer: Answer) -> str | None:
    """Return what is wrong with an error of Connect, or None."""
    error = _object(answer.body)
    code = error.get("code")
    if code not in STATUS_OF_CODE:
        return f"The status {answer.status} came without a code of Connect: {answer.body[:80]!r}."
    if STATUS_OF_CODE[code] != answer.status:
        return f"The code {code} came with the status {answer.status}."
    if not isinstance(error.get("message", ""), str) or not _is_well_formed(error.get("details")):
        return f"The error of Connect is malformed: {answer.body[:200]!r}."
    return f"A call failed: {answer.body[:200]!r}." if code in FAILURES else None


def _is_well_formed(details: object) -> bool:
    if details is None:
        return True
    return isinstance(details, list) and all(
        isinstance(each, dict)
        and isinstance(each.get("type"), str)
        and isinstance(each.get("value"), str)
        for each in details
    )


def _of_http(answer: Answer) -> str | None:
    if "code" in _object(answer.body) and answer.status not in PLAIN:
        return _error_violation(answer)
    if _grpc_status(answer):
        return _of_grpc(answer)
    return None if answer.status in PLAIN else f"It was answered {answer.status}."


def _of_grpc(answer: Answer) -> str | None:
    # A server without trailers, and one that does not know the content type, say so in HTTP.
    if answer.status in {404, 405, 413, 415}:
        return None
    status = _grpc_status(answer)
    if answer.status != 200 or status not in GRPC_CODES:
        return f"The status {answer.status} came with the gRPC status {status!r}."
    message = unquote(grpc_trailers(answer).get("grpc-message", ""))
    if status in GRPC_FAILURES or (status == INTERNAL and "internal error" in message):
        return f"A call failed with the gRPC status {status}: {message!r}."
    return None


def _grpc_status(answer: Answer) -> str:
    return grpc_trailers(answer).get("grpc-status", "")


def grpc_trailers(answer: Answer) -> dict[str, str]:
    """Return the trailers of gRPC, which may be the headers, or of gRPC-Web, in the body."""
    found = {**answer.headers, **answer.trailers}
    body = answer.body
    while len(body) >= 5 and "grpc-web" in answer.headers.get("content-type", ""):
        length = int.from_bytes(body[1:5], "big")
        if body[0] & 0x80:
            lines = body[5 : 5 + length].decode("latin-1").split("\r\n")
            pairs = (line.partition(":") for line in lines)
            found |= {name.lower(): value.strip() for name, _, value in pairs}
        body = body[5 + length :]
    return found
