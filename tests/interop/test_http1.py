"""What needs HTTP/2 is told so by the server that speaks HTTP/1.1."""

from collections.abc import Callable

import httpx
import pytest
from interop.access import Credentials
from interop.calls import Call, NotMade, Refused
from interop.cells import PROPERTY
from interop.clients import Clients
from interop.lanes import Lane
from support.service import Service

# What buf says that has asked for a schema in vain.
NO_SCHEMA = "failed to find service named"


def test_a_client_that_needs_http2_is_told_which_server_has_it(
    *,
    clients: Clients,
    services: dict[str, Service],
    credentials: Credentials,
    closed_lane: Lane,
    record_property: Callable[[str, object], None],
) -> None:
    with pytest.raises((Refused, NotMade)) as caught:
        clients.get(closed_lane).call(Call(rpc="GetCampaign", authorization=credentials.admin))
    match caught.value:
        case Refused(refusal=told):
            assert told.code == "unimplemented"
            assert "--server pyvoy" in told.message
            reason = told.message
        case NotMade() as given_up:
            # buf curl is told so as well, keeps it to itself, and finds no schema.
            assert closed_lane.client == "buf curl, reflection"
            assert NO_SCHEMA in str(given_up)
            reason = f"reflection is a stream in both directions, which needs HTTP/2; {given_up}"
    # It was there, and refused: buf says the same of a service that is not.
    assert httpx.get(f"{services[closed_lane.server].url}/readyz").status_code == 200
    # What happened is what the matrix says of the lane's cells.
    record_property(PROPERTY, [("lane", closed_lane.id), ("reason", reason)])
