"""Moments on the command line: as people write them, and as they read them."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st
from protobuf.wkt.google.protobuf.timestamp_pb import Timestamp

from coupon_service import moments

NOW = datetime(2030, 1, 31, 20, 0, tzinfo=UTC)
OFFSETS = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@pytest.fixture
def seoul(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Make the local time Korea's, nine hours ahead of UTC."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "KST-9")
        time.tzset()
        yield
    time.tzset()


def test_now_is_now() -> None:
    assert moments.parse("now", now=NOW) == NOW


@pytest.mark.parametrize(
    ("text", "later"),
    [
        ("+0s", timedelta(0)),
        ("+10s", timedelta(seconds=10)),
        ("+0.000001s", timedelta(microseconds=1)),
        ("+2.5s", timedelta(seconds=2.5)),
        ("+5m", timedelta(minutes=5)),
        ("+1.5h", timedelta(minutes=90)),
        ("+1d", timedelta(days=1)),
        ("+0.5d", timedelta(hours=12)),
        ("+010s", timedelta(seconds=10)),
        ("+999999999s", timedelta(seconds=999_999_999)),
    ],
)
def test_a_plus_is_a_time_from_now(text: str, later: timedelta) -> None:
    assert moments.parse(text, now=NOW) - NOW == later


@pytest.mark.usefixtures("seoul")
@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2030-01-31T20:00:00Z", NOW),
        ("2030-01-31T20:00:00+00:00", NOW),
        ("2030-02-01T05:00:00+09:00", NOW),
        ("2030-01-31T14:30:00-05:30", NOW),
        ("2030-01-31 20:00:00Z", NOW),
        ("2030-01-31T20:00Z", NOW),
        ("20300131T200000Z", NOW),
        ("2030-01-31T20:00:00.000001Z", NOW + timedelta(microseconds=1)),
        # Without an offset it is local time.
        ("2030-02-01T05:00:00", NOW),
        ("2030-02-01 05:00", NOW),
        ("2030-02-01", NOW - timedelta(hours=5)),
    ],
)
def test_an_iso_time_is_that_instant_and_local_without_an_offset(
    text: str, instant: datetime
) -> None:
    assert moments.parse(text, now=NOW) == instant


@given(st.datetimes(datetime(1971, 1, 1), datetime(9998, 1, 1), timezones=OFFSETS))  # noqa: DTZ001 # hypothesis adds the time zone
def test_any_iso_time_with_an_offset_is_that_instant(moment: datetime) -> None:
    parsed = moments.parse(moment.isoformat(), now=NOW)
    assert parsed.astimezone(UTC) == moment.astimezone(UTC)


BAD = [
    "",
    " ",
    "soon",
    "NOW",
    "now ",
    "10s",
    "+",
    "+s",
    "+10",
    "+10S",
    "+10 s",
    "+-10s",
    "-10s",
    "+1e3s",
    "+.5s",
    "+1.s",
    "+10s\n",
    "+1h30m",
    "+10w",
    "2030-13-01T00:00:00Z",
    "2030-02-30",
    "2030-01-31T25:00:00Z",
    "2030-01-31T20:00:00+99:00",
    "10000-01-01T00:00:00Z",
    "+999999999d",  # beyond the year 9999
    "+9999999999s",  # more digits than any use has
]


@pytest.mark.parametrize("text", BAD)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises((OverflowError, ValueError)):
        moments.parse(text, now=NOW)


@pytest.mark.usefixtures("seoul")
@pytest.mark.parametrize("text", [*BAD, "9999-12-31T23:59:59Z", "0001-01-01"])
def test_a_bad_moment_is_bad_usage_and_says_what_a_good_one_is(text: str) -> None:
    @click.command()
    @click.option("--start", type=moments.MOMENT)
    def create(start: datetime) -> None:
        raise AssertionError(start)

    with pytest.raises(click.BadParameter) as refused:
        create.main(["--start", text], standalone_mode=False)
    assert refused.value.exit_code == 2
    assert refused.value.message == (
        f"{text!r} is not now, +10s, +5m, +2h, +1d or an ISO 8601 time"
    )


def test_the_command_line_reckons_from_the_present() -> None:
    before = datetime.now(UTC)
    moment = moments.MOMENT.convert("+1d", None, None)
    after = datetime.now(UTC)
    assert before <= moment - timedelta(days=1) <= after


def test_a_moment_is_sent_as_a_timestamp_of_the_same_instant() -> None:
    local = datetime.fromisoformat("2030-02-01T05:00:00.000001+09:00")
    sent = moments.timestamp(local)
    assert sent == Timestamp(seconds=int(NOW.timestamp()), nanos=1000)


@pytest.mark.usefixtures("seoul")
@pytest.mark.parametrize(
    ("instant", "text"),
    [
        (None, "never"),
        (Timestamp.from_datetime(NOW), "2030-02-01 05:00:00.000+09:00"),
        (Timestamp(seconds=0, nanos=1_000_000), "1970-01-01 09:00:00.001+09:00"),
        (Timestamp(seconds=0, nanos=1_999_000), "1970-01-01 09:00:00.001+09:00"),
        (Timestamp(seconds=-1), "1970-01-01 08:59:59.000+09:00"),
    ],
)
def test_an_instant_is_read_in_local_time_to_the_millisecond(
    instant: Timestamp | None, text: str
) -> None:
    assert moments.readable(instant) == text


@pytest.mark.parametrize("zone", ["KST-9", "UTC0", "EST5"])
@pytest.mark.parametrize(
    "instant", [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)]
)
def test_every_instant_that_a_campaign_may_have_can_be_read(
    monkeypatch: pytest.MonkeyPatch, zone: str, instant: datetime
) -> None:
    """Also where local time would lie outside of the years 1 to 9999."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", zone)
        time.tzset()
        text = moments.readable(Timestamp.from_datetime(instant))
    time.tzset()
    shown = datetime.fromisoformat(text)
    assert shown == instant.replace(microsecond=instant.microsecond // 1000 * 1000)
