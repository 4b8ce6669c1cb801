"""Where calls come from."""

import ipaddress
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# What one customer of a provider has, and may take its addresses from.
IPV6_PREFIX_BITS = 64
UNKNOWN = "unknown"

# [IPv6]:port, or IPv4:port.
_WITH_PORT = re.compile(r"\[(?P<v6>[^\]]*)\](?::\d*)?|(?P<v4>[^:]*):\d*")


def origin(peer: str | None, forwarded: Sequence[str], trusted_proxies: Sequence[Network]) -> str:
    """Return the address that a call comes from, for IPv6 its network.

    `peer` is the connection's other side as address:port, `forwarded` the values of
    X-Forwarded-For. Each proxy adds at the right whom it was called by, so the rightmost
    address that is no trusted proxy's is the last that can be believed.
    """
    # The port is always there, and IPv6 without brackets.
    found = _address((peer or "").rpartition(":")[0])
    hops = _hops(forwarded)
    while found is not None and any(found in network for network in trusted_proxies):
        hop = _address(next(hops, ""))
        if hop is None:
            break
        found = hop
    return UNKNOWN if found is None else _name(found)


def _hops(forwarded: Sequence[str]) -> Iterator[str]:
    """Yield what is between commas from right to left; nothing more is looked at than asked for."""
    for value in reversed(forwarded):
        rest: str | None = value
        while rest is not None:
            before, comma, hop = rest.rpartition(",")
            rest = before if comma else None
            yield hop.strip()


@lru_cache(maxsize=4096)
def _address(text: str) -> Address | None:
    """Return an address, which may have a port after it; None if it is none."""
    match = _WITH_PORT.fullmatch(text)
    try:
        address = ipaddress.ip_address((match["v6"] or match["v4"]) if match else text)
    except ValueError:
        return None
    # An IPv6 socket shows IPv4 callers as addresses of its own kind.
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address


def _name(address: Address) -> str:
    if isinstance(address, IPv4Address):
        return str(address)
    return str(IPv6Network((int(address), IPV6_PREFIX_BITS), strict=False))
