"""The line of one campaign: its waiting claims, and the one transaction under way for them.

While the transaction runs, claims wait; when it ends, all that wait go together
in the next. There is no timer: a lone claim goes at once, and groups grow only
under load. Callers wait on futures and never own a database connection, so one
that hangs up cannot disturb the transaction that the others share.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from uuid import UUID

import structlog

from coupon_service import settling
from coupon_service.domain import Coupon, Issued, Sighting
from coupon_service.errors import (
    CampaignNotFound,
    CampaignSoldOut,
    Overloaded,
    StorageUnavailable,
)
from coupon_service.gate import Gate, refusal_seen
from coupon_service.metering.tally import Tally
from coupon_service.session import (
    ClaimUncertain,
    CodeTaken,
    ConnectionLost,
    Granted,
    Session,
    UserTaken,
)
from coupon_service.store import Store
from coupon_service.waiting import Place, Waiting, callers_of, fail_all, mark_begun, places_of

log = structlog.get_logger(__name__)

# Each further attempt means that something else moved meanwhile: another process
# issued to the same user, the epoch was raised, the campaign opened.
ATTEMPTS_MAX = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Rules:
    """What every line goes by; see `Issuer` for the numbers' meaning."""

    store: Store
    gate: Gate
    group_limit: int
    settle_seconds_max: float
    draw_codes: Callable[[int], list[str]]
    monotonic: Callable[[], float]
    tally: Tally


