"""Says in the log that the service is ready, once it really is."""

import http.client
import ssl
import threading
import time

import structlog

from coupon_service.settings import Settings

log = structlog.get_logger(__name__)

POLL_SECONDS = 0.05


def announce(settings: Settings, address: tuple[str, int]) -> threading.Event:
    """Ask the service itself until it is ready, from a thread of its own.

    Returns what is set from then on.
    """
    host, port = address
    scheme = "http" if settings.tls_cert is None else "https"
    url = f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"
    database = f"embedded in {settings.data_dir}" if settings.database_url is None else "external"

    is_ready = threading.Event()

    def watch() -> None:
        while not _is_ready(scheme, host, port):
            time.sleep(POLL_SECONDS)
        is_ready.set()
        log.info(
            "ready",
            url=url,
            server=settings.server,
            workers=settings.workers,
            database=database,
            credentials="required" if settings.asks_for_credentials else "none",
        )

    threading.Thread(target=watch, name="announce", daemon=True).start()
    return is_ready


def _is_ready(scheme: str, host: str, port: int) -> bool:
    connection = _connection(scheme, host, port)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _connection(scheme: str, host: str, port: int) -> http.client.HTTPConnection:
    if scheme == "http":
        return http.client.HTTPConnection(host, port, timeout=5)
    # It is this very service, whose certificate is for the names that others call it by
    # and may be signed by itself; nothing is told to it that a stranger might not know.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection(host, port, timeout=5, context=context)
