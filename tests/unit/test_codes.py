"""What a coupon code is: its shape, how many there are, and that none is favoured."""

import itertools
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coupon_service import codes

# Written out from the contract, not taken from the code.
SYLLABLES = "가나다라마바아자거너더러머버서어저고노도로모보소조누두루무부수우주하허호"
DIGITS = "23456789"
SYMBOLS = SYLLABLES + DIGITS
LENGTH = 10
DRAWN = 100_000

# What has been spelt so far: the longest end of it that begins a blocked word,
# and whether it has a syllable and a digit.
Spelt = tuple[str, bool, bool]
START: Spelt = ("", False, False)
BEGINNINGS = {word[:i] for word in codes.BLOCKED_WORDS for i in range(len(word) + 1)}


@cache
def step(spelt: Spelt, symbol: str) -> Spelt | None:
    """Spell one more symbol; None if that completes a blocked word."""
    text = spelt[0] + symbol
    if any(text.endswith(word) for word in codes.BLOCKED_WORDS):
        return None
    longest = next(text[i:] for i in range(len(text) + 1) if text[i:] in BEGINNINGS)
    return longest, spelt[1] or symbol in SYLLABLES, spelt[2] or symbol in DIGITS


def counted_forward(length: int) -> list[Counter[Spelt]]:
    """Count, for each length up to the given one, in how many ways each state is spelt."""
    counts: list[Counter[Spelt]] = [Counter({START: 1})]
    for _ in range(length):
        longer: Counter[Spelt] = Counter()
        for spelt, ways in counts[-1].items():
            for symbol in SYMBOLS:
                if after := step(spelt, symbol):
                    longer[after] += ways
        counts.append(longer)
    return counts


def acceptable_count(length: int) -> int:
    return sum(n for (_, *kinds), n in counted_forward(length)[length].items() if all(kinds))


@pytest.fixture(scope="module")
def drawn() -> list[str]:
    return codes.random_codes(DRAWN)


def test_the_alphabet_is_the_44_symbols_of_the_contract() -> None:
    assert (codes.SYLLABLES, codes.DIGITS, codes.ALPHABET) == (SYLLABLES, DIGITS, SYMBOLS)
    assert (len(SYLLABLES), len(DIGITS), len(set(SYMBOLS))) == (36, 8, 44)


def test_every_syllable_has_no_final_consonant_and_no_shifted_letter() -> None:
    shifted = "ㄲㄸㅃㅆㅉㅒㅖ"
    for syllable in SYLLABLES:
        initial, vowel, final = decomposed(syllable)
        assert final == ""
        assert initial not in shifted
        assert vowel not in shifted


