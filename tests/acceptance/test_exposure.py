"""Where the service starts without credentials, and the commands that make some."""

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest
from conftest import ServiceStarter
from support.program import PROGRAM, outcome, run_program
from support.service import environment

EVERYWHERE = "0.0.0.0"  # noqa: S104 # what is to be refused


def calls_without_token(url: str) -> int:
    """Make a call that no token is needed for, and return its status."""
    port = url.rpartition(":")[2]
    body = {"name": "x", "couponLimit": 1, "startTime": "2020-01-01T00:00:00Z"}
    create = f"http://127.0.0.1:{port}/coupon.v1.CouponService/CreateCampaign"
    return httpx.post(create, json=body).status_code


def test_on_this_machine_everything_is_open_and_the_first_lines_say_so(
    start_service: ServiceStarter, database_url: str
) -> None:
    service = start_service(database_url=database_url)
    said = [entry["event"] for entry in service.log]
    assert said[0] == "open to every caller on this machine: no tokens are set"
    assert calls_without_token(service.url) == 200


@pytest.mark.parametrize(
    ("place", "command", "misspelt", "meant"),
    [
        ("environment", "serve", "COUPON_POOLSIZE", "COUPON_POOL_SIZE"),
        ("environment", "migrate", "COUPON_ADMIN_TOKEN_HASH", "COUPON_ADMIN_TOKEN_HASHES"),
        ("file", "serve", "COUPON_ADMIN_TOKEN_HASH", "COUPON_ADMIN_TOKEN_HASHES"),
        ("file", "migrate", "coupon_rate_limits", "COUPON_RATE_LIMIT"),
    ],
)
def test_a_setting_that_is_misspelt_is_refused(
    tmp_path: Path, place: str, command: str, misspelt: str, meant: str
) -> None:
    # Where it is not refused, what it starts must not be the account's own.
    data_dir = {"COUPON_DATA_DIR": str(tmp_path / "data"), "COUPON_PORT": "0"}
    variables = {misspelt: "7"}
    if place == "file":
        (tmp_path / ".env").write_text(f"{misspelt}=7\n")
        variables = {}
    ended = subprocess.run(
        [PROGRAM, command],
        env={**environment(), **data_dir, **variables},
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 2
    assert f"{misspelt} is no setting: is {meant} meant?" in ended.stderr


def test_a_variable_that_somebody_else_may_mean_is_told_of_and_ignored(
    start_service: ServiceStarter, database_url: str
) -> None:
    foreign = {"COUPON_SERVICE_HOST": "10.0.0.1", "COUPON_URL": "http://x", "COUPON_TOKEN": "x"}
    service = start_service(database_url=database_url, variables=foreign)
    (told,) = [entry for entry in service.log if entry["level"] == "warning"]
    assert told["variable"] == "COUPON_SERVICE_HOST"


def test_elsewhere_it_does_not_start_without_credentials(database_url: str) -> None:
    ended = run_program("serve", "--host", EVERYWHERE, "--port", "0", database_url=database_url)
    assert outcome(ended) == (1, "", 1)
    assert ended.stderr == (
        "coupon-service: 0.0.0.0 can be reached from elsewhere and no tokens are set: make one "
        "with `coupon-service token create --role admin` and set its hash, or say --insecure\n"
    )


@pytest.mark.parametrize(
    ("arguments", "settings"), [(["--insecure"], {}), ([], {"insecure": "true"})]
)
def test_elsewhere_it_starts_if_told_to_and_warns(
    start_service: ServiceStarter,
    database_url: str,
    arguments: list[str],
    settings: dict[str, str],
) -> None:
    service = start_service(*arguments, database_url=database_url, host=EVERYWHERE, **settings)
    levels = [(entry["level"], entry["event"][:17]) for entry in service.log]
    assert ("warning", "open to everybody") in levels
    assert calls_without_token(service.url) == 200


def test_elsewhere_it_starts_with_credentials_and_asks_for_them(
    start_service: ServiceStarter, database_url: str
) -> None:
    service = start_service(
        database_url=database_url, host=EVERYWHERE, admin_token_hashes="0" * 64, insecure="true"
    )
    assert not [entry for entry in service.log if entry["event"].startswith("open to")]
    assert calls_without_token(service.url) == 401


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"jwt_jwks": "keys.json"}, "need COUPON_JWT_AUDIENCE and COUPON_JWT_ISSUER as well"),
        ({"admin_token_hashes": "secret"}, "COUPON_ADMIN_TOKEN_HASHES: it must be a SHA-256"),
        ({"rate_limit": "often"}, "COUPON_RATE_LIMIT: it must be a number of calls and a time"),
    ],
)
def test_a_setting_that_makes_no_sense_is_bad_usage(settings: dict[str, Any], words: str) -> None:
    ended = run_program("serve", **settings)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert words in ended.stderr
    assert "secret" not in ended.stderr


