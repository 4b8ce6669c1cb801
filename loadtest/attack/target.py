"""The service under attack, and how one sees how it is."""

import contextlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import asyncpg
import psutil

from coupon_service import queries
from coupon_service.access.identities import Role
from coupon_service.access.tokens import new_token, token_hash
from coupon_service.codes import ALPHABET, CODE_LENGTH, random_codes
from loadtest.services import Service, running_service

SERVERS = ("uvicorn", "pyvoy")

WORKERS = 2
RECEIVE_SECONDS_MAX = 3
SEND_SECONDS_MAX = 3
KEEP_ALIVE_SECONDS = 4
CONNECTIONS_MAX = 200
POOL_SIZE = 4
HEAD_BYTES_MAX = 16_384
REQUEST_BYTES_MAX = 65_536

SETTINGS: dict[str, object] = {
    "workers": WORKERS,
    "pool_size": POOL_SIZE,
    "receive_seconds_max": RECEIVE_SECONDS_MAX,
    "send_seconds_max": SEND_SECONDS_MAX,
    "keep_alive_seconds": KEEP_ALIVE_SECONDS,
    "connections_max": CONNECTIONS_MAX,
    "head_bytes_max": HEAD_BYTES_MAX,
    "request_bytes_max": REQUEST_BYTES_MAX,
    "access_log": True,
}
# What an attack wants to see as a line of the log that the service did not write.
FORGED = "an attacker wrote this line"

_ADDRESS = re.compile("0x[0-9a-f]+")
_CODE = re.compile(f"[{ALPHABET}]{{{CODE_LENGTH}}}")
_SESSIONS = """
    SELECT count(*) AS all, count(*) FILTER (WHERE state <> 'idle') AS busy
    FROM pg_stat_activity
    WHERE application_name = 'coupon-service' AND datname = current_database()
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Vitals:
    """What a service takes of its host at some moment: memory, open files, sessions."""

    pids: tuple[int, ...]
    memory_bytes: int
    open_files: int
    sessions: int
    busy_sessions: int


@dataclass(kw_only=True, slots=True)
class Target:
    """A service under attack; with tokens, callers without the admin's are refused."""

    server: str
    service: Service
    database_url: str
    admin_token: str | None
    _large_campaign_id: str | None = field(default=None, init=False)
    # How much of the log was read already.
    _log_read: int = field(default=0, init=False)

    @property
    def name(self) -> str:
        """Return what to call it in one word."""
        return f"{self.server}{'+tokens' if self.admin_token else ''}"

    @property
    def url(self) -> str:
        """Return where it is."""
        return self.service.url

    @property
    def answers_within_seconds(self) -> float:
        """Return by when everything is answered or closed: what is slow, then idle, is cut."""
        return RECEIVE_SECONDS_MAX + KEEP_ALIVE_SECONDS + 5

    async def vitals(self) -> Vitals:
        """Look at all its processes and at its sessions."""
        connection = await asyncpg.connect(self.database_url)
        try:
            (row,) = await connection.fetch(_SESSIONS)
        finally:
            connection.terminate()
        supervisor = psutil.Process(self.service.pid)
        processes = [supervisor, *supervisor.children(recursive=True)]
        return Vitals(
            pids=tuple(sorted(process.pid for process in processes)),
            memory_bytes=sum(process.memory_info().rss for process in processes),
            open_files=sum(process.num_fds() for process in processes),
            sessions=row["all"],
            busy_sessions=row["busy"],
        )

    async def new_campaign(self, coupon_limit: int) -> str:
        """Create a campaign past the service, and return its id."""
        connection = await asyncpg.connect(self.database_url)
        try:
            start_time = datetime(2020, 1, 1, tzinfo=UTC)
            (row,) = await connection.fetch(
                queries.CREATE_CAMPAIGN, uuid4(), "attacked", coupon_limit, start_time, None, None
            )
        finally:
            connection.terminate()
        return str(row["campaign_id"])

    async def large_campaign(self, coupon_count: int) -> str:
        """Return the id of a campaign that has issued so many coupons."""
        if self._large_campaign_id is None:
            campaign_id = await self.new_campaign(coupon_count)
            connection = await asyncpg.connect(self.database_url)
            try:
                codes = random_codes(coupon_count)
                nobody = [None] * coupon_count
                await connection.fetchrow(queries.CLAIM, campaign_id, 0, codes, nobody)
            finally:
                connection.terminate()
            self._large_campaign_id = campaign_id
        return self._large_campaign_id

    def memory_bytes(self) -> int:
        """Return how much memory its processes hold at present."""
        supervisor = psutil.Process(self.service.pid)
        total = 0
        for process in [supervisor, *supervisor.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                total += process.memory_info().rss
        return total

    def log_violations(self) -> Iterator[tuple[str, str]]:
        """Yield what is wrong with lines of the log that were not looked at yet, and the line."""
        entries = self.service.log[self._log_read :]
        self._log_read += len(entries)
        for entry in entries:
            told = json.dumps(entry, ensure_ascii=False)
            if wrong := self._wrong_with(entry, told):
                yield wrong, told

    def _wrong_with(self, entry: dict[str, Any], told: str) -> str | None:
        if entry.keys() == {"event"}:
            return "A line of the log is not an entry."
        if entry["event"] == FORGED:
            return "A line of the log was forged."
        if entry.get("level") in {"error", "critical"} or "exception" in entry:
            event = _ADDRESS.sub("0x…", str(entry["event"]).partition("\n")[0])
            return f"The log has an error: {event[:200]}"
        if self.admin_token and self.admin_token in told:
            return "The log holds a token."
        if _CODE.search(told):
            return "The log holds a whole code."
        return None


@contextlib.contextmanager
def running_target(server: str, database_url: str, *, has_tokens: bool) -> Iterator[Target]:
    """Start a service to attack, with limits that attacks reach within seconds."""
    token = new_token(Role.ADMIN) if has_tokens else None
    options: dict[str, Any] = dict(SETTINGS)
    if token:
        options["admin_token_hashes"] = token_hash(token)
    with running_service("--server", server, database_url=database_url, **options) as service:
        yield Target(server=server, service=service, database_url=database_url, admin_token=token)
