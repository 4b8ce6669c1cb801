"""When keys are read again, and that nobody can make it happen too often."""

import asyncio
import contextlib
import itertools
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from structlog.testing import capture_logs
from support.web_tokens import jwks, rsa_key

from coupon_service.access.key_cache import KeyCache, cache_of
from coupon_service.access.key_sets import BadKeySet, KeySet

OLD, NEW = (rsa_key(name).private.public_key() for name in ("old", "new"))
assert isinstance(OLD, RSAPublicKey)
assert isinstance(NEW, RSAPublicKey)
BEFORE: KeySet = {("old", "RS256"): OLD}
AFTER: KeySet = {("new", "RS256"): NEW}


class Source:
    """A source of keys, and a clock, in the test's hand."""

    def __init__(self) -> None:
        self.keys: KeySet | None = BEFORE
        self.now = 0.0
        self.times_read = 0
        self.cache = KeyCache(
            "source",
            seconds_max=300,
            pause_seconds=5,
            read_keys=self.read,
            monotonic=lambda: self.now,
        )

    def read(self, source: str) -> KeySet:
        assert source == "source"
        self.times_read += 1
        if self.keys is None:
            raise BadKeySet("it is not there")
        return self.keys


async def test_keys_are_read_when_the_first_is_wanted() -> None:
    source = Source()
    assert source.times_read == 0
    assert await source.cache.find("old", "RS256") is OLD
    assert source.times_read == 1


async def test_a_key_at_hand_is_not_read_again() -> None:
    source = Source()
    for _ in range(100):
        assert await source.cache.find("old", "RS256") is OLD
    assert source.times_read == 1


async def test_a_key_is_none_for_another_algorithm() -> None:
    assert await Source().cache.find("old", "PS256") is None


async def test_an_unknown_id_reads_again_but_only_once_in_a_while() -> None:
    source = Source()
    await source.cache.find("old", "RS256")
    for number in range(1000):
        assert await source.cache.find(f"made up {number}", "RS256") is None
    assert source.times_read == 1
    source.now = 5
    for number in range(1000):
        assert await source.cache.find(f"made up {number}", "RS256") is None
    assert source.times_read == 2


async def test_made_up_ids_at_once_are_one_reading() -> None:
    source = Source()
    found = await asyncio.gather(*(source.cache.find(str(n), "RS256") for n in range(100)))
    assert (found, source.times_read) == ([None] * 100, 1)


async def test_a_new_key_is_found_when_a_token_names_it() -> None:
    source = Source()
    await source.cache.find("old", "RS256")
    source.keys, source.now = {**BEFORE, **AFTER}, 5
    assert await source.cache.find("new", "RS256") is NEW


async def test_a_key_that_was_taken_away_is_gone_when_the_keys_are_old() -> None:
    source = Source()
    await source.cache.find("old", "RS256")
    source.keys, source.now = AFTER, 299
    assert await source.cache.find("old", "RS256") is OLD
    source.now = 300
    assert await source.cache.find("old", "RS256") is None


async def test_keys_stay_in_use_while_the_source_fails() -> None:
    source = Source()
    await source.cache.find("old", "RS256")
    source.keys = None
    with capture_logs() as logged:
        for _ in range(10):
            source.now += 300
            assert await source.cache.find("old", "RS256") is OLD
            await asyncio.sleep(0.01)
    assert source.times_read > 2
    assert [each["why"] for each in logged] == ["it is not there"]


async def test_keys_are_found_once_the_source_can_be_read() -> None:
    source = Source()
    source.keys = None
    assert await source.cache.find("old", "RS256") is None
    source.keys = BEFORE
    assert await source.cache.find("old", "RS256") is None
    source.now = 5
    assert await source.cache.find("old", "RS256") is OLD


async def test_who_hangs_up_does_not_break_off_what_others_wait_for() -> None:
    source = Source()
    impatient = asyncio.create_task(source.cache.find("old", "RS256"))
    patient = asyncio.create_task(source.cache.find("old", "RS256"))
    await asyncio.sleep(0)
    impatient.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await impatient
    assert await patient is OLD


async def test_a_file_that_changes_is_read_again(tmp_path: Path) -> None:
    path, first, second = tmp_path / "keys.json", rsa_key("first"), rsa_key("second")
    path.write_bytes(jwks([first]))
    cache = cache_of(str(path))
    assert await cache.find("first", "RS256") == first.private.public_key()
    path.write_bytes(jwks([second]))
    for _ in itertools.count():
        if await cache.find("second", "RS256") is not None:
            break
        await asyncio.sleep(0.05)
    assert await cache.find("first", "RS256") is None


async def test_a_key_at_hand_does_not_wait_for_one_that_somebody_made_up() -> None:
    source = Source()
    await source.cache.find("old", "RS256")
    source.now = 10
    going_on = asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow_read(_source: str) -> KeySet:
        asyncio.run_coroutine_threadsafe(going_on.wait(), loop).result()
        return BEFORE

    source.cache._read_keys = slow_read
    waiting = asyncio.create_task(source.cache.find("made up", "RS256"))
    await asyncio.sleep(0)
    assert await asyncio.wait_for(source.cache.find("old", "RS256"), 5) is OLD
    assert not waiting.done()
    going_on.set()
    assert await waiting is None


class Kept(Source):
    """The same, with the patience that a source's kind has."""

    def __init__(self, where: str) -> None:
        super().__init__()
        self.cache = cache_of(where)
        self.cache._read_keys = lambda _: self.read("source")
        self.cache._monotonic = lambda: self.now


FILE, URL = "keys.json", "https://login.example.com/keys"


@pytest.mark.parametrize(("where", "seconds"), [(FILE, 1), (URL, 300)])
async def test_a_key_that_was_taken_away_is_gone_after_a_second_and_from_a_url_after_5_minutes(
    where: str, seconds: int
) -> None:
    source = Kept(where)
    await source.cache.find("old", "RS256")
    source.keys, source.now = AFTER, seconds - 0.1
    assert await source.cache.find("old", "RS256") is OLD
    source.now = seconds
    assert await source.cache.find("old", "RS256") is None


@pytest.mark.parametrize(("where", "seconds"), [(FILE, 1), (URL, 5)])
async def test_made_up_ids_make_a_file_be_read_once_in_a_second_and_a_url_once_in_5(
    where: str, seconds: int
) -> None:
    source = Kept(where)
    times_read = []
    for source.now in (0, seconds - 0.1, seconds, 2 * seconds - 0.1, 2 * seconds):
        await source.cache.find("made up", "RS256")
        times_read.append(source.times_read)
    assert times_read == [1, 1, 2, 2, 3]
