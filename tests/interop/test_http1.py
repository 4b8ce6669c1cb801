"""What needs HTTP/2 is told so by the server that speaks HTTP/1.1."""

from collections.abc import Callable

import pytest
from interop.access import Credentials
from interop.calls import Call, NotMade, Refused
from interop.cells import PROPERTY
from interop.clients import Clients
from interop.lanes import Lane


def test_a_client_that_needs_http2_is_told_which_server_has_it(
    clients: Clients,
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
            reason = f"reflection is a stream in both directions, which needs HTTP/2; {given_up}"
    # What happened is what the matrix says of the lane's cells.
    record_property(PROPERTY, [("lane", closed_lane.id), ("reason", reason)])