def test_a_file_of_keys_that_is_not_there_is_told_of() -> None:
    jwt: dict[str, Any] = {"jwt_jwks": "/nowhere/keys.json", "jwt_audience": "a", "jwt_issuer": "i"}
    ended = run_program("serve", "--port", "0", **jwt)
    assert outcome(ended) == (1, "", 1)
    assert "COUPON_JWT_JWKS in /nowhere/keys.json: No such file or directory" in ended.stderr


# The commands ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "variable"),
    [("admin", "COUPON_ADMIN_TOKEN_HASHES"), ("issuer", "COUPON_ISSUER_TOKEN_HASHES")],
)
def test_create_prints_the_line_with_the_hash_and_the_token_last(role: str, variable: str) -> None:
    ended = run_program("token", "create", "--role", role)
    assert (ended.returncode, ended.stderr) == (0, "")
    *_, line, token = ended.stdout.splitlines()
    assert token.startswith(f"coupon_{role}_")
    assert line == f"{variable}={hashlib.sha256(token.encode()).hexdigest()}"


def test_create_tells_programs_the_same() -> None:
    said = json.loads(run_program("token", "create", "--role", "admin", "--json").stdout)
    assert said == {
        "role": "admin",
        "token": said["token"],
        "hash": hashlib.sha256(said["token"].encode()).hexdigest(),
        "variable": "COUPON_ADMIN_TOKEN_HASHES",
    }


@pytest.mark.parametrize("arguments", [[], ["--role", "user"], ["--role", ""]])
def test_a_role_that_has_no_tokens_is_bad_usage(arguments: list[str]) -> None:
    ended = run_program("token", "create", *arguments)
    assert (ended.returncode, ended.stdout) == (2, "")


def hashed(text: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [PROGRAM, "token", "hash"],
        input=text,
        env=environment(),
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_hash_prints_what_the_service_is_given(end: str) -> None:
    token = "coupon_admin_" + "x" * 43
    said = hashlib.sha256(token.encode()).hexdigest()
    assert outcome(hashed(token + end)) == (0, f"{said}\n", 0)


@pytest.mark.parametrize("text", ["", "short", "a" * 31, "가" * 40, "two words " * 5, "a\0" * 30])
def test_hash_refuses_what_is_no_token(text: str) -> None:
    assert outcome(hashed(text)) == (1, "", 1)


def test_a_token_that_was_made_works_from_the_command_line(
    start_service: ServiceStarter, database_url: str
) -> None:
    made = json.loads(run_program("token", "create", "--role", "admin", "--json").stdout)
    service = start_service(database_url=database_url, admin_token_hashes=made["hash"])
    create = ("campaign", "create", "--name", "x", "--limit", "1", "--start", "now")
    refused = run_program(*create, url=service.url)
    assert outcome(refused) == (1, "", 1)
    assert "UNAUTHENTICATED: The call needs a bearer token" in refused.stderr
    assert run_program(*create, url=service.url, token=made["token"]).returncode == 0
