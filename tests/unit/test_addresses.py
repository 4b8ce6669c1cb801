"""Where a call comes from, and whom one may believe about that."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coupon_service.access.addresses import UNKNOWN, origin

PROXIES = [ipaddress.ip_network(text) for text in ("10.0.0.0/8", "2001:db8:ffff::/48")]


@pytest.mark.parametrize(
    ("peer", "name"),
    [
        ("192.0.2.7:5000", "192.0.2.7"),
        ("::ffff:192.0.2.7:5000", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6:5000", "2001:db8:1:2::/64"),
        ("::1:5000", "::/64"),
        ("fe80::1%eth0:5000", "fe80::/64"),
        ("", UNKNOWN),
        ("somewhere:5000", UNKNOWN),
        (None, UNKNOWN),
    ],
)
def test_a_caller_is_the_connection_s_other_side(peer: str | None, name: str) -> None:
    assert origin(peer, [], []) == name


def test_callers_of_one_ipv6_network_count_as_one() -> None:
    names = {origin(f"2001:db8::{number:x}:5000", [], []) for number in range(1, 1000)}
    assert names == {"2001:db8::/64"}


@pytest.mark.parametrize("trusted", [[], PROXIES])
def test_a_stranger_s_header_is_not_believed(trusted: list[ipaddress.IPv4Network]) -> None:
    assert origin("192.0.2.7:5000", ["198.51.100.1"], trusted) == "192.0.2.7"


@pytest.mark.parametrize(
    ("forwarded", "name"),
    [
        (["198.51.100.1"], "198.51.100.1"),
        (["198.51.100.1, 10.9.9.9"], "198.51.100.1"),
        (["203.0.113.9, 198.51.100.1, 10.9.9.9"], "198.51.100.1"),
        (["203.0.113.9", "198.51.100.1", "10.9.9.9"], "198.51.100.1"),
        (["198.51.100.1:443"], "198.51.100.1"),
        (["2001:db8:1::1"], "2001:db8:1::/64"),
        (["[2001:db8:1::1]"], "2001:db8:1::/64"),
        (["[2001:db8:1::1]:443"], "2001:db8:1::/64"),
        (["198.51.100.1,2001:db8:ffff::1"], "198.51.100.1"),
        # Only proxies are named: the furthest of them.
        (["10.1.1.1, 10.9.9.9"], "10.1.1.1"),
        ([], "10.0.0.1"),
        ([""], "10.0.0.1"),
        (["nonsense"], "10.0.0.1"),
        (["198.51.100.1, nonsense"], "10.0.0.1"),
        (["198.51.100.1,"], "10.0.0.1"),
        (["198.51.100.1, nonsense, 10.9.9.9"], "10.9.9.9"),
    ],
)
def test_behind_a_proxy_it_is_the_last_that_no_proxy_is(forwarded: list[str], name: str) -> None:
    assert origin("10.0.0.1:5000", forwarded, PROXIES) == name


@given(st.lists(st.text(st.characters(exclude_characters=","))), st.ip_addresses(v=4))
def test_nothing_that_a_caller_sends_changes_what_its_proxy_says(
    sent: list[str], caller: ipaddress.IPv4Address
) -> None:
    if any(caller in network for network in PROXIES):
        return
    told = ", ".join([*sent, str(caller)])
    assert origin("10.0.0.1:5000", [told], PROXIES) == str(caller)


@given(st.lists(st.text()), st.text() | st.none())
def test_no_text_breaks_anything(forwarded: list[str], peer: str | None) -> None:
    assert origin(peer, forwarded, PROXIES)
    assert origin("10.0.0.1:5000", forwarded, PROXIES)
