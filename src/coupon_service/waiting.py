"""The callers in line, and where the answers to their claims go."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from coupon_service.domain import Claim, Coupon, Issued
from coupon_service.errors import CallerGone, OutcomeUnknown


@dataclass(eq=False, slots=True)
class Waiting:
    """A claim in line, and where its caller waits for the answer.

    A refusal is an answer like any other, so that none is reported as lost when
    the caller has gone.
    """

    claim: Claim
    answer: asyncio.Future[Issued | Exception]
    is_gone: Callable[[], bool]
    # Set while a transaction that may grant the claim is under way.
    begun: bool = False

    def is_wanted(self, now: float) -> bool:
        """Tell whether the caller is still there in time; end its wait if not."""
        if self.is_gone():
            self.fail(CallerGone())
        if self.claim.deadline is not None and now >= self.claim.deadline:
            self.fail(TimeoutError("the deadline passed before the claim's turn came"))
        return not self.answer.done()

    def give(self, answer: Issued | Exception) -> None:
        """Answer the caller, if it is still there."""
        if not self.answer.done():
            self.answer.set_result(answer)

    def fail(self, error: Exception) -> None:
        """Answer that it went wrong: unknown, if an anonymous coupon may have been issued."""
        self.give(OutcomeUnknown() if self.begun and not self.claim.user_id else error)


@dataclass(eq=False, slots=True)
class Place:
    """A coupon that a group asks for: its code, and the callers who are to get it.

    They are several when the same user asks more than once at the same time.
    """

    code: str
    user_id: str
    callers: list[Waiting]

    def grant(self, coupon: Coupon) -> None:
        """Give the coupon to the first caller, and show it to the others."""
        for i, caller in enumerate(self.callers):
            caller.give(Issued(coupon=coupon, already_issued=i > 0))


def places_of(group: Iterable[Waiting], codes: Iterable[str]) -> list[Place]:
    """Give every anonymous claim a place of its own, and each user one for all its claims.

    There is a code for each claim; those of further claims of a user are not used.
    """
    place_of_user: dict[str, Place] = {}
    places: list[Place] = []
    for waiting, code in zip(group, codes, strict=True):
        user_id = waiting.claim.user_id
        if user_id and (place := place_of_user.get(user_id)):
            place.callers.append(waiting)
            continue
        place = Place(code, user_id, [waiting])
        places.append(place)
        if user_id:
            place_of_user[user_id] = place
    return places


def callers_of(places: Iterable[Place]) -> list[Waiting]:
    """Return who is to get these coupons."""
    return [caller for place in places for caller in place.callers]


def mark_begun(places: Iterable[Place], *, begun: bool) -> None:
    """Note for each caller whether a transaction that may grant its claim is under way."""
    for caller in callers_of(places):
        caller.begun = begun


def fail_all(group: Iterable[Waiting], error: Exception) -> None:
    """Answer everyone in a group that it went wrong."""
    for waiting in group:
        waiting.fail(error)
