"""The history of a load test: what every caller asked, when, and what came back.

A history is text: one JSON object on each line, whose `kind` says what it is. Lines may
come in any order, and may be spread over several files.

All times are whole microseconds since the Unix epoch. `sent_us` is just before the
request was written and `answered_us` just after the answer was read, by the clock of the
calling process; `issue_time_us`, `start_time_us` and their like are what the service
said, by the database's clock.
"""

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

OK = "OK"
NO_ANSWER = "NO_ANSWER"
FULL, BASIC = "FULL", "BASIC"


class HistoryError(Exception):
    """A history cannot be read; the message says where and why."""


class _Line(msgspec.Struct, kw_only=True, omit_defaults=True, tag_field="kind", gc=False):
    """What all lines have: the client process that wrote it."""

    process: str


class Clock(_Line, kw_only=True, tag="clock"):
    """What is known of a process's clock.

    It was at most `error_us` off the clock that the history goes by. The database's clock
    minus that clock was between `database_ahead_us_min` and `database_ahead_us_max`, if
    somebody measured it.
    """

    error_us: int = 0
    database_ahead_us_min: int | None = None
    database_ahead_us_max: int | None = None


class _Operation(_Line, kw_only=True):
    """What all operations have.

    `outcome` is OK, the reason of a refusal (such as SOLD_OUT), the Connect code of an
    error without one, or NO_ANSWER. Without an answer, `answered_us` is when the caller
    stopped waiting, or None if it never did.
    """

    campaign_id: str
    sent_us: int
    answered_us: int | None = None
    outcome: str = OK


class Campaign(_Operation, kw_only=True, tag="campaign"):
    """The campaign as CreateCampaign or GetCampaign described it.

    `create_time_us` is given only by the call that created it, which then tells how the
    database's clock stands to the caller's.
    """

    coupon_limit: int
    start_time_us: int
    end_time_us: int | None = None
    create_time_us: int | None = None


class Change(_Operation, kw_only=True, tag="change"):
    """An operator's change of the campaign: what is not None was set."""

    coupon_limit: int | None = None
    start_time_us: int | None = None
    end_time_us: int | None = None


class Issue(_Operation, kw_only=True, tag="issue"):
    """A call of IssueCoupon; with the outcome OK, what it answered.

    `for_user_id` and `for_campaign_id` are those of the coupon in the answer where they
    are not the ones that were asked for.
    """

    user_id: str = ""
    code: str = ""
    sequence: int = 0
    issue_time_us: int = 0
    already_issued: bool = False
    for_user_id: str | None = None
    for_campaign_id: str | None = None


class Read(_Operation, kw_only=True, tag="read"):
    """A call of GetCampaign; with the outcome OK, what it answered."""

    view: str = FULL
    issued_count: int = 0
    state: str = ""
    codes: list[str] = []


class StoredCoupon(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A row of the database: a coupon; `user_id` "" is an anonymous one."""

    code: str
    sequence: int
    user_id: str
    issue_time_us: int


class Stored(_Operation, kw_only=True, tag="stored"):
    """What the database held of the campaign when no call was under way any more."""

    issued_count: int
    coupons: list[StoredCoupon]


Operation = Campaign | Change | Issue | Read | Stored
Line = Clock | Operation

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Line] = msgspec.json.Decoder(Line)


def encode(line: Line) -> bytes:
    """Return a line of the history, without its line break."""
    return _encoder.encode(line)


def decode(data: bytes) -> Line:
    """Return what a line of the history says.

    Raises:
        msgspec.DecodeError, UnicodeDecodeError: it is not a line of a history.
    """
    return _decoder.decode(data)


class Recorder:
    """Writes a process's lines to a file, complete lines at a time."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def record(self, line: Line) -> None:
        """Append a line."""
        self._file.write(_encoder.encode(line) + b"\n")

    def flush(self) -> None:
        """Let others read what was recorded so far."""
        self._file.flush()


def files_of(paths: Iterable[Path]) -> list[Path]:
    """Return the files of a history: those given, and all *.jsonl in the folders given.

    Raises:
        HistoryError: there are none.
    """
    found = [sorted(path.glob("*.jsonl")) if path.is_dir() else [path] for path in paths]
    files = list(itertools.chain.from_iterable(found))
    if not files:
        raise HistoryError("there is no history: no file whose name ends in .jsonl")
    return files


def read_history(paths: Iterable[Path]) -> Iterator[Line]:
    """Yield the lines of a history.

    Raises:
        HistoryError: a file cannot be read, or a line is not one of a history. That a line
            was cut off is an error too: calls are missing, which could prove anything.
    """
    shared = _Shared()
    for path in files_of(paths):
        for line in _lines_of(path):
            _share(line, shared)
            yield line


class _Shared(dict[str, str]):
    """Gives for each text the first one equal to it."""

    def __missing__(self, text: str) -> str:
        self[text] = text
        return text


def _share(line: Line, shared: _Shared) -> None:
    """Keep once what a million lines repeat: ids, and the codes that each read shows again."""
    line.process = shared[line.process]
    if isinstance(line, Clock):
        return
    line.campaign_id = shared[line.campaign_id]
    if isinstance(line, Issue):
        line.code = shared[line.code]
    elif isinstance(line, Read):
        line.codes = list(map(shared.__getitem__, line.codes))


def _lines_of(path: Path) -> Iterator[Line]:
    try:
        with path.open("rb") as file:
            for number, data in enumerate(file, 1):
                try:
                    yield _decoder.decode(data)
                except (msgspec.DecodeError, UnicodeDecodeError) as exc:
                    raise HistoryError(f"{path}, line {number}: {exc}") from exc
    except OSError as exc:
        raise HistoryError(f"{path} cannot be read: {exc.strerror}") from exc
