"""Whether the service may start as it is set: nobody opens it to a network by accident."""

import ipaddress
import socket
from urllib.parse import urlsplit

import structlog

from coupon_service.failures import CannotServe
from coupon_service.settings import Settings

log = structlog.get_logger(__name__)


def check(settings: Settings) -> None:
    """Refuse to start if everybody on a network could do everything.

    Raises:
        CannotServe: there are no credentials and callers come from elsewhere, or a file
            with keys cannot be used.
    """
    if settings.asks_for_credentials:
        _check_keys(settings)
    elif not settings.insecure and not is_loopback(settings.host):
        msg = (
            f"{settings.host} can be reached from elsewhere and no tokens are set: make one with "
            "`coupon-service token create --role admin` and set its hash, or say --insecure"
        )
        raise CannotServe(msg)
    elif not settings.insecure and "*" in settings.cors_origins:
        msg = (
            "COUPON_CORS_ORIGINS is * and no tokens are set: any page that somebody here opens "
            "could then read every code; name the pages' origins, set tokens or say --insecure"
        )
        raise CannotServe(msg)


def announce(settings: Settings) -> None:
    """Say it if everybody who reaches the service can do everything."""
    if settings.asks_for_credentials:
        return
    if is_loopback(settings.host):
        pages = {"pages_of": settings.cors_origins} if settings.cors_origins else {}
        log.info("open to every caller on this machine: no tokens are set", **pages)
    else:
        log.warning(
            "open to everybody who reaches this address, who may create campaigns and read "
            "every code: no tokens are set",
            host=settings.host,
        )


def is_loopback(host: str) -> bool:
    """Tell whether every address of a host is reached from this machine alone."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return False
    return all(ipaddress.ip_address(each[4][0]).is_loopback for each in found)


def _check_keys(settings: Settings) -> None:
    """Read the keys of JSON Web Tokens once, so that a mistake shows at the start."""
    # Imported only here: without such tokens, nothing waits for their library.
    from coupon_service.access import key_sets  # noqa: PLC0415

    source = settings.jwt_jwks
    if source is None:
        return
    if source.startswith("http:") and not is_loopback(urlsplit(source).hostname or ""):
        log.warning(
            "the keys of JSON Web Tokens come over http: whoever is on the way can forge tokens",
            source=source,
        )
    try:
        key_sets.read(source)
    except key_sets.BadKeySet as exc:
        if not key_sets.is_url(source):
            msg = f"cannot use the keys of COUPON_JWT_JWKS in {source}: {exc}"
            raise CannotServe(msg) from exc
        log.warning(
            "cannot read the keys of JSON Web Tokens, which are refused until it can be done",
            why=str(exc),
        )
