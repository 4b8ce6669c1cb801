"""Pages in a real browser: only those of origins that the service knows get through."""

from itertools import product

import pytest
from interop.access import Credentials
from interop.browser import Page, opened
from interop.calls import Call, Refused
from interop.campaigns import Storage
from interop.clients import Clients
from interop.lanes import CHROMIUM, SERVERS, Lane, Protocol
from interop.web_clients import WebClient
from support.service import Service

PROTOCOLS: tuple[Protocol, ...] = ("Connect", "gRPC-Web")


@pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium on this machine")
def test_a_page_of_another_origin_gets_nothing_and_takes_nothing(
    clients: Clients, services: dict[str, Service], credentials: Credentials, storage: Storage
) -> None:
    campaign_id = storage.new_campaign()
    call = Call(
        rpc="IssueCoupon",
        fields={"campaignId": campaign_id},
        authorization=credentials.admin,
    )
    codes = []
    with Page().served() as stranger:
        stranger.script = clients.page_script
        with opened(f"{stranger.origin}/"):
            for server, protocol in product(SERVERS, PROTOCOLS):
                lane = Lane(
                    client="connect-web, Chromium", protocol=protocol, codec="binary", server=server
                )
                # The service is there: a page that it knows gets through just before.
                codes.append(clients.get(lane).call(call)["coupon"]["code"])
                with pytest.raises(Refused) as caught:
                    WebClient(services[server].url, lane, "connect-web", stranger).call(call)
                # That is what the page makes of the browser's refusal to let it call.
                refusal = caught.value.refusal
                assert (refusal.message, refusal.reason) == ("Failed to fetch", "")
    # The browser asked before it called, and was not allowed to.
    assert storage.read(campaign_id).codes == codes
