"""The cells of the matrix: for each lane, what has to be seen to work."""

from typing import Any

import pytest
from interop.lanes import LANES, Lane

# Columns, and the parts of those that hold several tests.
COLUMNS: dict[str, tuple[str, ...]] = {
    "create": ("CreateCampaign",),
    "full": ("GetCampaign FULL",),
    "basic": ("GetCampaign BASIC",),
    "issue": ("IssueCoupon", "IssueCoupon again"),
    "health": ("overall", "each service", "unknown service", "without the database"),
    "refusals": (
        "INVALID_REQUEST",
        "CAMPAIGN_NOT_FOUND",
        "CAMPAIGN_NOT_STARTED",
        "CAMPAIGN_PAUSED",
        "CAMPAIGN_ENDED",
        "SOLD_OUT",
        "OVERLOADED",
        "STORAGE_UNAVAILABLE",
        "UNAUTHENTICATED",
        "PERMISSION_DENIED",
    ),
    "tokens": ("CreateCampaign", "GetCampaign FULL"),
    "gzip": ("request",),
    "late": ("deadline",),
    "100,000": ("codes",),
    "field": ("unknown field",),
    "no rpc": ("unknown method", "unknown service"),
    "get": ("GetCampaign",),
}
COLUMNS_MEAN = {
    "create": "CreateCampaign",
    "full": "GetCampaign, with codes",
    "basic": "GetCampaign, without codes",
    "issue": "IssueCoupon, and again for the same user",
    "health": "grpc.health.v1.Health/Check",
    "refusals": "every refusal with its code, reason and details",
    "tokens": "what admins may do is refused without a token, and with each wrong one; "
    "from the command line with one of each kind",
    "gzip": "a request that is seen to be compressed on its way",
    "late": "a deadline that passes, as the client tells it",
    "100,000": "an answer with 100,000 codes",
    "field": "a field that the service does not know",
    "no rpc": "a method and a service that do not exist",
    "get": "GetCampaign by HTTP GET",
}

# The property of a test's report that says which cells it stands for.
PROPERTY = "interop"


def cell(column: str, part: str = "") -> pytest.MarkDecorator:
    """Mark a test as a part of a column; it then runs for each lane that has this column."""
    part = part or COLUMNS[column][0]
    assert part in COLUMNS[column]
    return pytest.mark.cell(column, part)


def lanes_of(column: str) -> list[Lane]:
    """Return the lanes that have a column."""
    return [lane for lane in LANES if not lane.is_closed and not lane.cannot(column)]


def closed_lanes() -> list[Lane]:
    """Return the lanes that no call can get through."""
    return [lane for lane in LANES if lane.is_closed]


def parametrize(metafunc: Any) -> None:  # noqa: ANN401 # pytest does not export its class
    """Run a test for each of its lanes."""
    if "lane" in metafunc.fixturenames:
        marker = metafunc.definition.get_closest_marker("cell")
        lanes = lanes_of(marker.args[0])
    elif "closed_lane" in metafunc.fixturenames:
        lanes = closed_lanes()
    else:
        return
    name = "lane" if "lane" in metafunc.fixturenames else "closed_lane"
    metafunc.parametrize(name, lanes, ids=[lane.id for lane in lanes])
