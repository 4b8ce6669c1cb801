"""Calls a running service, over connectrpc's own client."""

import contextlib
import os
import re
import ssl
from collections.abc import Iterator
from typing import TypeVar

from connectrpc.code import Code
from connectrpc.errors import ConnectError
from pyqwest import SyncClient, SyncHTTPTransport

from coupon_service.gen.coupon.v1 import coupon_pb as pb
from coupon_service.gen.coupon.v1.coupon_connect import CouponServiceClientSync
from coupon_service.gen.google.rpc.error_details_pb import ErrorInfo

TIMEOUT_MS = 30_000

_SYSTEM_ERROR = re.compile(r"([^: ][^:]*) \(os error \d+\)")

_OTHER_CAUSES = {
    "invalid peer certificate": "its certificate is not trusted (see SSL_CERT_FILE)",
    "received corrupt message": "it does not speak TLS; perhaps it speaks http:// alone",
    "connection closed before message": "it hung up; perhaps it speaks https:// alone",
}

T = TypeVar("T")


class CallFailed(Exception):
    """A call was refused or did not get through; the message is one line."""


class Client:
    """The service at a URL, with an optional bearer token.

    Every method raises CallFailed when the call is refused or does not get through.
    """

    def __init__(self, url: str, token: str | None = None) -> None:
        self._url = url.rstrip("/")
        self._headers = {"authorization": f"Bearer {token}"} if token else {}

    def create_campaign(self, request: pb.CreateCampaignRequest) -> pb.Campaign:
        """Create a campaign."""
        with self._calls() as calls:
            answer = calls.create_campaign(request, headers=self._headers)
        return present(answer.campaign)

    def get_campaign(
        self, campaign_id: str, view: pb.CampaignView
    ) -> tuple[pb.Campaign, list[str]]:
        """Return a campaign and, in the FULL view, its codes in order of issue."""
        request = pb.GetCampaignRequest(campaign_id=campaign_id, view=view)
        with self._calls() as calls:
            answer = calls.get_campaign(request, headers=self._headers)
        return present(answer.campaign), list(answer.coupon_codes)

    def issue_coupon(self, campaign_id: str, user_id: str) -> pb.IssueCouponResponse:
        """Claim a coupon; `user_id` "" is anonymous."""
        request = pb.IssueCouponRequest(campaign_id=campaign_id, user_id=user_id)
        with self._calls() as calls:
            return calls.issue_coupon(request, headers=self._headers)

    @contextlib.contextmanager
    def _calls(self) -> Iterator[CouponServiceClientSync]:
        try:
            with CouponServiceClientSync(
                self._url,
                timeout_ms=TIMEOUT_MS,
                send_compression=None,
                http_client=SyncClient(_transport(self._url)),
            ) as calls:
                yield calls
        except ConnectError as exc:
            raise CallFailed(self._one_line(exc)) from exc

    def _one_line(self, error: ConnectError) -> str:
        if error.code is Code.UNAVAILABLE and not error.details:
            return f"the service at {self._url} cannot be reached{_why(error.message)}"
        return f"{reason(error)}: {' '.join(error.message.split())}"


def _transport(url: str) -> SyncHTTPTransport:
    """Return what speaks HTTP; for https:// it needs certificates, and panics without any.

    Raises:
        CallFailed: SSL_CERT_FILE names a file without any.
    """
    is_https = url.startswith("https:")
    if is_https and (file := os.environ.get("SSL_CERT_FILE")) is not None:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=file)
        except ssl.SSLError as exc:
            msg = f"SSL_CERT_FILE={file}: it holds no certificate in PEM"
            raise CallFailed(msg) from exc
        except OSError as exc:
            msg = f"SSL_CERT_FILE={file}: {exc.strerror}"
            raise CallFailed(msg) from exc
    return SyncHTTPTransport(tls_include_system_certs=is_https)


def _why(chain: str) -> str:
    """Return what helps of the HTTP client's chain of causes."""
    if cause := _SYSTEM_ERROR.search(chain):
        return f": {cause[1]}"
    return next((f": {words}" for found, words in _OTHER_CAUSES.items() if found in chain), "")


def present(value: T | None) -> T:
    """Return a field that every answer of the service carries.

    Raises:
        CallFailed: it is missing, so the answer is not the service's.
    """
    if value is None:
        msg = "the answer is incomplete; is this the coupon service's address?"
        raise CallFailed(msg)
    return value


def reason(error: ConnectError) -> str:
    """Return the reason of a refusal, such as SOLD_OUT, or its Connect code if it has none."""
    infos = (detail.value(ErrorInfo) for detail in error.details)
    return next((info.reason for info in infos if info is not None), error.code.value)
