"""Answers of HTTP/1.1, read from bytes without trusting them."""

import re
from dataclasses import dataclass, field

_STATUS_LINE = re.compile(rb"HTTP/1\.[01] (\d{3})(?: [^\r\n]*)?")
_NO_BODY = frozenset({204, 304})


class NotHttp(Exception):
    """What came back is no answer of HTTP/1.1; the message says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """One answer, whose trailers are those of HTTP/2."""

    status: int
    headers: dict[str, str]
    body: bytes = b""
    trailers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Exchange:
    """What became of a shot: its answers, what could not be read, and how it ended.

    `is_over` tells whether there was an answer or the other side closed; otherwise the
    caller gave up waiting.
    """

    answers: list[Answer]
    rest: bytes = b""
    is_closed: bool = False
    is_over: bool = True
    seconds: float = 0


def read_answers(
    data: bytes, *, is_closed: bool, method: bytes = b"POST"
) -> tuple[list[Answer], bytes]:
    """Return the whole answers at the beginning of some bytes, and the bytes after them.

    Raises:
        NotHttp: there is something else.
    """
    answers: list[Answer] = []
    while data:
        head, end, rest = data.partition(b"\r\n\r\n")
        if not end:
            if not b"HTTP/1.".startswith(data[:7]):
                raise NotHttp(f"it begins with {data[:40]!r}")
            break
        status, headers = _head(head)
        taken = _body(status, headers, rest, is_closed=is_closed, method=method)
        if taken is None:
            break
        body, data = taken
        if status >= 200:
            answers.append(Answer(status=status, headers=headers, body=body))
    return answers, data


def _head(head: bytes) -> tuple[int, dict[str, str]]:
    first, *lines = head.split(b"\r\n")
    found = _STATUS_LINE.fullmatch(first)
    if not found:
        raise NotHttp(f"it begins with {first[:40]!r}")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon:
            raise NotHttp(f"a header without a colon: {line[:40]!r}")
        headers[name.decode("latin-1").lower()] = value.decode("latin-1").strip()
    return int(found[1]), headers


def _body(
    status: int, headers: dict[str, str], rest: bytes, *, is_closed: bool, method: bytes
) -> tuple[bytes, bytes] | None:
    """Return an answer's body and what follows it, or None if it is not whole yet."""
    if status < 200 or status in _NO_BODY:
        return b"", rest
    if method == b"HEAD":
        # Who closes does no harm with a body that should not be.
        return (rest, b"") if headers.get("connection") == "close" else (b"", rest)
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return _chunks(rest)
    if "content-length" in headers:
        length = int(headers["content-length"])
        return (rest[:length], rest[length:]) if len(rest) >= length else None
    return (rest, b"") if is_closed else None


def _chunks(rest: bytes) -> tuple[bytes, bytes] | None:
    parts: list[bytes] = []
    while True:
        line, end, rest = rest.partition(b"\r\n")
        if not end:
            return None
        try:
            size = int(line.partition(b";")[0], 16)
        except ValueError as exc:
            raise NotHttp(f"a chunk of the size {line[:40]!r}") from exc
        if not size:
            return _after_trailers(b"".join(parts), rest)
        if len(rest) < size + 2:
            return None
        parts.append(rest[:size])
        rest = rest[size + 2 :]


def _after_trailers(body: bytes, rest: bytes) -> tuple[bytes, bytes] | None:
    while True:
        line, end, rest = rest.partition(b"\r\n")
        if not end:
            return None
        if not line:
            return body, rest
