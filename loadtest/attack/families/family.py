"""What a family of attacks is."""

import random
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

from loadtest.attack.round import Round
from loadtest.attack.shots import Shot


@dataclass(frozen=True, kw_only=True, slots=True)
class Family:
    """A kind of attack: `strike` does it until the round's time is up.

    `allowed` is what the honest caller may see meanwhile beside right answers, and
    `memory_megabytes_max` is by how much the service's processes may grow together while
    it lasts.
    """

    name: str
    title: str
    strike: Callable[[Round], Awaitable[None]]
    allowed: frozenset[str] = frozenset()
    memory_megabytes_max: int = 200


def shooting(
    generate: Callable[[random.Random, str], Iterator[Shot]],
) -> Callable[[Round], Awaitable[None]]:
    """Return a strike that sends what a generator makes of chance and a campaign's id."""

    async def strike(at_work: Round) -> None:
        await at_work.shoot_all(generate(at_work.chance, at_work.campaign_id))

    return strike
