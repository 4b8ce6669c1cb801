"""Every family of attacks on pyvoy; the other server's file can run meanwhile."""

import pytest
from attack.sweeping import each_family, hold_promises_under

from loadtest.attack.families import Family
from loadtest.attack.target import Target

pytestmark = pytest.mark.parametrize("target", ["pyvoy"], indirect=True, scope="module")


@each_family
async def test_no_promise_gives_under(family: Family, target: Target) -> None:
    await hold_promises_under(family, target)
