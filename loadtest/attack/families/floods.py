"""More connections than the service keeps open, and connections that come and go."""

import asyncio
import contextlib
import socket
import struct
from contextlib import AsyncExitStack
from urllib.parse import urlsplit

from loadtest.attack.answers import Answer, Exchange, NotHttp, read_answers
from loadtest.attack.canary import WHEN_FULL
from loadtest.attack.families.family import Family
from loadtest.attack.round import Round
from loadtest.attack.shots import call
from loadtest.attack.target import CONNECTIONS_MAX, WORKERS
from loadtest.attack.wire import Wire, wire

BEYOND = 150
HOLD_SECONDS = 1
CHURN = 400
SERVED_WITHIN_SECONDS = 15


async def strike(at_work: Round) -> None:
    """Fill the service with connections, and come and go, by turns."""
    while True:
        await _fill(at_work)
        await _expect_service(at_work)
        await _come_and_go(at_work)
        await _expect_service(at_work)
        if at_work.is_over:
            return


async def _fill(at_work: Round) -> None:
    """Open more connections than there may be, and make a call on each."""
    shot = call("GetCampaign", b'{"campaignId":"%b","view":1}' % at_work.campaign_id.encode())
    request = at_work.authorized(shot.request).as_http1() if shot.request else b""
    async with AsyncExitStack() as stack:
        held: list[Wire] = []
        for _ in range(CONNECTIONS_MAX * WORKERS + BEYOND):
            with contextlib.suppress(OSError, TimeoutError):
                held.append(await stack.enter_async_context(wire(at_work.target.url)))
        answers = await asyncio.gather(*(_ask(connection, request) for connection in held))
        await asyncio.sleep(HOLD_SECONDS)
    served = sum(1 for answer in answers if answer and answer.status == 200)
    for answer in answers:
        at_work.count(str(answer.status) if answer else "closed")
        if answer and answer.status not in {200, 503}:
            at_work.violated("A connection too many was answered otherwise.", request, answer)
    if not served:
        at_work.violated("No connection was served.")
    if served > CONNECTIONS_MAX * WORKERS:
        at_work.violated(f"{served} connections were served at once.")


async def _ask(connection: Wire, request: bytes) -> Answer | None:
    await connection.send(request)
    data = b""
    with contextlib.suppress(TimeoutError, NotHttp):
        async with asyncio.timeout(10):
            while more := await connection.read():
                data += more
                answers, _ = read_answers(data, is_closed=False)
                if answers:
                    return answers[0]
    return None


async def _come_and_go(at_work: Round) -> None:
    """Connect and leave at once, some with a reset."""
    parts = urlsplit(at_work.target.url)
    for _ in range(CHURN):
        with socket.socket() as connection:
            connection.settimeout(0)
            if at_work.chance.random() < 0.5:
                no_wait = struct.pack("ii", 1, 0)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, no_wait)
            loop = asyncio.get_running_loop()
            with contextlib.suppress(OSError):
                await loop.sock_connect(connection, (parts.hostname, parts.port))
                connection.send(b"POST /coupon.v1"[: at_work.chance.randrange(15)])
        at_work.count("left")


async def _expect_service(at_work: Round) -> None:
    """Wait until a call is answered as ever."""
    shot = call("GetCampaign", b'{"campaignId":"%b","view":1}' % at_work.campaign_id.encode())
    got = Exchange(answers=[])
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(SERVED_WITHIN_SECONDS):
            while True:
                got = await at_work.look(shot)
                if got.answers and got.answers[0].status == 200:
                    return
                await asyncio.sleep(0.1)
    at_work.violated("After a flood a call was not answered.", shot.data, got)


FAMILY = Family(
    name="floods",
    title="more connections than the service keeps open; connections that come and go",
    strike=strike,
    allowed=WHEN_FULL,
)
