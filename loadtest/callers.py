"""Callers that call all the time and write down what they see: the load for faults and cheats.

They use connectrpc's own client, over real sockets. Each caller sends its next call when
the last one is answered; `make rush` has callers who do not wait.
"""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count

import asyncpg
import pyqwest
from connectrpc.errors import ConnectError
from connectrpc.interceptor import Interceptor
from protobuf.wkt.google.protobuf.timestamp_pb import Timestamp

from coupon_service.client import present, reason
from coupon_service.gen.coupon.v1 import coupon_pb as pb
from coupon_service.gen.coupon.v1.coupon_connect import CouponServiceClient
from loadtest import history
from loadtest.clocks import Clock, shared_clock
from loadtest.history import NO_ANSWER, Line

CALL_MS_MAX = 30_000
READ_PAUSE_SECONDS = 0.05
RETRY_PAUSE_SECONDS = 0.05
# After an error that no fault explains there must be no storm of the same.
ERROR_PAUSE_SECONDS = 0.01

_STORED = "SELECT code, sequence, user_id, issue_time FROM coupon WHERE campaign_id = $1"


class RecordingClient:
    """Calls a service at one or several URLs, and puts every call into `lines`.

    Several are for services that share a database; each call takes one of them by chance.
    `idle_seconds_max` is how long a connection may be unused and is used again; None
    leaves that to the client's library.
    """

    def __init__(
        self,
        urls: list[str],
        chance: random.Random,
        lines: list[Line],
        interceptors: Iterable[Interceptor] = (),
        *,
        idle_seconds_max: float | None = None,
    ) -> None:
        self.lines = lines
        self.outcomes: Counter[str] = Counter()
        self._chance = chance
        self._clock: Clock = shared_clock()
        http_client = None
        if idle_seconds_max is not None:
            http_client = pyqwest.Client(pyqwest.HTTPTransport(pool_idle_timeout=idle_seconds_max))
        self._clients = [
            CouponServiceClient(
                url,
                timeout_ms=CALL_MS_MAX,
                send_compression=None,
                interceptors=interceptors,
                http_client=http_client,
            )
            for url in urls
        ]

    async def close(self) -> None:
        """Close the connections."""
        for client in self._clients:
            await client.close()

    async def create(
        self,
        *,
        coupon_limit: int,
        starts_in_seconds: float = -1,
        ends_in_seconds: float | None = None,
        name: str = "load test",
    ) -> str:
        """Create a campaign, and return its id."""
        # All on this host, so this clock is as good as the database's.
        now = datetime.now(UTC)
        start_time = now + timedelta(seconds=starts_in_seconds)
        end_time = None if ends_in_seconds is None else now + timedelta(seconds=ends_in_seconds)
        sent_us = self._clock.now_us()
        answer = await self._clients[0].create_campaign(
            pb.CreateCampaignRequest(
                name=name,
                coupon_limit=coupon_limit,
                start_time=Timestamp.from_datetime(start_time),
                end_time=None if end_time is None else Timestamp.from_datetime(end_time),
            )
        )
        campaign = present(answer.campaign)
        self.lines.append(
            history.Campaign(
                process=PROCESS,
                campaign_id=campaign.campaign_id,
                sent_us=sent_us,
                answered_us=self._clock.now_us(),
                coupon_limit=campaign.coupon_limit,
                start_time_us=microseconds(present(campaign.start_time)),
                end_time_us=None if campaign.end_time is None else microseconds(campaign.end_time),
                create_time_us=microseconds(present(campaign.create_time)),
            )
        )
        return campaign.campaign_id

    async def issue(
        self, campaign_id: str, user_id: str = "", *, timeout_ms: int | None = None
    ) -> history.Issue:
        """Ask for a coupon. A caller that is cancelled has hung up; that is written down too."""
        request = pb.IssueCouponRequest(campaign_id=campaign_id, user_id=user_id)
        client = self._chance.choice(self._clients)
        line = history.Issue(
            process=PROCESS,
            campaign_id=campaign_id,
            sent_us=self._clock.now_us(),
            user_id=user_id,
            outcome=NO_ANSWER,
        )
        self.lines.append(line)
        try:
            answer = await client.issue_coupon(request, timeout_ms=timeout_ms)
            line.outcome = history.OK
            _describe(line, answer)
        except ConnectError as error:
            line.outcome = reason(error)
        finally:
            line.answered_us = self._clock.now_us()
            self.outcomes[line.outcome] += 1
        return line

    async def read(self, campaign_id: str, view: str = history.FULL) -> history.Read:
        """Read a campaign."""
        request = pb.GetCampaignRequest(
            campaign_id=campaign_id, view=getattr(pb.CampaignView, view)
        )
        line = history.Read(
            process=PROCESS,
            campaign_id=campaign_id,
            sent_us=self._clock.now_us(),
            view=view,
            outcome=NO_ANSWER,
        )
        self.lines.append(line)
        try:
            answer = await self._chance.choice(self._clients).get_campaign(request)
            campaign = present(answer.campaign)
            line.outcome = history.OK
            line.issued_count = campaign.issued_count
            line.state = campaign.state.name
            line.codes = list(answer.coupon_codes)
        except ConnectError as error:
            line.outcome = reason(error)
        finally:
            line.answered_us = self._clock.now_us()
        return line

    async def record_stored(self, campaign_id: str, database_url: str) -> history.Stored:
        """Write down what the database holds of a campaign; no call may be under way."""
        sent_us = self._clock.now_us()
        connection = await asyncpg.connect(database_url)
        try:
            async with connection.transaction(isolation="repeatable_read"):
                rows = await connection.fetch(_STORED, campaign_id)
                issued_count = await connection.fetchval(
                    "SELECT issued_count FROM campaign WHERE campaign_id = $1", campaign_id
                )
        finally:
            connection.terminate()
        line = history.Stored(
            process=PROCESS,
            campaign_id=campaign_id,
            sent_us=sent_us,
            answered_us=self._clock.now_us(),
            issued_count=issued_count,
            coupons=[_stored_coupon(row) for row in rows],
        )
        self.lines.append(line)
        return line


