"""Readers give way to claims."""

from collections.abc import AsyncIterator

import pytest

from coupon_service.pacing import PAUSE_SECONDS, giving_way

PAGES = [["a"], ["b"], ["c"]]


async def pages() -> AsyncIterator[list[str]]:
    for page in PAGES:
        yield page


@pytest.mark.parametrize(
    ("issuing", "pauses"), [([False] * 3, 0), ([True] * 3, 3), ([False, True, False], 1)]
)
async def test_a_reader_pauses_after_a_page_while_claims_are_under_way(
    issuing: list[bool], pauses: int
) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    moments = iter(issuing)
    paced = giving_way(pages(), is_issuing=lambda: next(moments), sleep=sleep)
    assert [page async for page in paced] == PAGES
    assert slept == [PAUSE_SECONDS] * pauses
