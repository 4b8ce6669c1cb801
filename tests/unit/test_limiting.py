"""Under which names callers are counted."""

from types import SimpleNamespace
from typing import Any

import pytest

from coupon_service.access.limiting import Callers

CTX: Any = SimpleNamespace(
    client_address="192.0.2.1:1", request_headers=SimpleNamespace(getall=lambda _name: [])
)


def test_a_claim_for_a_user_counts_as_the_user_s() -> None:
    assert Callers([]).by_user_id("앨리스", CTX) == "user 앨리스"


@pytest.mark.parametrize("user_id", ["", "x" * 129, "x" * 60_000, "a\x00b"])
def test_a_claim_for_no_user_that_can_be_counts_as_its_address_s(user_id: str) -> None:
    """So what is remembered of a caller stays small, whatever is claimed."""
    assert Callers([]).by_user_id(user_id, CTX) == "address 192.0.2.1"
