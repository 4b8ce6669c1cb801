"""The port of the service: taken at once, so that a taken one is known before anything starts."""

import contextlib
import errno
import socket
from collections.abc import Iterator

from coupon_service.failures import CannotServe

LISTEN_BACKLOG = 4096
# What the system keeps of answers that a caller has not taken. It would keep megabytes
# for each of thousands of callers, and tell of room only when a third of it is free again,
# so that a slow reader looks like none.
SEND_BUFFER_BYTES = 262_144


@contextlib.contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """Listen, for workers that share the socket.

    Raises:
        CannotServe: the address is none of ours, or taken.
    """
    with _refusals_explained(host, port):
        family, address = _resolved(host, port)
        listener = socket.create_server(address, family=family, backlog=LISTEN_BACKLOG)
    with listener:
        listener.set_inheritable(True)
        # Connections have it from the listener.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        yield listener


@contextlib.contextmanager
def reserved(host: str, port: int) -> Iterator[socket.socket]:
    """Hold a port without listening, for workers that listen on it with sockets of their own.

    Only Linux spreads connections over sockets that share a port. Elsewhere the port
    is known to have been free, and is not held.

    Raises:
        CannotServe: the address is none of ours, or taken.
    """
    with _refusals_explained(host, port):
        family, address = _resolved(host, port)
        # A socket that shares would not notice another service that shares as well.
        with socket.create_server(address, family=family) as alone:
            chosen = alone.getsockname()
        reservation = _shared(family, chosen)
    with reservation:
        yield reservation


def address_of(bound: socket.socket) -> tuple[str, int]:
    """Return the host's address and the port of a socket."""
    host, port = bound.getsockname()[:2]
    return host, port


@contextlib.contextmanager
def _refusals_explained(host: str, port: int) -> Iterator[None]:
    try:
        yield
    except (OSError, UnicodeError) as exc:
        # Python adds the address once more, and says so at length.
        why = (getattr(exc, "strerror", None) or "that is no address").partition(" (while ")[0]
        msg = f"cannot listen on {host} port {port}: {why}"
        raise CannotServe(msg) from exc


def _resolved(host: str, port: int) -> tuple[int, tuple[str, int]]:
    family, *_, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    return family, (str(address[0]), int(address[1]))


def _shared(family: int, address: tuple[str, int]) -> socket.socket:
    try:
        return _bound_to_share(family, address, also_after_others=False)
    except OSError as exc:
        if exc.errno != errno.EADDRINUSE:
            raise
        # Connections of an earlier service that did not share linger for a minute.
        return _bound_to_share(family, address, also_after_others=True)


def _bound_to_share(
    family: int, address: tuple[str, int], *, also_after_others: bool
) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, also_after_others)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        made.bind(address)
    except OSError:
        made.close()
        raise
    return made