class Line:
    """The waiting claims of one campaign."""

    def __init__(self, campaign_id: UUID, rules: Rules) -> None:
        self.campaign_id = campaign_id
        self.queue: deque[Waiting] = deque()
        self._rules = rules
        # Who is being served: taken out of the line, and not all answered yet.
        self._group: list[Waiting] = []
        self._attempts = 0
        # Whether to look for the users' coupons before a claim. Seldom is there one, and
        # the unique index finds it as surely, so a look pays only where one was found.
        self._expects_repeats = False

    async def serve(self) -> None:
        """Answer group after group until nobody waits."""
        try:
            while self.queue:
                await self._serve_groups()
        finally:
            # Nothing is left unless serving itself was cancelled.
            fail_all(self._take(len(self.queue)), StorageUnavailable())

    async def _serve_groups(self) -> None:
        self._group = []
        self._attempts = 0
        try:
            await self._meet()
            while self._attempts < ATTEMPTS_MAX:
                # A connection that died while it was idle: the next one is new.
                with contextlib.suppress(ConnectionLost):
                    async with self._rules.store.session() as session:
                        await self._serve_over(session)
                if not self._group:
                    return
            fail_all(self._group, Overloaded())
        except asyncio.CancelledError:
            fail_all(self._group, StorageUnavailable())
            raise
        except (CampaignNotFound, StorageUnavailable) as exc:
            fail_all(self._group or self._take(len(self.queue)), exc)
        except Exception as exc:  # whatever it is, the callers must get an answer
            log.exception("issuing failed", campaign_id=str(self.campaign_id))
            fail_all(self._group or self._take(len(self.queue)), exc)

    async def _serve_over(self, session: Session) -> None:
        """Serve groups over one connection, until one must be tried again or nobody waits."""
        # Taken only now: who came or left while the connection was awaited counts.
        self._group = self._wanted(self._group) or self._next_group()
        while self._group:
            self._attempts += 1
            self._group = await self._attempt(session, self._group)
            if not self.queue:
                await asyncio.sleep(0)  # let the answers go out before the connection goes back
            if self._group or self._rules.store.is_short:
                return
            self._group = self._next_group()

    def _next_group(self) -> list[Waiting]:
        self._attempts = 0
        return self._take(self._rules.group_limit)

    async def _meet(self) -> None:
        """Look at a campaign that is new to this process, in one of the turns for reads.

        Whoever makes up ids therefore waits for other readers, and the claims of real
        campaigns always find a connection.
        """
        gate = self._rules.gate
        if gate.claim_epoch(self.campaign_id) is None:
            sighting = await self._rules.store.campaign(self.campaign_id)
            if sighting is None:
                raise CampaignNotFound
            gate.remember(sighting)

    def _take(self, count_max: int) -> list[Waiting]:
        """Take the first claims that are still wanted out of the line."""
        taken: list[Waiting] = []
        now = self._rules.monotonic()
        while self.queue and len(taken) < count_max:
            waiting = self.queue.popleft()
            if waiting.is_wanted(now):
                taken.append(waiting)
        return taken

    def _wanted(self, group: Iterable[Waiting]) -> list[Waiting]:
        now = self._rules.monotonic()
        return [waiting for waiting in group if waiting.is_wanted(now)]

    async def _attempt(  # noqa: PLR0911 # a step each
        self, session: Session, group: list[Waiting]
    ) -> list[Waiting]:
        """Answer a group as far as one transaction can; return who must be tried again."""
        if refusal := self._rules.gate.refusal(self.campaign_id):
            return await self._refuse(session, group, refusal)
        if self._expects_repeats:
            group = await self._answer_repeats(session, group)
        claim_epoch = self._rules.gate.claim_epoch(self.campaign_id)
        if claim_epoch is None:  # the gate was told to forget the campaign
            claim_epoch = (await self._look(session)).campaign.claim_epoch
            group = self._wanted(group)
        if not group:
            return []
        places = places_of(group, self._rules.draw_codes(len(group)))
        try:
            granted = await self._claim(session, claim_epoch, places)
        except CodeTaken:
            return group
        except UserTaken:
            self._expects_repeats = True
            return group
        except ClaimUncertain:
            return await self._settle(places)
        if granted is None:
            return await self._refuse_or_retry(session, group)
        return await self._hand_out(session, granted, places)

    async def _answer_repeats(self, session: Session, group: list[Waiting]) -> list[Waiting]:
        """Answer the users who have a coupon already; return the others."""
        user_ids = {waiting.claim.user_id for waiting in group} - {""}
        if not user_ids:
            return group
        coupons = await session.coupons_of_users(self.campaign_id, list(user_ids))
        self._expects_repeats = bool(coupons)
        coupon_of = {coupon.user_id: coupon for coupon in coupons}
        for waiting in group:
            if coupon := coupon_of.get(waiting.claim.user_id):
                waiting.give(Issued(coupon=coupon, already_issued=True))
        return self._wanted(group)

    async def _look(self, session: Session) -> Sighting:
        sighting = await session.campaign(self.campaign_id)
        if sighting is None:
            raise CampaignNotFound
        self._rules.gate.remember(sighting)
        return sighting

    async def _claim(
        self, session: Session, claim_epoch: int, places: list[Place]
    ) -> Granted | None:
        codes = [place.code for place in places]
        user_ids = [place.user_id for place in places]
        mark_begun(places, begun=True)
        began_at = self._rules.monotonic()
        try:
            granted = await session.claim(self.campaign_id, claim_epoch, codes, user_ids)
        except ClaimUncertain:
            raise
        except Exception:
            mark_begun(places, begun=False)
            raise
        self._rules.tally.claimed(len(places), self._rules.monotonic() - began_at)
        if granted is None:
            mark_begun(places, begun=False)
        return granted

    async def _hand_out(
        self, session: Session, granted: Granted, places: list[Place]
    ) -> list[Waiting]:
        """Answer with what was granted; a campaign that grants fewer is sold out by that."""
        self._rules.tally.issued(granted.count)
        for sequence, place in enumerate(places[: granted.count], granted.first_sequence):
            place.grant(
                Coupon(
                    code=place.code,
                    campaign_id=self.campaign_id,
                    sequence=sequence,
                    user_id=place.user_id,
                    issue_time=granted.issue_time,
                )
            )
        left_over = callers_of(places[granted.count :])
        for waiting in left_over:
            waiting.begun = False
        if granted.is_last or not self._rules.gate.is_open(self.campaign_id):
            await self._look(session)
        return await self._refuse(session, left_over, CampaignSoldOut())

    async def _refuse_or_retry(self, session: Session, group: list[Waiting]) -> list[Waiting]:
        """Refuse with the reason, unless it has passed since or was the epoch alone."""
        refusal = refusal_seen(await self._look(session))
        return group if refusal is None else await self._refuse(session, group, refusal)

    async def _refuse(
        self, session: Session, group: list[Waiting], refusal: Exception
    ) -> list[Waiting]:
        """Refuse, but show the users who have a coupon theirs; nobody is to be tried again.

        They are looked for after the refusal is known: what sold the campaign out may
        have been the very coupon of a user who asks, issued by another process.
        """
        for waiting in await self._answer_repeats(session, group):
            waiting.give(refusal)
        return []

    async def _settle(self, places: list[Place]) -> list[Waiting]:
        """Find out what a broken transaction stored, and answer with that.

        Returns the callers whose coupons were not stored and never will be.
        """
        log.warning(
            "the connection broke while claiming; looking what was stored",
            campaign_id=str(self.campaign_id),
            claims=len(places),
        )
        callers = callers_of(places)
        stored = await settling.stored_coupons(
            self._rules.store,
            self.campaign_id,
            [place.code for place in places],
            seconds_max=self._rules.settle_seconds_max,
            is_awaited=lambda: bool(self._wanted(callers)),
        )
        if stored is None:
            fail_all(callers, StorageUnavailable())
            return []
        self._rules.gate.forget(self.campaign_id)
        lacking = []
        for place in places:
            coupon = stored.get(place.code)
            # A coupon of somebody else has the code if it was drawn twice.
            if coupon is not None and coupon.user_id == place.user_id:
                place.grant(coupon)
            else:
                lacking.append(place)
        self._rules.tally.issued(len(places) - len(lacking))
        mark_begun(lacking, begun=False)
        return callers_of(lacking)
