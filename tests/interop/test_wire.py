"""What protocols allow beyond a plain call, over every way in."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from interop.access import Credentials
from interop.calls import COUPONS, Call
from interop.campaigns import Storage
from interop.cells import cell
from interop.clients import Clients
from interop.conftest import Ask, AskRefused
from interop.lanes import Lane
from interop.recording import Recorder, recording
from interop.tomorrow import UNKNOWN_FIELD, UNKNOWN_RPC, UNKNOWN_SERVICE
from support.service import Service

# How gzip's format begins.
GZIP_MAGIC = b"\x1f\x8b\x08"


@pytest.fixture(scope="module")
def recorders(services: dict[str, Service]) -> Iterator[dict[str, Recorder]]:
    """Other ways to the services, on which is seen what clients send."""
    with ExitStack() as stack:
        yield {
            server: stack.enter_context(recording(service.url))
            for server, service in services.items()
        }


@cell("gzip")
def test_a_compressed_request_is_understood(
    *,
    clients: Clients,
    lane: Lane,
    recorders: dict[str, Recorder],
    credentials: Credentials,
    storage: Storage,
) -> None:
    campaign_id, user_id = storage.new_campaign(), "a" * 128
    fields = {"campaignId": campaign_id, "userId": user_id}
    call = Call(rpc="IssueCoupon", fields=fields, authorization=credentials.admin, gzip=True)
    recorder = recorders[lane.server]
    before = len(recorder.sent)
    answer = clients.make(lane, recorder.url).call(call)
    sent = bytes(recorder.sent[before:])
    assert answer["coupon"]["userId"] == user_id
    assert storage.read(campaign_id).user_ids == [user_id]
    assert GZIP_MAGIC in sent
    assert user_id.encode() not in sent


@cell("field")
def test_a_field_that_the_service_does_not_know_is_ignored(ask: Ask, storage: Storage) -> None:
    campaign_id = storage.new_campaign()
    fields = {"campaignId": campaign_id, "userId": "alice", UNKNOWN_FIELD: "something"}
    coupon = ask("IssueCoupon", fields)["coupon"]
    assert (coupon["userId"], coupon["sequence"]) == ("alice", 1)


@cell("no rpc", "unknown method")
def test_a_method_that_does_not_exist_is_unimplemented(ask_refused: AskRefused) -> None:
    assert ask_refused(UNKNOWN_RPC, {}, service=COUPONS).code == "unimplemented"


@cell("no rpc", "unknown service")
def test_a_service_that_does_not_exist_is_unimplemented(
    ask_refused: AskRefused,
) -> None:
    refusal = ask_refused("IssueCoupon", {}, service=UNKNOWN_SERVICE)
    assert refusal.code == "unimplemented"
