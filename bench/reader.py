"""A client that reads whole campaigns: once, or in a loop beside something else."""

import http.client
import json
import multiprocessing
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from multiprocessing.connection import Connection
from typing import Self, TypeVar
from urllib.parse import urlsplit

from bench.load import LoadFailed
from bench.stand import GET_PATH

T = TypeVar("T")

READ_SECONDS_MAX = 60
_GZIP_WINDOW = 16 + zlib.MAX_WBITS  # how zlib is told that it is gzip


@dataclass(frozen=True, slots=True)
class Body:
    """The body of an answer as it was sent."""

    sent: bytes
    encoding: str | None

    def decoded(self) -> bytes:
        """Return the message, decompressed if need be."""
        return zlib.decompress(self.sent, _GZIP_WINDOW) if self.encoding == "gzip" else self.sent


class Reader:
    """Reads one campaign in plain Python, over one connection that is made when needed.

    `message_format` is json or proto; `encoding` is the compression that it accepts.
    """

    def __init__(
        self,
        url: str,
        campaign_id: str,
        *,
        message_format: str = "json",
        encoding: str = "identity",
    ) -> None:
        self._connection = http.client.HTTPConnection(
            urlsplit(url).netloc, timeout=READ_SECONDS_MAX
        )
        self._campaign_id = campaign_id
        self._message_format = message_format
        self._encoding = encoding

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Hang up."""
        self._connection.close()

    def read(self, *, codes: bool = True) -> Body:
        """Read the campaign, with all its codes or without any.

        Raises:
            LoadFailed: the call was refused.
        """
        headers = {
            "content-type": f"application/{self._message_format}",
            "accept-encoding": self._encoding,
        }
        self._connection.request("POST", GET_PATH, self._request(codes=codes), headers)
        response = self._connection.getresponse()
        body = response.read()
        if response.status != HTTPStatus.OK:
            raise LoadFailed(f"GetCampaign was answered with {response.status}: {body[:500]!r}")
        return Body(body, response.headers["content-encoding"])

    def _request(self, *, codes: bool) -> bytes:
        if self._message_format == "proto":
            return b"\n\x24" + self._campaign_id.encode() + (b"" if codes else b"\x10\x01")
        view = "CAMPAIGN_VIEW_FULL" if codes else "CAMPAIGN_VIEW_BASIC"
        return json.dumps({"campaignId": self._campaign_id, "view": view}).encode()


@dataclass(frozen=True, kw_only=True, slots=True)
class Reads:
    """What a loop of reads got through; `bytes_each` is the size of an answer as sent."""

    count: int
    seconds: float
    bytes_each: int


def while_reading(
    run: Callable[[], T], url: str, campaign_id: str, *, coupons: int, encoding: str
) -> tuple[T, Reads]:
    """Run something while another process reads a campaign, as JSON, again and again.

    Returns:
        What the run returned, and what was read meanwhile.

    Raises:
        LoadFailed: a read was refused, or did not have all the codes.
    """
    # A process of its own, so that it takes no time from whatever measures in this one.
    spawning = multiprocessing.get_context("spawn")
    ours, theirs = spawning.Pipe()
    reader = spawning.Process(
        target=_read_until_told, args=(theirs, url, campaign_id, coupons, encoding), daemon=True
    )
    reader.start()
    theirs.close()
    try:
        ours.recv()
        result = run()
        ours.send("stop")
        return result, ours.recv()
    except (EOFError, BrokenPipeError) as exc:
        raise LoadFailed("the reader failed; the traceback above says why") from exc
    finally:
        ours.close()
        reader.join(READ_SECONDS_MAX)


def _read_until_told(
    told: Connection, url: str, campaign_id: str, coupons: int, encoding: str
) -> None:
    """Read once, say so, and read on until there is a message."""
    with Reader(url, campaign_id, encoding=encoding) as reader:
        body = _read_all(reader, coupons)
        told.send("reading")
        count, begun_at = 0, time.monotonic()
        while not told.poll():
            body = _read_all(reader, coupons)
            count += 1
    told.send(Reads(count=count, seconds=time.monotonic() - begun_at, bytes_each=len(body.sent)))


def _read_all(reader: Reader, coupons: int) -> Body:
    """Read the campaign, and count its codes by their quotation marks."""
    body = reader.read()
    _, _, codes = body.decoded().partition(b'"couponCodes"')
    if (marks := codes.count(b'"')) != coupons * 2:
        raise LoadFailed(f"{marks // 2} codes were read instead of {coupons}")
    return body
