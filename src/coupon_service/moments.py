"""Moments as people write and read them on the command line."""

import contextlib
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import click
from protobuf.wkt.google.protobuf.timestamp_pb import Timestamp

_RELATIVE = re.compile(r"\+(\d{1,9}(?:\.\d{1,6})?)([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class Moment(click.ParamType[datetime]):
    """`now`, a time from now such as +10s, or an ISO 8601 time."""

    name = "moment"

    def convert(
        self,
        value: Any,  # noqa: ANN401 # as click has it
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> datetime:
        """Return an aware datetime; fail with bad usage if it cannot be read."""
        try:
            return parse(value, now=datetime.now(UTC))
        except (OverflowError, ValueError):
            self.fail(f"{value!r} is not now, +10s, +5m, +2h, +1d or an ISO 8601 time", param, ctx)


MOMENT = Moment()


def parse(text: str, *, now: datetime) -> datetime:
    """Read a moment; ISO 8601 without an offset is local time.

    Raises:
        ValueError, OverflowError: it is none, or beyond the year 9999.
    """
    if text == "now":
        return now
    if relative := _RELATIVE.fullmatch(text):
        amount, unit = relative.groups()
        return now + timedelta(**{_UNITS[unit]: float(amount)})
    return datetime.fromisoformat(text).astimezone()


def timestamp(moment: datetime) -> Timestamp:
    """Return a moment as requests carry it."""
    return Timestamp.from_datetime(moment)


def readable(instant: Timestamp | None) -> str:
    """Return an instant in local time, to the millisecond; none is never."""
    if instant is None:
        return "never"
    moment = instant.to_datetime()
    # Local time may lie outside of the years 1 to 9999; then UTC has to do.
    with contextlib.suppress(OverflowError, ValueError):
        moment = moment.astimezone()
    return moment.isoformat(sep=" ", timespec="milliseconds")
