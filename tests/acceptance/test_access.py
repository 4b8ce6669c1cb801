"""Who gets in: every call, in every protocol, with right and wrong credentials."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import asyncpg
import httpx
import pytest
from conftest import ServiceStarter
from connectrpc.errors import ConnectError
from protobuf import Message
from protobuf.wkt.google.protobuf.timestamp_pb import Timestamp
from support import plain, wire
from support.refusals import PROTOCOLS, Refusal, client, of_error, of_json
from support.service import Service, eventually, running_service
from support.web_tokens import AUDIENCE, ISSUER, Key, ec_key, jwks, rsa_key, spelled

from coupon_service.access.identities import Role
from coupon_service.access.key_cache import URL_PAUSE_SECONDS
from coupon_service.access.tokens import new_token, token_hash
from coupon_service.gen.coupon.v1 import coupon_pb as pb
from coupon_service.gen.coupon.v1.coupon_connect import CouponService

ADMIN, NEXT_ADMIN, ISSUER_TOKEN = (
    new_token(role) for role in (Role.ADMIN, Role.ADMIN, Role.ISSUER)
)
KEY, STRANGER = rsa_key("key"), rsa_key("key")
# When no run of the tests that collected them is under way any more.
LATER = int(time.time()) + 86_400
TOKENS: dict[str, Any] = {
    "admin_token_hashes": f"{token_hash(ADMIN)},{token_hash(NEXT_ADMIN)}",
    "issuer_token_hashes": token_hash(ISSUER_TOKEN),
}
JWT: dict[str, Any] = {"jwt_audience": AUDIENCE, "jwt_issuer": ISSUER}
LONG_AGO = Timestamp.from_datetime(datetime(2020, 1, 1, tzinfo=UTC))
StoredCounter = Callable[[], Awaitable[tuple[int, int]]]
NAMES = [method.name for method in CouponService.desc().methods]


@pytest.fixture(scope="module", params=["uvicorn", "pyvoy"])
def guarded(
    request: pytest.FixtureRequest,
    own_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Service]:
    """A service that wants credentials, with all kinds of them, on each server."""
    path = tmp_path_factory.mktemp("keys") / "keys.json"
    path.write_bytes(jwks([KEY]))
    with running_service(
        server=request.param,
        database_url=own_url,
        access_log=True,
        log_level="debug",
        **TOKENS,
        **JWT,
        jwt_jwks=path,
    ) as service:
        yield service


@pytest.fixture(scope="module")
def campaign_id(guarded: Service) -> str:
    """A campaign that is open."""
    answer: Any = asyncio.run(call(guarded.url, "connect-binary", requests("")["CreateCampaign"]))
    return str(answer.campaign.campaign_id)


@pytest.fixture
async def stored(own_url: str, campaign_id: str) -> AsyncIterator[StoredCounter]:
    """Counts what is stored: campaigns, and coupons."""
    assert campaign_id
    connection = await asyncpg.connect(own_url)

    async def count() -> tuple[int, int]:
        campaigns = await connection.fetchval("SELECT count(*) FROM campaign")
        return campaigns, await connection.fetchval("SELECT count(*) FROM coupon")

    yield count
    await connection.close()


def requests(campaign_id: str) -> dict[str, Message]:
    """Return a valid request of each RPC; one that only admins may make where there is one."""
    return {
        "CreateCampaign": pb.CreateCampaignRequest(
            name="access", coupon_limit=10_000, start_time=LONG_AGO
        ),
        "GetCampaign": pb.GetCampaignRequest(campaign_id=campaign_id),
        "IssueCoupon": pb.IssueCouponRequest(campaign_id=campaign_id, user_id="bob"),
    }


def basic(campaign_id: str) -> pb.GetCampaignRequest:
    return pb.GetCampaignRequest(campaign_id=campaign_id, view=pb.CampaignView.BASIC)


async def call(
    url: str, protocol: str, request: Message, authorization: str | None = f"Bearer {ADMIN}"
) -> Message:
    """Make the call that a request belongs to, with these credentials."""
    rpc = type(request).__name__.removesuffix("Request")
    method = {"CreateCampaign": "create_campaign", "GetCampaign": "get_campaign"}
    headers = {} if authorization is None else {"authorization": authorization}
    async with client(url, protocol) as calls:
        answer: Message = await getattr(calls, method.get(rpc, "issue_coupon"))(
            request, headers=headers
        )
    return answer


async def refused(url: str, protocol: str, request: Message, authorization: str | None) -> Refusal:
    with pytest.raises(ConnectError) as error:
        await call(url, protocol, request, authorization)
    return of_error(error.value)


def test_every_rpc_is_tried_here() -> None:
    assert set(requests("")) == set(NAMES)


# Wrong credentials -------------------------------------------------------------------

CHANGED = ADMIN[:-10] + ("A" if ADMIN[-10] != "A" else "B") + ADMIN[-9:]
WRONG = {
    "empty": "",
    "no token": "Bearer",
    "an empty token": "Bearer ",
    "another scheme": f"Basic {ADMIN}",
    "no scheme": ADMIN,
    "truncated": f"Bearer {ADMIN[:-1]}",
    "lengthened": f"Bearer {ADMIN}A",
    "one character changed": f"Bearer {CHANGED}",
    "the hash": f"Bearer {token_hash(ADMIN)}",
    "made up": f"Bearer {new_token(Role.ADMIN)}",
    "two": f"Bearer {ADMIN}, Bearer {ADMIN}",
    "expired": f"Bearer {KEY.token(exp=1)}",
    "signed by a stranger": f"Bearer {STRANGER.token(exp=LATER)}",
    "an unknown key": f"Bearer {KEY.token({'kid': 'unknown'}, exp=LATER)}",
    "unsigned": "Bearer " + spelled({"alg": "none", "kid": "key"}, {"sub": "alice"}),
    "of another audience": f"Bearer {KEY.token(aud='others', exp=LATER)}",
    "without a subject": f"Bearer {KEY.token(sub=None, exp=LATER)}",
    "with a subject that is no user id": f"Bearer {KEY.token(sub='a' * 129, exp=LATER)}",
}
UNAUTHENTICATED = Refusal(
    code="unauthenticated",
    message="The call carries no valid credentials.",
    reason="UNAUTHENTICATED",
    domain="coupon.v1",
    details=("google.rpc.ErrorInfo",),
)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("rpc", NAMES)
async def test_wrong_credentials_are_refused_in_one_wording_and_change_nothing(
    guarded: Service, campaign_id: str, stored: StoredCounter, rpc: str, protocol: str
) -> None:
    before = await stored()
    request = requests(campaign_id)[rpc]
    got = {name: await refused(guarded.url, protocol, request, w) for name, w in WRONG.items()}
    assert got == dict.fromkeys(WRONG, UNAUTHENTICATED)
    assert await stored() == before


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("rpc", NAMES)
async def test_no_credentials_are_refused_and_it_is_said_what_is_needed(
    guarded: Service, campaign_id: str, stored: StoredCounter, rpc: str, protocol: str
) -> None:
    before = await stored()
    got = await refused(guarded.url, protocol, requests(campaign_id)[rpc], None)
    assert got.summary == UNAUTHENTICATED.summary
    assert got.message == "The call needs a bearer token and carries none."
    assert await stored() == before


async def test_over_plain_http_it_is_401_with_the_scheme(guarded: Service) -> None:
    response = await plain.post(f"{guarded.url}/coupon.v1.CouponService/IssueCoupon", {})
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert of_json(response.content).reason == "UNAUTHENTICATED"


@pytest.mark.parametrize("view", ["BASIC", "FULL"])
async def test_a_get_needs_a_token_too_and_not_in_the_query(
    guarded: Service, campaign_id: str, view: str
) -> None:
    message = json.dumps({"campaignId": campaign_id, "view": f"CAMPAIGN_VIEW_{view}"})
    query = {"connect": "v1", "encoding": "json", "message": message}
    url = f"{guarded.url}/coupon.v1.CouponService/GetCampaign"
    for extra in ({}, {"token": ADMIN}, {"access_token": ADMIN}, {"authorization": ADMIN}):
        assert (await plain.get(url, query | extra)).status_code == 401
    async with httpx.AsyncClient(headers={"authorization": f"Bearer {ADMIN}"}) as admin:
        assert (await admin.get(url, params=query)).status_code == 200


@pytest.mark.parametrize("body", [b"nonsense", b"{" * 1000, b" " * 10_000_000])
async def test_a_stranger_s_request_is_not_read(guarded: Service, body: bytes) -> None:
    async with wire.wire(guarded.url) as connection:
        answer = await connection.ask(wire.post("IssueCoupon", body))
    assert answer.status in {401, 0} if len(body) > 10_000 else answer.status == 401


async def test_two_headers_are_no_credentials(guarded: Service) -> None:
    header = (b"authorization", f"Bearer {ADMIN}".encode())
    async with wire.wire(guarded.url) as connection:
        twice = wire.post("IssueCoupon", b"{}", [*wire.JSON, header, header])
        assert (await connection.ask(twice)).status == 401
        once = wire.post("IssueCoupon", b"{}", [*wire.JSON, header])
        assert (await connection.ask(once)).status == 400


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
async def test_operators_look_without_a_token(guarded: Service, path: str) -> None:
    assert (await plain.get(guarded.url + path)).status_code == 200


async def test_health_checks_need_no_token(guarded: Service) -> None:
    answer = await plain.post(f"{guarded.url}/grpc.health.v1.Health/Check", {})
    assert (answer.status_code, answer.json()) == (200, {"status": "SERVING"})


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
async def test_reflection_needs_no_token(guarded: Service, version: str) -> None:
    info = f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo".encode()
    body = wire.envelope(b'{"listServices":""}')
    length = (b"content-length", str(len(body)).encode())
    kind = (b"content-type", b"application/connect+json")
    async with wire.wire(guarded.url) as connection:
        answer = await connection.ask(wire.head(b"POST", info, [kind, length]) + body)
    assert (answer.status, b"coupon.v1.CouponService" in answer.body) == (200, True)


# Roles -------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("token", [ADMIN, NEXT_ADMIN], ids=["one", "the next"])
async def test_each_of_several_admin_tokens_may_make_every_call(
    guarded: Service, campaign_id: str, token: str, protocol: str
) -> None:
    for request in [*requests(campaign_id).values(), basic(campaign_id)]:
        assert await call(guarded.url, protocol, request, f"Bearer {token}")


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "token", [ISSUER_TOKEN, KEY.token(exp=LATER)], ids=["the issuer's token", "a user's token"]
)
@pytest.mark.parametrize(
    ("rpc", "message"),
    [
        ("CreateCampaign", "The credentials do not allow this call."),
        (
            "GetCampaign",
            "The credentials show campaigns only without their codes: ask for CAMPAIGN_VIEW_BASIC.",
        ),
    ],
)
async def test_what_is_an_admin_s_is_denied_to_others(
    guarded: Service,
    campaign_id: str,
    stored: StoredCounter,
    *,
    rpc: str,
    message: str,
    token: str,
    protocol: str,
) -> None:
    before = await stored()
    got = await refused(guarded.url, protocol, requests(campaign_id)[rpc], f"Bearer {token}")
    assert got == Refusal(
        code="permission_denied",
        message=message,
        reason="PERMISSION_DENIED",
        domain="coupon.v1",
        details=("google.rpc.ErrorInfo",),
    )
    assert await stored() == before


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_an_issuer_claims_for_anybody_and_looks_without_codes(
    guarded: Service, campaign_id: str, protocol: str
) -> None:
    bearer = f"Bearer {ISSUER_TOKEN}"
    for user_id in ("", "alice", f"carol of {protocol}"):
        request = pb.IssueCouponRequest(campaign_id=campaign_id, user_id=user_id)
        answer: Any = await call(guarded.url, protocol, request, bearer)
        assert answer.coupon.user_id == user_id
    seen: Any = await call(guarded.url, protocol, basic(campaign_id), bearer)
    assert (seen.campaign.campaign_id, list(seen.coupon_codes)) == (campaign_id, [])


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_user_claims_for_itself_alone(
    guarded: Service, campaign_id: str, stored: StoredCounter, protocol: str
) -> None:
    me = f"dave of {protocol}"
    bearer = f"Bearer {KEY.token(sub=me)}"
    coupons = []
    for user_id in ("", me, ""):
        request = pb.IssueCouponRequest(campaign_id=campaign_id, user_id=user_id)
        answer: Any = await call(guarded.url, protocol, request, bearer)
        coupons.append((answer.coupon.user_id, answer.coupon.code, answer.already_issued))
    code = coupons[0][1]
    assert coupons == [(me, code, False), (me, code, True), (me, code, True)]
    before = await stored()
    other = pb.IssueCouponRequest(campaign_id=campaign_id, user_id="somebody")
    got = await refused(guarded.url, protocol, other, bearer)
    assert (got.code, got.reason) == ("permission_denied", "PERMISSION_DENIED")
    assert await stored() == before


async def test_concurrent_users_are_not_mixed_up(guarded: Service, campaign_id: str) -> None:
    names = [f"user {number}" for number in range(50)] + ["사용자", "u" * 128]

    async def claim(name: str) -> str:
        request = pb.IssueCouponRequest(campaign_id=campaign_id)
        answer: Any = await call(
            guarded.url, "connect-json", request, f"Bearer {KEY.token(sub=name)}"
        )
        return str(answer.coupon.user_id)

    assert await asyncio.gather(*map(claim, names)) == names


def test_the_log_holds_no_token(guarded: Service) -> None:
    """Not even one that a caller puts where none belongs."""
    mark = new_token(Role.ADMIN)
    url = f"{guarded.url}/coupon.v1.CouponService/IssueCoupon?last=1&token={mark}"
    for token in (ADMIN, KEY.token(), mark):
        httpx.post(url, json={}, headers={"authorization": f"Bearer {token}"})
    httpx.get(f"{guarded.url}/the-end")
    # Envoy keeps its lines for a moment.
    eventually(lambda: "/the-end" in json.dumps(guarded.log))
    log = json.dumps(guarded.log)
    assert "/coupon.v1.CouponService/IssueCoupon" in log
    secrets = [ADMIN, NEXT_ADMIN, ISSUER_TOKEN, mark, KEY.token().split(".")[0]]
    assert [secret for secret in secrets if secret in log] == []


async def test_the_log_holds_no_code(guarded: Service, campaign_id: str) -> None:
    request = pb.IssueCouponRequest(campaign_id=campaign_id, user_id="erin")
    issued: Any = await call(guarded.url, "connect-json", request)
    again: Any = await call(guarded.url, "grpc-web", request, f"Bearer {ISSUER_TOKEN}")
    every: Any = await call(guarded.url, "connect-binary", requests(campaign_id)["GetCampaign"])
    code = issued.coupon.code
    assert (again.coupon.code, code in every.coupon_codes) == (code, True)
    await plain.get(f"{guarded.url}/the-end-of-codes")
    # Envoy keeps its lines for a moment.
    eventually(lambda: "/the-end-of-codes" in json.dumps(guarded.log))
    log = json.dumps(guarded.log, ensure_ascii=False)
    assert [each for each in every.coupon_codes if each in log] == []


# Keys that change --------------------------------------------------------------------


def is_valid(url: str, token: str) -> bool:
    """Tell whether a user's token gets in."""
    response = httpx.post(
        f"{url}/coupon.v1.CouponService/IssueCoupon",
        json={},
        headers={"authorization": f"Bearer {token}"},
    )
    assert response.status_code in {400, 401}
    return response.status_code == 400


