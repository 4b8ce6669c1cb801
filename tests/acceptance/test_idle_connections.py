"""Connections without a call under way stay open for as long as whoever pools them expects."""

import asyncio
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from support.service import Service, running_service

from coupon_service.settings import Settings

SERVERS = ("uvicorn", "pyvoy")
REQUEST = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
# Longer than the HTTP server's own default, at which clients and balancers lost calls.
IDLE_SECONDS = 6


@pytest.fixture(scope="module", params=SERVERS)
def impatient(request: pytest.FixtureRequest, own_url: str) -> Iterator[Service]:
    """A service that keeps idle connections for a second."""
    with running_service(
        "--server", request.param, database_url=own_url, keep_alive_seconds=1
    ) as service:
        yield service


async def _connect(service: Service) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    parts = urlsplit(service.url)
    return await asyncio.open_connection(parts.hostname, parts.port)


async def _ask(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes = REQUEST
) -> bytes:
    writer.write(request)
    status = await reader.readline()
    await reader.readuntil(b"\r\n0\r\n\r\n")  # the end of a body in chunks
    return status.strip()


async def test_a_connection_that_was_idle_for_seconds_is_answered(shared_service: Service) -> None:
    reader, writer = await _connect(shared_service)
    assert await _ask(reader, writer) == b"HTTP/1.1 200 OK"
    await asyncio.sleep(IDLE_SECONDS)
    assert await _ask(reader, writer) == b"HTTP/1.1 200 OK"
    writer.close()


async def test_a_connection_that_stays_idle_is_closed_in_the_end(impatient: Service) -> None:
    reader, writer = await _connect(impatient)
    assert await _ask(reader, writer) == b"HTTP/1.1 200 OK"
    async with asyncio.timeout(30):
        assert await reader.read() == b""
    writer.close()


async def test_a_connection_on_which_a_request_arrives_slowly_is_not_idle(
    impatient: Service,
) -> None:
    reader, writer = await _connect(impatient)
    assert await _ask(reader, writer) == b"HTTP/1.1 200 OK"
    writer.write(REQUEST[:-2])
    await asyncio.sleep(3)
    assert await _ask(reader, writer, REQUEST[-2:]) == b"HTTP/1.1 200 OK"
    writer.close()


def test_the_default_is_longer_than_the_minute_of_most_load_balancers() -> None:
    assert Settings.model_fields["keep_alive_seconds"].default > 60