PROCESS = "callers"


def microseconds(timestamp: Timestamp) -> int:
    """Return a time as microseconds since the Unix epoch."""
    return timestamp.seconds * 1_000_000 + timestamp.nanos // 1000


def _describe(line: history.Issue, answer: pb.IssueCouponResponse) -> None:
    coupon = present(answer.coupon)
    line.code = coupon.code
    line.sequence = coupon.sequence
    line.issue_time_us = microseconds(present(coupon.issue_time))
    line.already_issued = answer.already_issued
    if coupon.user_id != line.user_id:
        line.for_user_id = coupon.user_id
    if coupon.campaign_id != line.campaign_id:
        line.for_campaign_id = coupon.campaign_id


def _stored_coupon(row: asyncpg.Record) -> history.StoredCoupon:
    return history.StoredCoupon(
        code=row["code"],
        sequence=row["sequence"],
        user_id=row["user_id"] or "",
        issue_time_us=microseconds(Timestamp.from_datetime(row["issue_time"])),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Mix:
    """Who calls, and how.

    Shares are between 0 and 1. `deadline_ms` is the range of the deadlines of those who
    have one, `hang_up_seconds_max` how long those who hang up wait at most.
    """

    callers: int = 40
    readers: int = 1
    anonymous_share: float = 0.4
    repeat_share: float = 0.3
    hang_up_share: float = 0.0
    hang_up_seconds_max: float = 0.03
    deadline_share: float = 0.0
    deadline_ms: tuple[int, int] = (1, 50)
    users: Callable[[], Iterator[str]] = field(
        default=lambda: (f"user {number}" for number in count(1))
    )


class Crowd:
    """Callers and readers of some campaigns, who call until they are told to stop.

    Each caller waits `pause_seconds` between an answer and the next call.
    """

    def __init__(
        self,
        client: RecordingClient,
        campaign_ids: list[str],
        mix: Mix,
        chance: random.Random,
        *,
        pause_seconds: float = 0,
    ) -> None:
        self._pause_seconds = pause_seconds
        self._client = client
        self._campaign_ids = campaign_ids
        self._mix = mix
        self._chance = chance
        self._new_users = mix.users()
        self._known_users: list[str] = [""]
        self._stop = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Let them begin."""
        self._tasks = [asyncio.create_task(self._call()) for _ in range(self._mix.callers)]
        self._tasks += [asyncio.create_task(self._read()) for _ in range(self._mix.readers)]

    async def stop(self) -> None:
        """Let them finish the calls that are under way."""
        self._stop.set()
        await asyncio.gather(*self._tasks)

    async def _call(self) -> None:
        while not self._stop.is_set():
            campaign_id = self._chance.choice(self._campaign_ids)
            line = await self._one_call(campaign_id, self._next_user())
            is_good = line is not None and line.outcome in {history.OK, "SOLD_OUT"}
            await asyncio.sleep(self._pause_seconds if is_good else ERROR_PAUSE_SECONDS)

    async def _one_call(self, campaign_id: str, user_id: str) -> history.Issue | None:
        mix, chance = self._mix, self._chance
        if chance.random() < mix.hang_up_share:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(chance.random() * mix.hang_up_seconds_max):
                    return await self._client.issue(campaign_id, user_id)
            return None
        timeout_ms = None
        if chance.random() < mix.deadline_share:
            timeout_ms = chance.randint(*mix.deadline_ms)
        return await self._client.issue(campaign_id, user_id, timeout_ms=timeout_ms)

    def _next_user(self) -> str:
        if self._chance.random() < self._mix.anonymous_share:
            return ""
        if self._chance.random() < self._mix.repeat_share:
            return self._chance.choice(self._known_users)
        user_id = next(self._new_users)
        self._known_users.append(user_id)
        return user_id

    async def _read(self) -> None:
        while not self._stop.is_set():
            view = self._chance.choice([history.FULL, history.FULL, history.BASIC])
            await self._client.read(self._chance.choice(self._campaign_ids), view)
            await asyncio.sleep(READ_PAUSE_SECONDS)


async def ask_again(client: RecordingClient, *, seconds_max: float) -> None:
    """Do what users do whose answers were lost: ask again until there is an answer.

    Raises:
        TimeoutError: somebody did not get one in time.
    """
    lost: dict[tuple[str, str], None] = {}
    for line in client.lines:
        if isinstance(line, history.Issue) and line.user_id and line.outcome in UNSETTLED:
            lost[line.campaign_id, line.user_id] = None
    async with asyncio.timeout(seconds_max):
        for campaign_id, user_id in lost:
            while (await client.issue(campaign_id, user_id)).outcome in UNSETTLED:
                await asyncio.sleep(RETRY_PAUSE_SECONDS)


UNSETTLED = frozenset(
    {
        NO_ANSWER,
        "OVERLOADED",
        "STORAGE_UNAVAILABLE",
        "deadline_exceeded",
        "unavailable",
        "canceled",
        "unknown",
    }
)


@contextlib.asynccontextmanager
async def recording(urls: list[str], chance: random.Random) -> AsyncIterator[RecordingClient]:
    """Provide a client that records into a new history."""
    client = RecordingClient(urls, chance, [history.Clock(process=PROCESS)])
    try:
        yield client
    finally:
        await client.close()
