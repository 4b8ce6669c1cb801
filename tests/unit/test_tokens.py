"""Bearer tokens: how they are made, and which are valid."""

import hashlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coupon_service.access.identities import Identity, Role
from coupon_service.access.tokens import Tokens, new_token, token_hash

ADMIN, OLDER_ADMIN, ISSUER = new_token(Role.ADMIN), new_token(Role.ADMIN), new_token(Role.ISSUER)
TOKENS = Tokens(
    {
        Role.ADMIN: [token_hash(ADMIN), token_hash(OLDER_ADMIN)],
        Role.ISSUER: [token_hash(ISSUER)],
    }
)


@pytest.mark.parametrize("role", list(Role))
def test_a_token_says_what_it_is_and_has_256_bits(role: Role) -> None:
    made = new_token(role)
    random_part = made.removeprefix(f"coupon_{role}_")
    # 43 of 64 symbols hold 256 bits.
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", random_part)


def test_no_token_is_made_twice() -> None:
    assert len({new_token(Role.ADMIN) for _ in range(1000)}) == 1000


def test_the_hash_is_what_other_tools_call_sha256() -> None:
    assert token_hash("coupon") == hashlib.sha256(b"coupon").hexdigest()


@pytest.mark.parametrize(
    ("token", "role"),
    [(ADMIN, Role.ADMIN), (OLDER_ADMIN, Role.ADMIN), (ISSUER, Role.ISSUER)],
    ids=["an admin's", "an older admin's", "an issuer's"],
)
def test_several_tokens_are_valid_at_once(token: str, role: Role) -> None:
    assert TOKENS.identity(token) == Identity(role=role, key=token_hash(token))


WRONG = {
    "nothing": "",
    "too short": ADMIN[:-1],
    "too long": ADMIN + "A",
    "in upper case": ADMIN.upper(),
    "after a blank": f" {ADMIN}",
    "its hash": token_hash(ADMIN),
    "of another role": ISSUER.replace("issuer", "admin"),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_whatever_is_not_exactly_a_token_is_not_valid(wrong: str) -> None:
    assert TOKENS.identity(wrong) is None


@given(st.text())
def test_no_text_is_valid_by_chance_or_breaks_anything(text: str) -> None:
    assert TOKENS.identity(text.encode("utf-8", "replace").decode()) is None


@given(place=st.integers(0, len(ADMIN) - 1), symbol=st.characters(max_codepoint=126))
def test_one_changed_character_makes_a_token_invalid(place: int, symbol: str) -> None:
    changed = ADMIN[:place] + symbol + ADMIN[place + 1 :]
    assert (TOKENS.identity(changed) is None) == (changed != ADMIN)


@given(place=st.integers(0, 63), digit=st.sampled_from("0123456789abcdef"))
def test_one_changed_digit_of_its_hash_makes_a_token_invalid(place: int, digit: str) -> None:
    known = token_hash(ADMIN)
    changed = known[:place] + digit + known[place + 1 :]
    valid = Tokens({Role.ADMIN: [changed]}).identity(ADMIN) is not None
    assert valid == (changed == known)


def test_without_hashes_nothing_is_valid() -> None:
    assert Tokens({}).identity(ADMIN) is None
