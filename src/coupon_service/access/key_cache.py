"""Key sets kept at hand: read again when they are old or lack a key, but never often."""

import asyncio
import time
from collections.abc import Callable

import structlog

from coupon_service.access.key_sets import BadKeySet, KeySet, PublicKey, is_url, read

log = structlog.get_logger(__name__)

# How old keys may be: a key that was taken away is in use for so long.
FILE_SECONDS_MAX = 1
URL_SECONDS_MAX = 300
# Between two attempts to read, whoever asks for whatever key.
FILE_PAUSE_SECONDS = 1
URL_PAUSE_SECONDS = 5


class KeyCache:
    """The keys of one source, for one event loop.

    `seconds_max` is how old they may be before they are read again, `pause_seconds` what
    lies between two attempts at least. What was read last is used until a better is read.
    """

    def __init__(
        self,
        source: str,
        *,
        seconds_max: float,
        pause_seconds: float,
        read_keys: Callable[[str], KeySet] = read,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._seconds_max = seconds_max
        self._pause_seconds = pause_seconds
        self._read_keys = read_keys
        self._monotonic = monotonic
        self._keys: KeySet = {}
        self._read_at = self._tried_at = float("-inf")
        self._reading: asyncio.Task[None] | None = None
        self._failed = False

    async def find(self, kid: str, algorithm: str) -> PublicKey | None:
        """Return a key, or None if there is none by that id for that algorithm.

        Waits for the source if the key is unknown or the keys are old, but with a key at
        hand not for a source that failed the last time, nor because others wait for theirs.
        """
        name = (kid, algorithm)
        is_old = self._monotonic() - self._read_at >= self._seconds_max
        if name not in self._keys or is_old:
            reading = self._begin_reading()
            if reading is not None and not (name in self._keys and self._failed):
                # A caller that hangs up must not break off what others wait for.
                await asyncio.shield(reading)
        return self._keys.get(name)

    def _begin_reading(self) -> "asyncio.Task[None] | None":
        """Return the reading that is under way, or begin one if the last was long enough ago."""
        if self._reading is not None:
            return self._reading
        now = self._monotonic()
        if now - self._tried_at < self._pause_seconds:
            return None
        self._tried_at = now
        self._reading = asyncio.create_task(self._read())
        return self._reading

    async def _read(self) -> None:
        try:
            self._keys = await asyncio.to_thread(self._read_keys, self._source)
        except BadKeySet as exc:
            if not self._failed:
                log.warning("cannot read the keys of JSON Web Tokens", why=str(exc))
            self._failed = True
        else:
            self._failed = False
            self._read_at = self._monotonic()
        finally:
            self._reading = None


def cache_of(source: str) -> KeyCache:
    """Return a cache for a file or an http(s) URL."""
    if is_url(source):
        return KeyCache(source, seconds_max=URL_SECONDS_MAX, pause_seconds=URL_PAUSE_SECONDS)
    return KeyCache(source, seconds_max=FILE_SECONDS_MAX, pause_seconds=FILE_PAUSE_SECONDS)