def decomposed(syllable: str) -> tuple[str, str, str]:
    """Split a Hangul syllable into its letters, by Unicode's arithmetic."""
    initials = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"
    vowels = "ㅏㅐㅑㅒㅓㅔㅕㅖㅗㅘㅙㅚㅛㅜㅝㅞㅟㅠㅡㅢㅣ"
    index = ord(syllable) - ord("가")
    final = unicodedata.normalize("NFD", syllable)[2:]
    return initials[index // 588], vowels[index % 588 // 28], final


def test_every_blocked_word_can_be_spelt_with_the_alphabet() -> None:
    assert [word for word in codes.BLOCKED_WORDS if not set(word) <= set(SYMBOLS)] == []


def test_a_code_has_exactly_10_symbols_of_the_alphabet(drawn: list[str]) -> None:
    assert {len(code) for code in drawn} == {LENGTH}
    assert set().union(*drawn) == set(SYMBOLS)


def test_a_code_has_at_least_one_syllable_and_one_digit(drawn: list[str]) -> None:
    assert [c for c in drawn if set(c).isdisjoint(SYLLABLES) or set(c).isdisjoint(DIGITS)] == []


def test_a_code_holds_no_blocked_word(drawn: list[str]) -> None:
    assert [code for code in drawn if any(word in code for word in codes.BLOCKED_WORDS)] == []


def test_a_code_is_the_same_in_nfc(drawn: list[str]) -> None:
    assert [code for code in drawn if unicodedata.normalize("NFC", code) != code] == []


def test_100_000_codes_are_all_different(drawn: list[str]) -> None:
    # By chance alone this fails less than once in three million runs.
    assert len(set(drawn)) == DRAWN


@pytest.mark.parametrize("count", [0, 1, 2, 7, 512])
def test_as_many_codes_are_drawn_as_were_asked_for(count: int) -> None:
    assert len(codes.random_codes(count)) == count


@given(st.text(alphabet=SYMBOLS, min_size=LENGTH, max_size=LENGTH))
def test_acceptable_is_both_kinds_and_no_blocked_word(code: str) -> None:
    both = not set(code).isdisjoint(SYLLABLES) and not set(code).isdisjoint(DIGITS)
    clean = not any(word in code for word in codes.BLOCKED_WORDS)
    assert codes.is_acceptable(code) == (both and clean)


@pytest.mark.parametrize("word", codes.BLOCKED_WORDS)
def test_a_blocked_word_is_refused_wherever_it_stands(word: str) -> None:
    around = "가2나3다5라7마8"[: LENGTH - len(word)]
    spelt = [around[:i] + word + around[i:] for i in range(len(around) + 1)]
    assert codes.is_acceptable("가2나3다5라7마8")
    assert [code for code in spelt if codes.is_acceptable(code)] == []


@given(st.text(alphabet=SYMBOLS, max_size=2 * LENGTH).filter(lambda text: len(text) != LENGTH))
def test_no_other_length_is_acceptable(code: str) -> None:
    assert not codes.is_acceptable(code)


def test_there_are_at_least_2_to_the_54_acceptable_codes() -> None:
    assert acceptable_count(LENGTH) >= 2**54


def test_the_count_of_acceptable_codes_is_right_where_it_can_be_checked_one_by_one() -> None:
    def is_acceptable(symbols: tuple[str, ...]) -> bool:
        text = "".join(symbols)
        both = not set(text).isdisjoint(SYLLABLES) and not set(text).isdisjoint(DIGITS)
        return both and not any(word in text for word in codes.BLOCKED_WORDS)

    assert acceptable_count(3) == sum(map(is_acceptable, itertools.product(SYMBOLS, repeat=3)))


def test_symbols_are_drawn_uniformly() -> None:
    symbols = codes._random_symbols(400_000)
    uniform = dict.fromkeys(SYMBOLS, 1 / len(SYMBOLS))
    assert chi_square(Counter(symbols), uniform) < chi_square_bound(43)


def test_neighbouring_symbols_are_drawn_independently() -> None:
    symbols = codes._random_symbols(400_000)
    pairs = Counter(symbols[i : i + 2] for i in range(0, len(symbols) - 1, 2))
    uniform = {a + b: 1 / 44**2 for a, b in itertools.product(SYMBOLS, repeat=2)}
    assert chi_square(pairs, uniform) < chi_square_bound(44**2 - 1)


@pytest.mark.parametrize("place", range(LENGTH))
def test_at_each_place_a_symbol_is_as_frequent_as_among_all_acceptable_codes(
    drawn: list[str], place: int
) -> None:
    expected = share_of_each_symbol(place)
    assert chi_square(Counter(code[place] for code in drawn), expected) < chi_square_bound(43)


def share_of_each_symbol(place: int) -> Mapping[str, float]:
    """Return how many of all acceptable codes have each symbol at a place, exactly."""

    @cache
    def endings(spelt: Spelt, length: int) -> int:
        if length == 0:
            return int(spelt[1] and spelt[2])
        return sum(endings(after, length - 1) for after in successors(spelt))

    beginnings = counted_forward(place)[place]
    total = endings(START, LENGTH)
    return {
        symbol: sum(
            ways * endings(after, LENGTH - place - 1)
            for spelt, ways in beginnings.items()
            if (after := step(spelt, symbol))
        )
        / total
        for symbol in SYMBOLS
    }


def successors(spelt: Spelt) -> Iterator[Spelt]:
    return filter(None, (step(spelt, symbol) for symbol in SYMBOLS))


def chi_square(seen: Counter[str], share: Mapping[str, float]) -> float:
    total = seen.total()
    assert set(seen) <= set(share)
    return sum((seen[x] - total * p) ** 2 / (total * p) for x, p in share.items())


def chi_square_bound(freedom: int) -> float:
    """Return what chance alone exceeds less than once in a thousand million times.

    Wilson and Hilferty's approximation, six standard deviations out.
    """
    spread = 2 / (9 * freedom)
    return float(freedom * (1 - spread + 6 * spread**0.5) ** 3)
