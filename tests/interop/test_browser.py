"""Pages in a real browser: only those of origins that the service knows get through."""

import pytest
from interop.access import Credentials
from interop.browser import Page, opened
from interop.calls import Call, Refused
from interop.campaigns import new_campaign, read_stored
from interop.clients import Clients
from interop.lanes import CHROMIUM, SERVERS, Lane, Protocol, Server
from interop.web_clients import WebClient
from support.service import Service

PROTOCOLS: tuple[Protocol, ...] = ("Connect", "gRPC-Web")


@pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium on this machine")
def test_a_page_of_another_origin_gets_nothing_and_takes_nothing(
    clients: Clients,
    services: dict[str, Service],
    credentials: Credentials,
    interop_database_url: str,
) -> None:
    campaign_id = new_campaign(interop_database_url)
    call = Call(
        rpc="IssueCoupon",
        fields={"campaignId": campaign_id},
        authorization=credentials.admin,
    )

    def codes(server: Server, protocol: Protocol) -> str:
        """Return what the page makes of the browser's refusal to let it call."""
        lane = Lane(
            client="connect-web, Chromium", protocol=protocol, codec="binary", server=server
        )
        with pytest.raises(Refused) as caught:
            WebClient(services[server].url, lane, "connect-web", stranger).call(call)
        assert caught.value.refusal.message == "Failed to fetch"
        return caught.value.refusal.reason

    with Page().served() as stranger:
        stranger.script = clients.page_script
        with opened(f"{stranger.origin}/"):
            told = [codes(server, protocol) for server in SERVERS for protocol in PROTOCOLS]
    assert told == [""] * 4
    # The browser asked before it called, and was not allowed to.
    assert read_stored(interop_database_url, campaign_id).codes == []