OLD, NEW = rsa_key("old"), ec_key("new")


def hold_rotation(url: str, publish: Callable[[list[Key]], None]) -> None:
    """Hold that keys can change without a gap, and that old ones can be taken away."""
    assert (is_valid(url, OLD.token()), is_valid(url, NEW.token())) == (True, False)
    publish([OLD, NEW])
    eventually(lambda: is_valid(url, NEW.token()))
    assert is_valid(url, OLD.token())


def test_keys_in_a_file_change_while_the_service_runs(
    start_service: ServiceStarter, database_url: str, tmp_path: Path
) -> None:
    path = tmp_path / "keys.json"

    def publish(keys: list[Key]) -> None:
        path.write_bytes(jwks(keys))

    publish([OLD])
    service = start_service(database_url=database_url, jwt_jwks=path, **JWT)
    hold_rotation(service.url, publish)
    publish([NEW])
    eventually(lambda: not is_valid(service.url, OLD.token()))
    path.write_text("nonsense")
    eventually(lambda: "cannot read the keys" in json.dumps(service.log) or probe(service.url))
    assert is_valid(service.url, NEW.token())


def probe(url: str) -> bool:
    """Make the service look at its keys."""
    is_valid(url, NEW.token())
    return False


class Provider(ThreadingHTTPServer):
    """An identity provider: `published` is what it answers, `asked` how often it was asked."""

    published = b""
    asked = 0

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), ProviderAnswers)


class ProviderAnswers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Provider)
        self.server.asked += 1
        self.send_response(200 if self.server.published else 503)
        self.end_headers()
        self.wfile.write(self.server.published)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_keys_at_a_url_change_while_the_service_runs(
    start_service: ServiceStarter, database_url: str, provider: Provider
) -> None:
    url = f"http://127.0.0.1:{provider.server_port}/keys"
    service = start_service(database_url=database_url, jwt_jwks=url, **JWT)
    assert any("refused until" in entry["event"] for entry in service.log)
    assert not is_valid(service.url, OLD.token())
    provider.published = jwks([OLD])
    eventually(lambda: is_valid(service.url, OLD.token()))

    def publish(keys: list[Key]) -> None:
        provider.published = jwks(keys)

    hold_rotation(service.url, publish)
    provider.published = b""
    asked, began_at = provider.asked, time.monotonic()
    for number in range(50):
        assert not is_valid(service.url, OLD.token({"kid": f"made up {number}"}))
    assert is_valid(service.url, OLD.token())
    assert is_valid(service.url, NEW.token())
    seconds = time.monotonic() - began_at
    assert provider.asked - asked <= 2 + seconds // URL_PAUSE_SECONDS
