"""One connection to the database, and what can be asked over it.

Runs the queries: rows become domain data, the driver's errors become ours. The
driver is asyncpg.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from coupon_service import queries
from coupon_service.domain import Campaign, Coupon, NewCampaign, Sighting
from coupon_service.errors import StorageUnavailable

# SQLSTATE classes that say the server cannot do it now, not that the statement
# is wrong: connection (08), transaction rollback (40), resources (53), locks
# (55), operator intervention (57), system error (58), bad credentials (28), no
# such database (3D); 25006 is a standby that was the primary a moment ago.
_PASSING_CLASSES = ("08", "28", "3D", "40", "53", "55", "57", "58")
_READ_ONLY = "25006"

# Whatever asyncpg raises. InternalClientError is what a statement gets on a
# connection that the server has just closed.
DRIVER_ERRORS = (
    OSError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)


class ConnectionLost(StorageUnavailable):
    """The database cannot be reached at the moment; try again shortly."""


class ClaimUncertain(Exception):
    """The connection broke: whether the claims were stored is not known."""


class CodeTaken(Exception):
    """A drawn code exists already; nothing was stored."""


class UserTaken(Exception):
    """A user has a coupon of this campaign already; nothing was stored."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Granted:
    """What a claim was granted: `count` coupons (1 or more) with sequences from `first_sequence`.

    `is_last` says that the campaign has none left after them.
    """

    first_sequence: int
    count: int
    issue_time: datetime
    is_last: bool


class Session:
    """One connection, and what can be asked over it; `is_lost` once it turned out to be broken."""

    def __init__(self, connection: PoolConnectionProxy, monotonic: Callable[[], float]) -> None:
        self._connection = connection
        self._monotonic = monotonic
        self.is_lost = False

    async def campaign(self, campaign_id: UUID) -> Sighting | None:
        """Return a campaign, or None if there is none with this id."""
        asked_at = self._monotonic()
        with self._statement():
            row = await self._connection.fetchrow(queries.CAMPAIGN, campaign_id)
        return None if row is None else self._sighting(row, asked_at)

    async def codes(self, campaign_id: UUID, first: int, last: int) -> list[str]:
        """Return the codes of a campaign's coupons from sequence `first` to `last`, in order."""
        with self._statement():
            codes = await self._connection.fetchval(queries.CODES, campaign_id, first, last)
        return list[str](codes)

    async def create_campaign(self, campaign_id: UUID, new: NewCampaign) -> Sighting:
        """Store a campaign under an id; if that is done already, return what is stored."""
        asked_at = self._monotonic()
        request_id = new.request_id or None
        values = (new.name, new.coupon_limit, new.start_time, new.end_time, request_id)
        with self._statement():
            row = await self._connection.fetchrow(queries.CREATE_CAMPAIGN, campaign_id, *values)
            if row is None:
                row = await self._connection.fetchrow(
                    queries.CREATED_CAMPAIGN, campaign_id, request_id
                )
        if row is None:
            msg = "a campaign was neither created nor found"
            raise RuntimeError(msg)
        return self._sighting(row, asked_at)

    async def coupons_of_users(self, campaign_id: UUID, user_ids: Sequence[str]) -> list[Coupon]:
        """Return the coupons that these users have of a campaign."""
        with self._statement():
            rows = await self._connection.fetch(queries.COUPONS_OF_USERS, campaign_id, user_ids)
        return [_coupon(row) for row in rows]

    async def claim(
        self, campaign_id: UUID, claim_epoch: int, codes: Sequence[str], user_ids: Sequence[str]
    ) -> Granted | None:
        """Store coupons for the first claims in line, as many as the campaign has left.

        `codes` and `user_ids` ("" is anonymous) go together. Returns None when the
        campaign grants nothing at present or its epoch is another.

        Raises:
            CodeTaken, UserTaken: nothing was stored.
            StorageUnavailable: nothing was stored.
            ClaimUncertain: the claims may have been stored, or may still be.
        """
        users = [user_id or None for user_id in user_ids]
        try:
            with self._statement():
                row = await self._connection.fetchrow(
                    queries.CLAIM, campaign_id, claim_epoch, codes, users
                )
        except asyncpg.UniqueViolationError as exc:
            raise (CodeTaken if exc.constraint_name == "coupon_pkey" else UserTaken) from exc
        except ConnectionLost as exc:
            raise ClaimUncertain from exc
        if row is None:
            return None
        issued_before, issued_count, coupon_limit, issue_time = row
        return Granted(
            first_sequence=issued_before + 1,
            count=issued_count - issued_before,
            issue_time=issue_time,
            is_last=issued_count == coupon_limit,
        )

    async def settle(self, campaign_id: UUID, codes: Sequence[str]) -> list[Coupon]:
        """Shut out a claim that may still be on its way, and return what it stored."""
        with self._statement():
            async with self._connection.transaction():
                await self._connection.execute(queries.RAISE_CLAIM_EPOCH, campaign_id)
                rows = await self._connection.fetch(queries.COUPONS_OF_CODES, codes)
        coupons = [coupon for coupon in map(_coupon, rows) if coupon.campaign_id == campaign_id]
        return sorted(coupons, key=lambda coupon: coupon.sequence)

    @contextlib.contextmanager
    def _statement(self) -> Iterator[None]:
        """Translate the driver's errors; give up a connection whose state is not known."""
        try:
            yield
        except asyncpg.DataError:
            raise  # an argument that cannot be encoded: nothing was sent
        except DRIVER_ERRORS as exc:
            if _rolled_back(exc):
                raise _translated(exc) from exc
            # The pool may have taken a closed connection back already.
            with contextlib.suppress(asyncpg.InterfaceError):
                self._connection.terminate()
            self.is_lost = True
            raise ConnectionLost from exc

    def _sighting(self, row: asyncpg.Record, asked_at: float) -> Sighting:
        return Sighting(
            campaign=_campaign(row),
            read_time=row["read_time"],
            asked_at=asked_at,
            answered_at=self._monotonic(),
        )


def _campaign(row: asyncpg.Record) -> Campaign:
    return Campaign(
        # asyncpg's UUIDs are a subclass of its own; a plain one is what callers expect.
        campaign_id=UUID(int=row["campaign_id"].int),
        name=row["name"],
        coupon_limit=row["coupon_limit"],
        issued_count=row["issued_count"],
        start_time=row["start_time"],
        end_time=row["end_time"],
        pause_time=row["pause_time"],
        create_time=row["create_time"],
        claim_epoch=row["claim_epoch"],
    )


def _coupon(row: asyncpg.Record) -> Coupon:
    return Coupon(
        code=row["code"],
        campaign_id=UUID(int=row["campaign_id"].int),
        sequence=row["sequence"],
        user_id=row["user_id"] or "",
        issue_time=row["issue_time"],
    )


def _rolled_back(exc: BaseException) -> bool:
    """Tell whether an error is the server's word that the transaction was rolled back.

    An ERROR is. After a FATAL one, or none at all, the commit may have come first.
    """
    return getattr(exc, "severity_en", None) == "ERROR"


def _translated(exc: BaseException) -> BaseException:
    """Return StorageUnavailable for a server's error that will pass, and any other as it is."""
    sqlstate = getattr(exc, "sqlstate", None) or ""
    passing = sqlstate == _READ_ONLY or sqlstate.startswith(_PASSING_CLASSES)
    return StorageUnavailable() if passing else exc
