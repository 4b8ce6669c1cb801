"""The certificate with which the service answers over TLS."""

import ssl
from pathlib import Path

from coupon_service.failures import CannotServe
from coupon_service.settings import Settings

# Who speaks both gets HTTP/1.1; a gRPC client, which speaks HTTP/2 alone, is then told
# what to do instead of being hung up on.
PROTOCOLS = ["http/1.1", "h2"]


def require_usable(settings: Settings) -> None:
    """See to it that the certificate and its key, if they are set, can be used.

    Raises:
        CannotServe: they cannot.
    """
    server_context(settings)


def server_context(settings: Settings) -> ssl.SSLContext | None:
    """Return what uvicorn needs to answer over TLS; nothing if it shall not.

    Raises:
        CannotServe: the certificate or the key cannot be used.
    """
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(PROTOCOLS)
    _require_readable("certificate", settings.tls_cert)
    _require_readable("key", settings.tls_key)
    try:
        # A key that needs a password must not wait for somebody at a terminal.
        context.load_cert_chain(settings.tls_cert, settings.tls_key, password=lambda: "")
    except ssl.SSLError as exc:
        msg = (
            f"cannot use the certificate {settings.tls_cert} with the key {settings.tls_key}: "
            "they must be in PEM, without a password, and belong together"
        )
        raise CannotServe(msg) from exc
    return context


def _require_readable(what: str, path: Path) -> None:
    try:
        path.open("rb").close()
    except OSError as exc:
        msg = f"cannot read the {what} {path}: {exc.strerror}"
        raise CannotServe(msg) from exc
