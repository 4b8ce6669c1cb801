"""TLS on both servers, and what is said to those who speak something else."""

import contextlib
import os
import signal
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import grpc
import httpx
import pytest
import trustme
from conftest import ServiceStarter
from support.program import outcome, run_program
from support.service import Service, eventually, running_service

from coupon_service.serving.http2_notice import MESSAGE

SERVERS = ("uvicorn", "pyvoy")
ISSUE = "/coupon.v1.CouponService/IssueCoupon"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def files(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A certificate for this machine, its key, and another key."""
    folder = tmp_path_factory.mktemp("tls")
    made = {name: folder / f"{name}.pem" for name in ("cert", "key", "other_key", "authority")}
    issued = authority.issue_cert("localhost", "127.0.0.1")
    made["cert"].write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    issued.private_key_pem.write_to_path(str(made["key"]))
    authority.issue_cert("localhost").private_key_pem.write_to_path(str(made["other_key"]))
    authority.cert_pem.write_to_path(str(made["authority"]))
    return made


@pytest.fixture
def context(authority: trustme.CA) -> ssl.SSLContext:
    """What a caller trusts."""
    made = ssl.create_default_context()
    authority.configure_trust(made)
    return made


@pytest.fixture(scope="module", params=SERVERS)
def service(
    request: pytest.FixtureRequest, own_url: str, files: dict[str, Path]
) -> Iterator[Service]:
    """A service with TLS on each server, whose log stays clean whatever callers do."""
    names = ("--tls-cert", str(files["cert"]), "--tls-key", str(files["key"]))
    with running_service(
        "--server", request.param, *names, database_url=own_url, receive_seconds_max=2
    ) as made:
        yield made
        assert made.stop() == 0
        assert made.noise() == []


def server_of(service: Service) -> str:
    arguments = cast("list[str]", service.process.args)
    return arguments[arguments.index("--server") + 1]


def protocol_chosen(service: Service, context: ssl.SSLContext, *offered: str) -> str | None:
    """Return what the server chooses of the protocols that a caller offers."""
    context.set_alpn_protocols(offered)
    parts = urlsplit(service.url)
    with (
        socket.create_connection((parts.hostname, parts.port or 0)) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as wrapped,
    ):
        return wrapped.selected_alpn_protocol()


def test_calls_over_tls_are_answered_and_older_versions_refused(
    service: Service, context: ssl.SSLContext
) -> None:
    assert service.url.startswith("https://127.0.0.1:")
    with httpx.Client(verify=context) as client:
        assert client.get(f"{service.url}/readyz").json() == {"status": "ready"}
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with pytest.deprecated_call():
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError):
        protocol_chosen(service, context, "http/1.1")


def test_the_protocol_is_negotiated(service: Service, context: ssl.SSLContext) -> None:
    offers = [("h2", "http/1.1"), ("http/1.1",), ("h2",)]
    chosen = [protocol_chosen(service, context, *offered) for offered in offers]
    # A client of HTTP/2 alone is told by uvicorn in HTTP/2 what to do instead.
    of_both = {"uvicorn": "http/1.1", "pyvoy": "h2"}[server_of(service)]
    assert chosen == [of_both, "http/1.1", "h2"]


def test_plain_http_to_the_port_of_tls_is_no_call(service: Service) -> None:
    with pytest.raises(httpx.TransportError):
        httpx.get(service.url.replace("https:", "http:"))


@pytest.mark.parametrize("server", SERVERS)
def test_tls_to_the_port_of_plain_http_makes_no_noise(
    start_service: ServiceStarter, database_url: str, server: str, context: ssl.SSLContext
) -> None:
    plain = start_service("--server", server, database_url=database_url)
    with pytest.raises(httpx.TransportError), httpx.Client(verify=context) as client:
        client.get(plain.url.replace("http:", "https:"))
    assert plain.stop() == 0
    assert plain.noise() == []


@pytest.mark.parametrize(
    ("server", "cert", "key", "words"),
    [
        ("uvicorn", "cert", "other_key", "belong together"),
        ("pyvoy", "cert", "other_key", "belong together"),
        ("uvicorn", "key", "key", "must be in PEM"),
        ("uvicorn", "absent", "key", "cannot read the certificate {}: No such file or directory"),
        ("pyvoy", "cert", "absent", "cannot read the key {}: No such file or directory"),
    ],
)
def test_a_certificate_that_cannot_be_used_is_one_line(
    files: dict[str, Path], server: str, cert: str, key: str, words: str
) -> None:
    data_dir = files["cert"].with_name("data")
    ended = run_program(
        *("serve", "--server", server, "--data-dir", str(data_dir)),
        *("--tls-cert", str(files.get(cert, data_dir))),
        *("--tls-key", str(files.get(key, data_dir))),
        port=0,
    )
    assert (ended.returncode, len(ended.stderr.splitlines())) == (1, 1)
    assert words.format(data_dir) in ended.stderr
    assert not data_dir.exists()


@pytest.mark.parametrize("option", ["--tls-cert", "--tls-key"])
def test_a_certificate_without_its_key_and_the_reverse_are_bad_usage(
    option: str, files: dict[str, Path]
) -> None:
    ended = run_program("serve", option, str(files["cert"]))
    assert ended.returncode == 2
    assert "a certificate and its key go together: set both, or neither" in ended.stderr


def assert_told_what_to_do(channel: grpc.Channel) -> None:
    """Hold that a gRPC client of uvicorn is told what to do instead."""
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(ISSUE)(b"", timeout=30)
    told = caught.value
    assert (told.code(), told.details()) == (grpc.StatusCode.UNIMPLEMENTED, MESSAGE)


def test_a_grpc_client_of_uvicorn_without_tls_is_told_what_to_do(
    shared_service: Service,
) -> None:
    with grpc.insecure_channel(urlsplit(shared_service.url).netloc) as channel:
        assert_told_what_to_do(channel)


def test_grpc_over_tls_is_answered_by_pyvoy_and_told_by_uvicorn_what_to_do(
    service: Service, files: dict[str, Path]
) -> None:
    trusted = grpc.ssl_channel_credentials(files["authority"].read_bytes())
    with grpc.secure_channel(f"localhost:{urlsplit(service.url).port}", trusted) as channel:
        if server_of(service) == "uvicorn":
            assert_told_what_to_do(channel)
            return
        with pytest.raises(grpc.RpcError) as caught:
            channel.unary_unary(ISSUE)(b"", timeout=30)
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_the_command_line_says_why_it_cannot_reach_a_service_over_tls(
    service: Service, files: dict[str, Path]
) -> None:
    create = ("campaign", "create", "--name", "x", "--limit", "1", "--start", "now")
    trusting = {"SSL_CERT_FILE": str(files["authority"])}
    plain_url = service.url.replace("https://", "http://")
    assert run_program(*create, variables=trusting, url=service.url).returncode == 0
    distrusting = run_program(*create, url=service.url)
    assert distrusting.stderr.endswith("its certificate is not trusted (see SSL_CERT_FILE)\n")
    assert run_program(*create, url=plain_url).stderr.count("cannot be reached") == 1


def test_the_command_line_says_that_a_service_may_not_speak_tls(
    shared_service: Service, files: dict[str, Path]
) -> None:
    ended = run_program(
        *("campaign", "show", "00000000-0000-4000-8000-000000000000"),
        variables={"SSL_CERT_FILE": str(files["authority"])},
        url=shared_service.url.replace("http://", "https://"),
    )
    assert outcome(ended) == (1, "", 1)
    assert ended.stderr.endswith("it does not speak TLS; perhaps it speaks http:// alone\n")


def test_a_handshake_that_does_not_go_on_is_given_up(service: Service) -> None:
    parts = urlsplit(service.url)
    beginning = ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        ssl.create_default_context().wrap_bio(
            ssl.MemoryBIO(), beginning, server_hostname="localhost"
        ).do_handshake()
    with socket.create_connection((parts.hostname, parts.port or 0)) as caller:
        caller.settimeout(30)
        caller.sendall(beginning.read())
        # The server's part of the handshake, and then its end, as the caller says no more.
        with contextlib.suppress(ConnectionResetError):
            while caller.recv(65_536):
                pass


@pytest.mark.parametrize("server", SERVERS)
def test_a_worker_that_cannot_be_replaced_leaves_the_others_alone(
    start_service: ServiceStarter,
    database_url: str,
    files: dict[str, Path],
    tmp_path: Path,
    server: str,
) -> None:
    key = tmp_path / "key.pem"
    key.write_bytes(files["key"].read_bytes())
    names = ("--tls-cert", str(files["cert"]), "--tls-key", str(key))
    service = start_service("--server", server, "--workers", "2", *names, database_url=database_url)
    killed, other = service.worker_pids()
    key.write_bytes(files["other_key"].read_bytes())
    os.kill(killed, signal.SIGKILL)
    deaths = "a worker died; starting another"
    # The killed one, and two that could not take its place.
    eventually(lambda: [entry["event"] for entry in service.log].count(deaths) >= 3)
    assert other in service.worker_pids()
    key.write_bytes(files["key"].read_bytes())
    with httpx.Client(verify=ssl.create_default_context(cafile=files["authority"])) as client:
        assert client.get(f"{service.url}/readyz").json() == {"status": "ready"}
    assert service.stop() == 0
