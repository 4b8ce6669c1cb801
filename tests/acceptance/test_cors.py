"""Which pages may call from a browser: none unless told, and then these alone."""

from collections.abc import Iterator

import httpx
import pytest
from conftest import ServiceStarter
from support.service import Service, running_service

PAGE = "https://shop.example"
OTHER_PAGE = "https://evil.example"
ISSUE = "/coupon.v1.CouponService/IssueCoupon"
# What connect-web and grpc-web send, with a deadline and a token.
SENT = {
    "connect": "authorization,connect-protocol-version,connect-timeout-ms,content-type",
    "grpc-web": "authorization,content-type,grpc-timeout,x-grpc-web,x-user-agent",
    "streams": "connect-accept-encoding,connect-content-encoding,content-type",
}
EXPOSED = {"grpc-status", "grpc-message", "grpc-status-details-bin", "www-authenticate"}


@pytest.fixture(scope="module")
def open_service(shared_url: str) -> Iterator[Service]:
    """A service that pages of two origins may call."""
    origins = f"{PAGE}, http://localhost:5173"
    with running_service("--workers", "1", database_url=shared_url, cors_origins=origins) as made:
        yield made


def preflight(service: Service, page: str, headers: str = "content-type") -> httpx.Response:
    return httpx.options(
        service.url + ISSUE,
        headers={
            "origin": page,
            "access-control-request-method": "POST",
            "access-control-request-headers": headers,
        },
    )


def told(answer: httpx.Response) -> dict[str, str]:
    """Return what an answer says to a browser."""
    prefix = "access-control-"
    return {
        name.removeprefix(prefix): value
        for name, value in answer.headers.items()
        if name.startswith(prefix)
    }


@pytest.mark.parametrize("headers", SENT.values(), ids=SENT.keys())
@pytest.mark.parametrize("page", [PAGE, "http://localhost:5173"])
def test_a_page_that_may_call_is_told_so_for_hours(
    open_service: Service, page: str, headers: str
) -> None:
    answer = preflight(open_service, page, headers)
    got = told(answer)
    allowed = {each.strip().lower() for each in got["allow-headers"].split(",")}
    assert answer.status_code == 200
    assert (got["allow-origin"], got["allow-methods"], got["max-age"]) == (
        *(page, "GET, POST", "7200"),
    )
    assert set(headers.split(",")) <= allowed
    assert "allow-credentials" not in got
    assert "Origin" in answer.headers["vary"]


@pytest.mark.parametrize("page", [OTHER_PAGE, "http://shop.example", f"{PAGE}.evil", "null"])
def test_another_page_is_not(open_service: Service, page: str) -> None:
    answers = (
        preflight(open_service, page),
        httpx.post(open_service.url + ISSUE, json={}, headers={"origin": page}),
    )
    assert [each.status_code for each in answers] == [400, 400]
    assert ["allow-origin" in told(each) for each in answers] == [False, False]


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_a_page_may_use_no_other_method(open_service: Service, method: str) -> None:
    answer = httpx.options(
        open_service.url + ISSUE,
        headers={"origin": PAGE, "access-control-request-method": method},
    )
    assert answer.status_code == 400


@pytest.mark.parametrize("path", [ISSUE, "/coupon.v1.CouponService/Nonsense"])
def test_a_page_reads_errors_and_their_details(open_service: Service, path: str) -> None:
    answer = httpx.post(open_service.url + path, json={}, headers={"origin": PAGE})
    got = told(answer)
    assert got["allow-origin"] == PAGE
    assert {each.strip() for each in got["expose-headers"].split(",")} >= EXPOSED
    assert (answer.headers["vary"], answer.headers["cache-control"]) == ("Origin", "no-store")


def test_whoever_is_no_browser_is_served_as_before(open_service: Service) -> None:
    answer = httpx.post(open_service.url + ISSUE, json={})
    assert (answer.status_code, told(answer)) == (400, {})


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_pages_read_nothing_but_the_rpcs(open_service: Service, path: str) -> None:
    answer = httpx.get(open_service.url + path, headers={"origin": PAGE})
    assert (answer.status_code, told(answer)) == (200, {})


def test_every_page_may_call_where_all_origins_are_named(
    start_service: ServiceStarter, shared_url: str
) -> None:
    service = start_service(
        "--workers", "1", database_url=shared_url, cors_origins="*", insecure="true"
    )
    answers = (
        preflight(service, OTHER_PAGE),
        httpx.post(service.url + ISSUE, json={}, headers={"origin": OTHER_PAGE}),
    )
    assert [told(each)["allow-origin"] for each in answers] == ["*", "*"]


def test_no_page_may_call_where_no_origin_is_named(shared_service: Service) -> None:
    asked = preflight(shared_service, PAGE)
    answer = httpx.post(shared_service.url + ISSUE, json={}, headers={"origin": PAGE})
    assert (asked.status_code, asked.headers["allow"], told(asked)) == (405, "POST", {})
    assert (answer.status_code, told(answer)) == (400, {})
