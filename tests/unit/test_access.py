"""Which role may make which call."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from connectrpc.interceptor import MetadataInterceptor, ServerStreamInterceptor, UnaryInterceptor
from connectrpc.request import Headers
from hypothesis import given
from hypothesis import strategies as st

from coupon_service import errors
from coupon_service.access import checks, identities
from coupon_service.access.checks import CallerCheck, RequestCheck, bearer_token, rule
from coupon_service.access.identities import Identity, Role
from coupon_service.access.tokens import Tokens, new_token, token_hash
from coupon_service.gen.coupon.v1 import coupon_pb as pb
from coupon_service.gen.coupon.v1.coupon_connect import CouponServiceASGIApplication
from coupon_service.rpc import CouponRpcs

RPCS: Any = CouponRpcs(None, None)  # type: ignore[arg-type] # never called
ENDPOINTS = CouponServiceASGIApplication(RPCS)._resolve_endpoints(RPCS)
METHODS = [endpoint.method.name for endpoint in ENDPOINTS.values()]
ALICE = Identity(role=Role.USER, key="alice", user_id="alice")
ISSUER = Identity(role=Role.ISSUER, key="0")


@dataclass
class Method:
    name: str


@dataclass
class Call:
    """What an interceptor sees of a call."""

    method: Method
    request_headers: Headers = field(default_factory=Headers)
    response_headers: Headers = field(default_factory=Headers)

    @classmethod
    def of(cls, method: str, *authorization: str) -> Any:  # noqa: ANN401 # stands for a context
        return cls(Method(method), Headers([("Authorization", each) for each in authorization]))


def allowed(role: Role, methods: list[str]) -> set[str]:
    """Return the methods that a role may call."""
    may = set()
    for method in methods:
        try:
            rule(role, method)
        except errors.PermissionDenied:
            continue
        may.add(method)
    return may


# The table ---------------------------------------------------------------------------


def test_an_admin_may_make_every_call() -> None:
    assert allowed(Role.ADMIN, [*METHODS, "Unheard"]) == {*METHODS, "Unheard"}


@pytest.mark.parametrize("role", [Role.ISSUER, Role.USER])
def test_others_may_claim_and_look_and_nothing_else_that_is_or_will_be(role: Role) -> None:
    named = {"IssueCoupon", "GetCampaign"}
    assert allowed(role, [*METHODS, "ListCoupons", "UpdateCampaign", "", "issuecoupon"]) == named


def test_the_table_names_only_calls_that_there_are() -> None:
    assert {name for rules in checks.RULES.values() for name in rules} <= set(METHODS)


@given(st.sampled_from([Role.ISSUER, Role.USER]), st.text())
def test_what_the_table_does_not_name_is_denied(role: Role, method: str) -> None:
    assert allowed(role, [method]) == {method} & {"IssueCoupon", "GetCampaign"}


@pytest.mark.parametrize("identity", [ISSUER, ALICE])
@pytest.mark.parametrize("view", [pb.CampaignView.UNSPECIFIED, pb.CampaignView.FULL])
def test_codes_are_not_for_them_and_they_are_told_what_is(
    identity: Identity, view: pb.CampaignView
) -> None:
    with pytest.raises(errors.CodesDenied, match="CAMPAIGN_VIEW_BASIC"):
        rule(identity.role, "GetCampaign")(pb.GetCampaignRequest(view=view), identity)


@pytest.mark.parametrize("identity", [ISSUER, ALICE])
def test_a_campaign_without_its_codes_is_for_all(identity: Identity) -> None:
    request = pb.GetCampaignRequest(view=pb.CampaignView.BASIC)
    rule(identity.role, "GetCampaign")(request, identity)


@pytest.mark.parametrize("user_id", ["", "bob", "alice"])
def test_an_issuer_claims_for_anybody(user_id: str) -> None:
    request = pb.IssueCouponRequest(user_id=user_id)
    rule(Role.ISSUER, "IssueCoupon")(request, ISSUER)
    assert request.user_id == user_id


@pytest.mark.parametrize("user_id", ["", "alice"])
def test_a_user_claims_for_itself(user_id: str) -> None:
    request = pb.IssueCouponRequest(user_id=user_id)
    rule(Role.USER, "IssueCoupon")(request, ALICE)
    assert request.user_id == "alice"


@given(st.text(min_size=1).filter(lambda text: text != "alice"))
def test_a_user_claims_for_nobody_else(user_id: str) -> None:
    request = pb.IssueCouponRequest(user_id=user_id)
    with pytest.raises(errors.OtherUserDenied):
        rule(Role.USER, "IssueCoupon")(request, ALICE)


# The token in the head ---------------------------------------------------------------


@pytest.mark.parametrize("value", ["Bearer abc", "bearer abc", "BEARER  abc", "Bearer abc "])
def test_the_token_is_what_follows_the_scheme(value: str) -> None:
    assert bearer_token(Headers([("Authorization", value)])) == "abc"


def test_a_call_without_the_header_lacks_credentials() -> None:
    with pytest.raises(errors.CredentialsMissing):
        bearer_token(Headers())


@pytest.mark.parametrize(
    "values", [[""], ["Bearer"], ["Bearer "], ["abc"], ["Basic YTpi"], ["Bearer a", "Bearer b"]]
)
def test_anything_else_is_no_valid_credentials(values: list[str]) -> None:
    headers = Headers([("authorization", value) for value in values])
    with pytest.raises(errors.Unauthenticated) as refused:
        bearer_token(headers)
    assert type(refused.value) is errors.Unauthenticated


# The interceptors --------------------------------------------------------------------

TOKEN = new_token(Role.ISSUER)
CHECK = CallerCheck(Tokens({Role.ISSUER: [token_hash(TOKEN)]}), None)


def test_who_calls_is_found_out_before_the_request_is_read() -> None:
    """The library runs what is a MetadataInterceptor and nothing else before it reads."""
    assert isinstance(CHECK, MetadataInterceptor)
    assert not isinstance(CHECK, UnaryInterceptor)
    assert isinstance(RequestCheck(), UnaryInterceptor)
    assert isinstance(RequestCheck(), ServerStreamInterceptor)
    assert not isinstance(RequestCheck(), MetadataInterceptor)


async def test_a_valid_token_tells_who_calls() -> None:
    await CHECK.on_start(Call.of("IssueCoupon", f"Bearer {TOKEN}"))
    assert identities.present.get() == Identity(role=Role.ISSUER, key=token_hash(TOKEN))


@pytest.mark.parametrize("authorization", [[], ["Bearer x"], ["Basic x"], [""]])
async def test_a_refusal_says_what_scheme_is_wanted(authorization: list[str]) -> None:
    call = Call.of("IssueCoupon", *authorization)
    with pytest.raises(errors.Unauthenticated):
        await CHECK.on_start(call)
    assert call.response_headers["www-authenticate"] == "Bearer"


async def test_a_call_that_the_role_may_not_make_is_refused_unread() -> None:
    call = Call.of("CreateCampaign", f"Bearer {TOKEN}")
    with pytest.raises(errors.PermissionDenied):
        await CHECK.on_start(call)
    assert "www-authenticate" not in call.response_headers


async def test_requests_are_held_to_the_rules_of_the_caller_s_role() -> None:
    async def answer(request: pb.IssueCouponRequest, _ctx: object) -> str:
        return request.user_id

    identities.present.set(ALICE)
    call, check = Call.of("IssueCoupon"), RequestCheck()
    assert await check.intercept_unary(answer, pb.IssueCouponRequest(), call) == "alice"
    with pytest.raises(errors.OtherUserDenied):
        await check.intercept_unary(answer, pb.IssueCouponRequest(user_id="bob"), call)


async def test_streams_are_held_to_the_same_rules() -> None:
    identities.present.set(ALICE)
    with pytest.raises(errors.PermissionDenied):
        RequestCheck().intercept_server_stream(lambda _r, _c: None, None, Call.of("ListCoupons"))  # type: ignore[arg-type,return-value] # never called
