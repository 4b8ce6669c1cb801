"""Coupon codes: what they look like and how they are drawn."""

import codecs
import os

CODE_LENGTH = 10

# Syllables that need no final consonant and no Shift on a Korean keyboard.
SYLLABLES = "가나다라마바아자거너더러머버서어저고노도로모보소조누두루무부수우주하허호"
# No 0 and 1, which are taken for letters.
DIGITS = "23456789"
ALPHABET = SYLLABLES + DIGITS

# Insults, obscenities and ill omens that the alphabet can spell.
BLOCKED_WORDS = (
    "고자",
    "노모",
    "노무",
    "머저",
    "바보",
    "바부",
    "아다",
    "저주",
    "조루",
    "호로",
    "호모",
    "444",
    "666",
    "69",
)

# A random byte names a symbol by its remainder. The bytes beyond the last whole
# multiple of the alphabet's size would favour some symbols; they are dropped.
_BYTES_KEPT = 256 - 256 % len(ALPHABET)
_BYTES_DROPPED = bytes(range(_BYTES_KEPT, 256))
_SYMBOL_OF_BYTE = ALPHABET * (_BYTES_KEPT // len(ALPHABET))


def random_codes(count: int) -> list[str]:
    """Draw codes uniformly from all acceptable codes, with the system's CSPRNG.

    Many codes are drawn from one block of random bytes and looked through together:
    that costs as much for one code as for dozens.
    """
    codes: list[str] = []
    while len(codes) < count:
        symbols = _random_symbols((count - len(codes) + 1) * CODE_LENGTH * 3 // 2)
        spelt = [symbols[i : i + CODE_LENGTH] for i in range(0, len(symbols), CODE_LENGTH)]
        codes += _acceptable(spelt)
    return codes[:count]


def is_acceptable(code: str) -> bool:
    """Tell whether a code is whole, has both kinds of symbol and no blocked word."""
    return len(code) == CODE_LENGTH and _acceptable([code]) == [code]


def _acceptable(spelt: list[str]) -> list[str]:
    """Return those of several strings of at most CODE_LENGTH that are acceptable codes."""
    text = " ".join(spelt)
    for word in BLOCKED_WORDS:
        # Whatever holds the word is too short afterwards.
        text = text.replace(word, "")
    return [
        code
        for code in text.split(" ")
        # Syllables are letters and digits are decimals, so this asks for both kinds.
        if len(code) == CODE_LENGTH and not code.isalpha() and not code.isdecimal()
    ]


def _random_symbols(byte_count: int) -> str:
    """Return independent, uniformly drawn symbols, somewhat fewer than `byte_count`."""
    kept = os.urandom(byte_count).translate(None, _BYTES_DROPPED)
    return codecs.charmap_decode(kept, "strict", _SYMBOL_OF_BYTE)[0]
