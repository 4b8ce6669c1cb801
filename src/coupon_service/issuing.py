"""Issues coupons: sends every claim through the gate into its campaign's line."""

import asyncio
import time
from collections.abc import Callable
from uuid import UUID

from coupon_service.callers import never
from coupon_service.codes import random_codes
from coupon_service.domain import Claim, Issued
from coupon_service.errors import CampaignNotStarted, OutcomeUnknown, Overloaded
from coupon_service.gate import Gate
from coupon_service.line import Line, Rules
from coupon_service.metering.tally import NoTally, Tally
from coupon_service.store import Store
from coupon_service.waiting import Waiting


class Issuer:
    """Issues coupons of any campaign; one for each process.

    `queue_limit` is how many claims may wait for one campaign, `group_limit` how
    many are stored in one transaction, `settle_seconds_max` how long an uncertain
    outcome is looked into.
    """

    def __init__(  # noqa: PLR0913 # what is given in, each with its own name
        self,
        store: Store,
        gate: Gate,
        *,
        queue_limit: int,
        group_limit: int,
        settle_seconds_max: float,
        draw_codes: Callable[[int], list[str]] = random_codes,
        monotonic: Callable[[], float] = time.monotonic,
        tally: Tally | None = None,
    ) -> None:
        self._gate = gate
        self._queue_limit = queue_limit
        self._rules = Rules(
            store=store,
            gate=gate,
            group_limit=group_limit,
            settle_seconds_max=settle_seconds_max,
            draw_codes=draw_codes,
            monotonic=monotonic,
            tally=NoTally() if tally is None else tally,
        )
        self._lines: dict[UUID, Line] = {}
        self._serving: set[asyncio.Task[None]] = set()

    async def issue(self, claim: Claim, is_gone: Callable[[], bool] = never) -> Issued:
        """Issue a coupon, or return the one that the claim's user has already.

        Returns only what is durably stored. `is_gone` tells whether the caller has
        gone; it is asked before the claim's transaction begins.

        Raises:
            CampaignNotFound, IssueRefused, TimeoutError, CallerGone: nothing was issued.
            StorageUnavailable: nothing was issued, or the claim has a user_id and
                a repeat returns what was.
            OutcomeUnknown: an anonymous coupon may have been issued.
            asyncio.CancelledError: the caller was cancelled; nothing was issued, or
                the claim has a user_id and a repeat returns what was.
        """
        self._refuse_at_the_gate(claim)
        waiting = self._join(claim, is_gone)
        try:
            answer = await waiting.answer
        except asyncio.CancelledError:
            if waiting.begun and not claim.user_id:
                raise OutcomeUnknown from None
            raise
        if isinstance(answer, Exception):
            # The callers of a group share the refusal; none wants another's traceback.
            raise answer.with_traceback(None)
        return answer

    @property
    def claims_waiting(self) -> int:
        """Return how many claims are in line for a transaction, in all campaigns."""
        return sum(len(line.queue) for line in self._lines.values())

    @property
    def is_issuing(self) -> bool:
        """Tell whether any claim is under way."""
        return bool(self._lines)

    async def close(self) -> None:
        """Wait until every claim in line has been answered."""
        while self._serving:
            await asyncio.wait(self._serving)

    def _refuse_at_the_gate(self, claim: Claim) -> None:
        refusal = self._gate.refusal(claim.campaign_id)
        if refusal is None:
            return
        # A user may have a coupon from before the campaign was sold out or ended.
        if not claim.user_id or isinstance(refusal, CampaignNotStarted):
            raise refusal

    def _join(self, claim: Claim, is_gone: Callable[[], bool]) -> Waiting:
        line = self._lines.get(claim.campaign_id) or self._open_line(claim.campaign_id)
        if len(line.queue) >= self._queue_limit:
            raise Overloaded
        waiting = Waiting(claim, asyncio.get_running_loop().create_future(), is_gone)
        line.queue.append(waiting)
        return waiting

    def _open_line(self, campaign_id: UUID) -> Line:
        line = self._lines[campaign_id] = Line(campaign_id, self._rules)
        task = asyncio.create_task(self._serve(line))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        return line

    async def _serve(self, line: Line) -> None:
        try:
            await line.serve()
        finally:
            # In the same step in which the line ended, so that nobody joins it after.
            del self._lines[line.campaign_id]
