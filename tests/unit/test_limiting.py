"""Under which names callers are counted."""

from types import SimpleNamespace
from typing import Any

import pytest

from coupon_service.access import identities
from coupon_service.access.identities import Identity, Role
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


async def test_a_call_by_token_counts_as_whose_the_token_is() -> None:
    """A user's name is its provider's to give: none may be somebody else's token."""
    names = []
    for role in Role:
        identities.present.set(Identity(role=role, key="0123"))
        names.append(Callers([]).by_token(CTX))
    assert names == ["admin 0123", "issuer 0123", "user 0123"]


async def test_a_call_by_token_counts_as_its_address_s_where_no_token_is_asked_for() -> None:
    assert Callers([]).by_token(CTX) == "address 192.0.2.1"
