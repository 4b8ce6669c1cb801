"""How many connections an Envoy may have, by what its application is told of them."""

import asyncio
import threading
from dataclasses import dataclass, field

import pytest

from coupon_service.serving import envoy_connections
from coupon_service.serving.envoy_connections import LOOKS_MAX, NUMBER, Connections

LIMIT = 4


@dataclass
class Envoy:
    """Opens and ends connections, and counts how often it is asked how many are open."""

    open: set[int] = field(default_factory=set)
    last: int = -1
    asked: int = 0
    answers: bool = True

    def count(self) -> int:
        self.asked += 1
        if not self.answers:
            raise ConnectionRefusedError
        return len(self.open)

    def connect(self) -> int:
        self.last += 1
        self.open.add(self.last)
        return self.last


@pytest.fixture
def envoy() -> Envoy:
    return Envoy()


@pytest.fixture
def connections(envoy: Envoy) -> Connections:
    return Connections(envoy.count, connections_max=LIMIT)


@pytest.fixture
def always_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no look at a full Envoy hold for a while."""
    monkeypatch.setattr(envoy_connections, "FULL_SECONDS", 0)


async def is_surplus(connections: Connections, number: int) -> bool:
    headers = [(b"host", b"x"), (NUMBER.encode(), str(number).encode()), (b"x-later", b"1")]
    return await connections.is_surplus({"headers": headers})


async def test_as_many_connections_as_allowed_are_served_without_a_look(
    envoy: Envoy, connections: Connections
) -> None:
    got = [await is_surplus(connections, envoy.connect()) for _ in range(LIMIT)]
    assert (got, envoy.asked) == ([False] * LIMIT, 0)


@pytest.mark.usefixtures("always_look")
async def test_each_connection_beyond_the_limit_is_surplus_and_no_other(
    envoy: Envoy, connections: Connections
) -> None:
    within = [envoy.connect() for _ in range(LIMIT)]
    beyond = [envoy.connect() for _ in range(3)]
    assert [await is_surplus(connections, each) for each in beyond] == [True] * 3
    assert [await is_surplus(connections, each) for each in within] == [False] * LIMIT


@pytest.mark.usefixtures("always_look")
async def test_connections_that_have_not_said_anything_count(
    envoy: Envoy, connections: Connections
) -> None:
    for _ in range(LIMIT):
        envoy.connect()
    assert await is_surplus(connections, envoy.connect())


@pytest.mark.usefixtures("always_look")
async def test_the_room_of_a_connection_that_ended_is_given_to_the_next(
    envoy: Envoy, connections: Connections
) -> None:
    first, *_ = [envoy.connect() for _ in range(LIMIT)]
    refused = envoy.connect()
    assert await is_surplus(connections, refused)
    envoy.open -= {first, refused}
    assert not await is_surplus(connections, envoy.connect())
    assert await is_surplus(connections, envoy.connect())


async def test_envoy_is_asked_once_for_as_many_connections_as_there_was_room_for(
    envoy: Envoy, connections: Connections
) -> None:
    for _ in range(10 * LIMIT):
        number = envoy.connect()
        assert not await is_surplus(connections, number)
        assert not await is_surplus(connections, number)
        envoy.open.discard(number)
    # Of the four with room, one is the one that was looked for.
    assert envoy.asked == 9


async def test_of_those_who_come_at_once_the_first_are_served_until_it_is_full(
    envoy: Envoy, connections: Connections
) -> None:
    # So many came and went that it has to look.
    for _ in range(LIMIT):
        number = envoy.connect()
        assert not await is_surplus(connections, number)
        envoy.open.discard(number)
    silent = envoy.connect()
    coming = [envoy.connect() for _ in range(LIMIT)]
    got = await asyncio.gather(*(is_surplus(connections, each) for each in reversed(coming)))
    assert got == [True] + [False] * (LIMIT - 1)
    assert envoy.asked <= LOOKS_MAX + 1
    assert not await is_surplus(connections, silent)


async def test_a_place_that_was_given_is_not_taken_back(envoy: Envoy) -> None:
    looking, look_on = threading.Event(), threading.Event()

    def count() -> int:
        found = envoy.count()
        looking.set()
        look_on.wait()
        return found

    connections = Connections(count, connections_max=LIMIT)
    envoy.last = LIMIT - 1
    first = asyncio.create_task(is_surplus(connections, envoy.connect()))
    await asyncio.to_thread(looking.wait)
    later = [envoy.connect() for _ in range(LIMIT)]
    # Both wait for the same look, by which all but the last are within; the last looks again.
    waiting = [asyncio.create_task(is_surplus(connections, later[n])) for n in (-1, 0)]
    await asyncio.sleep(0)
    look_on.set()
    assert [await each for each in (first, *waiting)] == [False, True, False]
    assert [await is_surplus(connections, each) for each in later] == [False] * (LIMIT - 1) + [True]


async def test_a_full_envoy_is_not_asked_for_each_connection(
    envoy: Envoy, connections: Connections
) -> None:
    surplus = [envoy.connect() for _ in range(LIMIT + 50)][LIMIT:]
    got = await asyncio.gather(*(is_surplus(connections, each) for each in surplus))
    assert got == [True] * 50
    assert envoy.asked <= LOOKS_MAX


async def test_nobody_is_refused_because_envoy_cannot_be_asked(
    envoy: Envoy, connections: Connections
) -> None:
    envoy.answers = False
    assert not await is_surplus(connections, LIMIT)


async def test_a_request_whose_connection_has_no_number_is_served(
    connections: Connections,
) -> None:
    assert not await connections.is_surplus({"headers": [(b"host", b"x")]})
