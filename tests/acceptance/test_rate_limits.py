"""How often callers may call, with callers that race."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from conftest import ServiceStarter
from connectrpc.errors import ConnectError
from support import plain
from support.campaigns import insert
from support.refusals import PROTOCOLS, Refusal, client, of_error
from support.stored import stored
from support.web_tokens import AUDIENCE, ISSUER, jwks, rsa_key

from coupon_service.access.identities import Role
from coupon_service.access.tokens import new_token, token_hash
from coupon_service.gen.coupon.v1 import coupon_pb as pb
from coupon_service.gen.grpc.health.v1.health_connect import HealthClient
from coupon_service.gen.grpc.health.v1.health_pb import HealthCheckRequest, HealthCheckResponse

LIMIT = "20/hour"
HOUR_SECONDS = 3600
PROBES = ("healthz", "readyz", "metrics")
Status = HealthCheckResponse.ServingStatus
ADMIN, ISSUER_TOKENS = new_token(Role.ADMIN), [new_token(Role.ISSUER) for _ in range(2)]


async def claim(
    url: str, campaign_id: str, user_id: str = "", protocol: str = "connect-json", **headers: str
) -> str | Refusal:
    """Claim once; return whom the coupon is for, or the refusal."""
    request = pb.IssueCouponRequest(campaign_id=campaign_id, user_id=user_id)
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        async with client(url, protocol) as calls:
            answer = await calls.issue_coupon(request, headers=sent)
    except ConnectError as error:
        return of_error(error)
    assert answer.coupon is not None
    return answer.coupon.user_id


async def outcomes(*claims: Any) -> Counter[str]:  # noqa: ANN401 # coroutines
    """Make calls at once and count what came of them."""
    answers = await asyncio.gather(*claims)
    return Counter("issued" if isinstance(each, str) else each.reason for each in answers)


async def test_racing_callers_of_one_address_get_exactly_what_is_allowed(
    start_service: ServiceStarter, database_url: str, connection: asyncpg.Connection
) -> None:
    campaign_id = await insert(connection)
    url = start_service(database_url=database_url, rate_limit=LIMIT).url
    racing = [claim(url, campaign_id, protocol=PROTOCOLS[n % 3]) for n in range(60)]
    assert await outcomes(*racing) == {"issued": 20, "OVERLOADED": 40}
    # Without a trusted proxy, nobody's word about another address is taken.
    forged = claim(url, campaign_id, x_forwarded_for="198.51.100.1")
    assert await outcomes(forged) == {"OVERLOADED": 1}


async def test_a_refusal_says_that_nothing_was_issued_and_when_to_come_back(
    start_service: ServiceStarter, database_url: str, connection: asyncpg.Connection
) -> None:
    campaign_id = await insert(connection)
    url = start_service(database_url=database_url, rate_limit="1/hour").url
    await claim(url, campaign_id)
    for protocol in PROTOCOLS:
        refused = await claim(url, campaign_id, protocol=protocol)
        assert isinstance(refused, Refusal)
        assert refused.summary == (
            "unavailable",
            "OVERLOADED",
            "coupon.v1",
            ("google.rpc.ErrorInfo", "google.rpc.RetryInfo"),
        )
        assert "nothing was issued" in refused.message
        assert 0 < (refused.retry_seconds or 0) <= HOUR_SECONDS
    assert (await stored(connection, campaign_id)).issued_count == 1


@pytest.mark.parametrize("server", ["uvicorn", "pyvoy"])
async def test_a_forged_address_is_no_other_caller_on_any_server(
    start_service: ServiceStarter, database_url: str, server: str
) -> None:
    url = start_service(server=server, database_url=database_url, rate_limit="1/hour").url
    forged = ["", "198.51.100.1", "198.51.100.2, 10.0.0.1", "2001:db8::1"]
    headers = [{name: value} for name in ("x_forwarded_for", "x_real_ip") for value in forged]
    headers += [{"forwarded": "for=198.51.100.3"}, {"x_envoy_external_address": "198.51.100.4"}]
    claims = [claim(url, "nonsense", **each) for each in headers]
    assert await outcomes(*claims) == {"INVALID_REQUEST": 1, "OVERLOADED": len(headers) - 1}


async def test_probes_and_health_checks_are_not_counted(
    start_service: ServiceStarter, database_url: str
) -> None:
    url = start_service(database_url=database_url, rate_limit="1/hour").url
    async with HealthClient(url) as health:
        for _ in range(3):
            assert (await health.check(HealthCheckRequest())).status == Status.SERVING
    pages = [(await plain.get(f"{url}/{each}")).status_code for each in PROBES * 3]
    assert pages == [200] * len(PROBES) * 3
    assert await outcomes(claim(url, "nonsense"), claim(url, "nonsense")) == {
        "INVALID_REQUEST": 1,
        "OVERLOADED": 1,
    }


async def test_behind_a_trusted_proxy_each_address_is_a_caller(
    start_service: ServiceStarter, database_url: str, connection: asyncpg.Connection
) -> None:
    campaign_id = await insert(connection)
    url = start_service(
        database_url=database_url, rate_limit=LIMIT, trusted_proxies="127.0.0.0/8"
    ).url
    callers = ["198.51.100.1", "192.0.2.9, 198.51.100.2", "2001:db8::1", "2001:db8::2"]
    racing = [claim(url, campaign_id, x_forwarded_for=callers[n % 4]) for n in range(120)]
    # The two of one IPv6 network are one.
    assert await outcomes(*racing) == {"issued": 60, "OVERLOADED": 60}


async def test_each_user_is_a_caller_and_anonymous_ones_are_by_address(
    start_service: ServiceStarter, database_url: str, connection: asyncpg.Connection
) -> None:
    campaign_id = await insert(connection)
    url = start_service(database_url=database_url, rate_limit=LIMIT, rate_limit_by="user_id").url
    racing = [claim(url, campaign_id, f"user {n % 2}", PROTOCOLS[n % 3]) for n in range(60)]
    assert await outcomes(*racing) == {"issued": 40, "OVERLOADED": 20}
    assert await outcomes(*(claim(url, campaign_id) for _ in range(30))) == {
        "issued": 20,
        "OVERLOADED": 10,
    }
    async with client(url, "connect-json") as calls:
        with pytest.raises(ConnectError) as refused:
            await calls.get_campaign(pb.GetCampaignRequest(campaign_id=campaign_id))
    assert of_error(refused.value).reason == "OVERLOADED"


async def test_a_user_is_whom_its_token_says(
    start_service: ServiceStarter,
    database_url: str,
    connection: asyncpg.Connection,
    tmp_path: Path,
) -> None:
    key, path = rsa_key("key"), tmp_path / "keys.json"
    path.write_bytes(jwks([key]))
    campaign_id = await insert(connection)
    url = start_service(
        database_url=database_url,
        rate_limit=LIMIT,
        rate_limit_by="user_id",
        jwt_jwks=path,
        jwt_audience=AUDIENCE,
        jwt_issuer=ISSUER,
    ).url
    bearers = [f"Bearer {key.token(sub=name)}" for name in ("alice", "bob")]
    racing = [claim(url, campaign_id, authorization=bearers[n % 2]) for n in range(50)]
    assert await outcomes(*racing) == {"issued": 40, "OVERLOADED": 10}


async def test_each_token_is_a_caller_and_wrong_ones_are_refused_as_such(
    start_service: ServiceStarter, database_url: str, connection: asyncpg.Connection
) -> None:
    campaign_id = await insert(connection)
    url = start_service(
        database_url=database_url,
        rate_limit=LIMIT,
        rate_limit_by="token",
        issuer_token_hashes=",".join(map(token_hash, ISSUER_TOKENS)),
    ).url
    bearers = [*(f"Bearer {token}" for token in ISSUER_TOKENS), f"Bearer {ADMIN}"]
    racing = [claim(url, campaign_id, authorization=bearers[n % 3]) for n in range(90)]
    assert await outcomes(*racing) == {"issued": 40, "OVERLOADED": 20, "UNAUTHENTICATED": 30}


async def test_who_tries_tokens_is_counted_by_address(
    start_service: ServiceStarter, database_url: str
) -> None:
    url = start_service(
        database_url=database_url, rate_limit=LIMIT, admin_token_hashes=token_hash(ADMIN)
    ).url
    racing = [claim(url, "", authorization=f"Bearer {n}") for n in range(30)]
    assert await outcomes(*racing) == {"UNAUTHENTICATED": 20, "OVERLOADED": 10}
