"""Who in line is still wanted, and what the others are told."""

import asyncio
from collections.abc import Callable
from uuid import UUID

import pytest

from coupon_service.callers import never
from coupon_service.domain import Claim, Issued
from coupon_service.errors import CallerGone, OutcomeUnknown
from coupon_service.waiting import Waiting

NOW = 1000.0


def waiting(
    is_gone: Callable[[], bool] = never, *, user_id: str = "", deadline: float | None = None
) -> Waiting:
    claim = Claim(campaign_id=UUID(int=1), user_id=user_id, deadline=deadline)
    return Waiting(claim, asyncio.get_running_loop().create_future(), is_gone)


def told(caller: Waiting) -> type[Issued | Exception] | None:
    """Return the kind of what a caller was answered, or None while it waits."""
    return type(caller.answer.result()) if caller.answer.done() else None


async def test_a_claim_whose_caller_is_there_in_time_is_wanted_and_waits_on() -> None:
    caller = waiting(deadline=NOW + 0.001)
    assert caller.is_wanted(NOW)
    assert told(caller) is None


@pytest.mark.parametrize("user_id", ["", "a"])
async def test_a_claim_whose_caller_has_gone_is_not_wanted_and_its_wait_ends(user_id: str) -> None:
    caller = waiting(lambda: True, user_id=user_id)
    assert not caller.is_wanted(NOW)
    assert told(caller) is CallerGone


async def test_whether_the_caller_has_gone_is_asked_anew_each_time() -> None:
    there = iter([False, False, True])
    caller = waiting(lambda: next(there))
    assert [caller.is_wanted(NOW) for _ in "123"] == [True, True, False]


async def test_a_caller_who_was_answered_is_not_wanted_and_keeps_its_answer() -> None:
    caller = waiting(lambda: True)
    caller.give(TimeoutError())
    assert not caller.is_wanted(NOW)
    assert told(caller) is TimeoutError


async def test_a_claim_is_not_wanted_from_its_deadline_on() -> None:
    caller = waiting(deadline=NOW)
    assert not caller.is_wanted(NOW)
    assert told(caller) is TimeoutError


@pytest.mark.parametrize(("user_id", "answer"), [("", OutcomeUnknown), ("a", CallerGone)])
async def test_who_goes_while_a_transaction_may_grant_its_claim_is_told_what_is_known(
    user_id: str, answer: type[Exception]
) -> None:
    caller = waiting(lambda: True, user_id=user_id)
    caller.begun = True
    assert not caller.is_wanted(NOW)
    assert told(caller) is answer
