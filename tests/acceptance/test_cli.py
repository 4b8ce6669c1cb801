"""Every command as a user runs it."""

import csv
import json
import re
import signal
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
from acceptance.conftest import LONG_AGO, CampaignCreator
from protobuf.wkt.google.protobuf.timestamp_pb import Timestamp
from support.program import PROGRAM, outcome, run_program
from support.service import Service, environment, running_service

from coupon_service import variables

FAR = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


@pytest.fixture(scope="module")
def url(shared_service: Service) -> str:
    return shared_service.url


@pytest.fixture(scope="module")
def nobody_url() -> str:
    """An address at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


def last_line(text: str) -> str:
    assert text.endswith("\n")
    return text.splitlines()[-1]


def create(url: str, *arguments: str, name: str = "Launch", limit: int = 3) -> str:
    ended = run_program(
        *("campaign", "create", "--name", name, "--limit", str(limit)),
        *(arguments or ("--start", "now")),
        url=url,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    return last_line(ended.stdout)


def assert_fails(ended: "subprocess.CompletedProcess[str]", *words: str) -> None:
    """Hold that a command failed: nothing on stdout, one line on stderr, status 1."""
    assert outcome(ended) == (1, "", 1), ended.stderr
    assert ended.stderr.startswith("coupon-service: ")
    assert [word for word in words if word not in ended.stderr] == [], ended.stderr


def assert_bad_usage(ended: "subprocess.CompletedProcess[str]", *words: str) -> None:
    assert (ended.returncode, ended.stdout) == (2, ""), ended.stderr
    assert ended.stderr.startswith("Usage: coupon-service")
    error = ended.stderr.splitlines()[-1]
    assert [word for word in words if word not in error] == [], ended.stderr


# campaign ----------------------------------------------------------------------------


def test_create_prints_the_campaign_and_its_id_last(url: str) -> None:
    ended = run_program(
        *("campaign", "create", "--name", "런치 [bold]나이트[/bold]"),
        *("--limit", "1000", "--start", "2030-01-31T20:00:00+09:00"),
        url=url,
        variables={"TZ": "Asia/Seoul"},
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    campaign_id = last_line(ended.stdout)
    assert str(UUID(campaign_id)) == campaign_id
    rows = dict(re.findall(r"^(\w+) +(.*?) *$", ended.stdout, re.MULTILINE))
    assert rows["campaign"] == campaign_id
    assert rows["name"] == "런치 [bold]나이트[/bold]"
    assert rows["state"] == "scheduled"
    assert rows["issued"] == "0 of 1,000"
    assert rows["starts"] == "2030-01-31 20:00:00.000+09:00"
    assert rows["ends"] == "never"


@pytest.mark.parametrize(("start", "end"), [("+10s", "+5m"), ("+2h", "+1d"), ("+1.5s", "+9d")])
def test_a_start_and_an_end_may_be_given_from_now(url: str, start: str, end: str) -> None:
    seconds = {"+10s": 10, "+5m": 300, "+2h": 7200, "+1d": 86400, "+1.5s": 1.5, "+9d": 777600}
    before = datetime.now(UTC)
    campaign_id = create(url, "--start", start, "--end", end)
    after = datetime.now(UTC)
    shown = json.loads(run_program("campaign", "show", campaign_id, "--json", url=url).stdout)
    for told, key in ((start, "startTime"), (end, "endTime")):
        away = timedelta(seconds=seconds[told])
        assert before + away <= datetime.fromisoformat(shown[key]) <= after + away


def test_a_start_without_an_offset_is_local_time(url: str) -> None:
    ended = run_program(
        *("campaign", "create", "--name", "x", "--limit", "1", "--start", "2030-01-31T20:00"),
        "--json",
        url=url,
        variables={"TZ": "Asia/Seoul"},
    )
    assert json.loads(ended.stdout)["startTime"] == "2030-01-31T11:00:00Z"


def test_show_and_create_print_the_same_json(url: str) -> None:
    created = run_program(
        *("campaign", "create", "--name", "제이슨", "--limit", "7", "--start", "now", "--json"),
        url=url,
    )
    assert (created.returncode, created.stderr) == (0, "")
    campaign = json.loads(created.stdout)
    shown = run_program("campaign", "show", campaign["campaignId"], "--json", url=url)
    assert json.loads(shown.stdout) == campaign
    assert (campaign["name"], campaign["couponLimit"]) == ("제이슨", 7)
    assert campaign["state"] == "CAMPAIGN_STATE_ACTIVE"


def test_codes_are_printed_one_a_line_in_order_of_issue(url: str, tmp_path: Path) -> None:
    campaign_id = create(url)
    none_yet = run_program("campaign", "codes", campaign_id, url=url)
    codes = [last_line(run_program("issue", campaign_id, url=url).stdout) for _ in range(2)]
    lines = run_program("campaign", "codes", campaign_id, url=url)
    as_json = run_program("campaign", "codes", campaign_id, "--json", url=url)
    file = tmp_path / "codes.csv"
    written = run_program("campaign", "codes", campaign_id, "--csv", str(file), url=url)
    assert outcome(none_yet) == (0, "", 0)
    assert outcome(lines) == (0, "".join(f"{code}\n" for code in codes), 0)
    assert json.loads(as_json.stdout) == codes
    assert (written.returncode, written.stdout) == (0, "")
    assert written.stderr == f"2 codes written to {file}\n"
    with file.open(newline="", encoding="utf-8") as rows:
        assert list(csv.reader(rows)) == [["sequence", "code"], ["1", codes[0]], ["2", codes[1]]]


def test_a_file_that_cannot_be_written_fails(url: str, tmp_path: Path) -> None:
    file = tmp_path / "nowhere" / "codes.csv"
    ended = run_program("campaign", "codes", create(url), "--csv", str(file), url=url)
    assert_fails(ended, str(file), "No such file or directory")


# issue -------------------------------------------------------------------------------


def test_issue_prints_the_code_last_and_the_same_one_to_the_same_user(url: str) -> None:
    campaign_id = create(url)
    first, again = (run_program("issue", campaign_id, "--user", "앨리스", url=url) for _ in "12")
    assert [ended.returncode for ended in (first, again)] == [0, 0]
    code = last_line(first.stdout)
    assert len(code) == 10
    assert last_line(again.stdout) == code
    assert first.stdout.startswith("Coupon 1, issued at ")
    assert again.stdout.startswith("Coupon 1, issued before, at ")


def test_issue_prints_json_for_programs(url: str) -> None:
    ended = run_program("issue", create(url), "--user", "u", "--json", url=url)
    coupon = json.loads(ended.stdout)["coupon"]
    assert (coupon["sequence"], coupon["userId"], len(coupon["code"])) == (1, "u", 10)


# Failures ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [["issue"], ["campaign", "show"], ["campaign", "codes"], ["campaign", "show", "--json"]],
)
def test_a_campaign_that_does_not_exist_fails(url: str, command: list[str]) -> None:
    ended = run_program(*command, str(uuid4()), url=url)
    assert_fails(ended, "CAMPAIGN_NOT_FOUND: There is no campaign with this id.")


def test_a_sold_out_campaign_fails(url: str) -> None:
    campaign_id = create(url, limit=1)
    run_program("issue", campaign_id, url=url)
    assert_fails(run_program("issue", campaign_id, url=url), "SOLD_OUT: ")


def test_a_campaign_that_has_not_started_fails(url: str) -> None:
    campaign_id = create(url, "--start", "+1h")
    assert_fails(run_program("issue", campaign_id, url=url), "CAMPAIGN_NOT_STARTED: ")


def test_what_the_service_refuses_fails_with_every_bad_field(url: str) -> None:
    ended = run_program(
        *("campaign", "create", "--name", "n" * 201, "--limit", str(10**30), "--start", "now"),
        *("--end", "2020-01-01T00:00:00Z"),
        url=url,
    )
    assert_fails(ended, "INVALID_REQUEST: ", "name: ", "coupon_limit: ", "end_time: ")


@pytest.mark.parametrize(
    "command",
    [
        ["issue", str(uuid4())],
        ["campaign", "show", str(uuid4())],
        ["campaign", "codes", str(uuid4())],
        ["campaign", "create", "--name", "x", "--limit", "1", "--start", "now"],
    ],
)
def test_a_service_that_is_down_fails(nobody_url: str, command: list[str]) -> None:
    assert_fails(
        run_program(*command, url=nobody_url), "cannot be reached: Connection refused", "refused"
    )


def test_an_address_of_something_else_fails(url: str) -> None:
    assert_fails(run_program("issue", str(uuid4()), "--url", f"{url}/elsewhere"))


def test_an_option_goes_before_its_variable(url: str, nobody_url: str) -> None:
    ended = run_program("campaign", "show", create(url), "--url", url, url=nobody_url)
    assert ended.returncode == 0


@pytest.mark.parametrize("token", ["s3cret", "a-b_c.d~e+f/g=", ""])
def test_a_token_may_be_given(url: str, token: str) -> None:
    assert run_program("issue", create(url), url=url, token=token).returncode == 0


# Bad usage ---------------------------------------------------------------------------

CREATE = ("campaign", "create", "--name", "x", "--limit", "1")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("nonsense",), "nonsense"),
        (("issue",), "CAMPAIGN_ID"),
        (("issue", "1", "2"), "2"),
        (("issue", "1", "--nonsense"), "--nonsense"),
        (("campaign", "nonsense"), "nonsense"),
        (("campaign", "show"), "CAMPAIGN_ID"),
        (CREATE, "--start"),
        ((*CREATE[:-2], "--start", "now"), "--limit"),
        ((*CREATE, "--start", "yesterday"), "yesterday"),
        ((*CREATE, "--start", ""), "--start"),
        ((*CREATE, "--start", "+999999999d"), "--start"),
        ((*CREATE, "--start", "now", "--end", "+5"), "--end"),
        ((*CREATE[:-1], "many", "--start", "now"), "many"),
        (("serve", "--port", "many"), "--port"),
        (("serve", "--port", "70000"), "COUPON_PORT"),
        (("serve", "--workers", "0"), "COUPON_WORKERS"),
        (("migrate",), "COUPON_DATABASE_URL"),
        (("issue", "1", "--url", "ftp://host"), "ftp://host"),
        (("issue", "1", "--url", "nonsense"), "nonsense"),
        (("issue", "1", "--url", "http://"), "http://"),
        (("issue", "1", "--url", "http://[::1"), "http://[::1"),
    ],
)
def test_bad_usage_exits_2_and_says_what_is_wrong(
    arguments: tuple[str, ...], word: str, tmp_path: Path
) -> None:
    assert_bad_usage(run_program(*arguments, cwd=tmp_path), word)


@pytest.mark.parametrize("token", ["two\nlines", "\x01"])
def test_a_token_that_no_header_can_carry_is_one_line(url: str, token: str) -> None:
    ended = run_program("issue", str(uuid4()), "--token", token, url=url)
    assert ended.returncode in {1, 2}
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        (b"issue", b"\xff"),
        (b"issue", b"x", b"--user", b"\xff"),
        (b"campaign", b"create", b"--name", b"\xff", b"--limit", b"1", b"--start", b"now"),
    ],
)
def test_arguments_that_are_not_utf_8_are_no_crash(url: str, arguments: tuple[bytes, ...]) -> None:
    ended = run_program(*arguments, url=url)
    assert ended.returncode in {1, 2}
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("zone", ["Asia/Seoul", "America/Los_Angeles"])
async def test_the_farthest_times_are_shown_in_every_time_zone(
    create_shared: CampaignCreator, url: str, zone: str
) -> None:
    campaign_id = await create_shared(
        start=datetime(1, 1, 1, 1, tzinfo=UTC), end_time=Timestamp.from_datetime(FAR)
    )
    ended = run_program("campaign", "show", campaign_id, url=url, variables={"TZ": zone})
    assert (ended.returncode, ended.stderr) == (0, "")
    assert campaign_id in ended.stdout


@pytest.mark.parametrize("command", [("campaign", "show"), ("issue",)])
async def test_a_terminal_that_is_not_utf_8_is_no_crash(
    create_shared: CampaignCreator, url: str, command: tuple[str, ...]
) -> None:
    campaign_id = await create_shared()
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    ended = run_program(*command, campaign_id, url=url, variables=ascii_only)
    assert (ended.returncode, ended.stderr) == (0, "")


# Help --------------------------------------------------------------------------------

COMMANDS: list[tuple[str, ...]] = [
    ("serve",),
    ("migrate",),
    ("issue",),
    ("campaign", "create"),
    ("campaign", "show"),
    ("campaign", "codes"),
]


@pytest.mark.parametrize("command", [(), *COMMANDS], ids=" ".join)
def test_the_help_of_a_command_shows_an_example(command: tuple[str, ...]) -> None:
    ended = run_program(*command, "--help")
    assert (ended.returncode, ended.stderr) == (0, "")
    _, _, examples = ended.stdout.partition("Example")
    assert " ".join(["coupon-service", *command]) in examples


def test_the_help_of_serve_lists_every_setting_with_its_default() -> None:
    text = " ".join(run_program("serve", "--help").stdout.split())
    for variable, default, description in variables.described():
        assert variable in text
        assert description in text
        assert not default or f"{description} Default: {default}." in text


def test_the_help_of_a_client_command_names_its_variables() -> None:
    text = run_program("issue", "--help").stdout
    assert [word for word in ("COUPON_URL", "COUPON_TOKEN", "--json") if word not in text] == []


def test_the_program_tells_its_version() -> None:
    ended = run_program("--version")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert re.search(r"\d+\.\d+\.\d+", ended.stdout)


def test_python_m_is_the_same_program(url: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "coupon_service", "campaign", "show", create(url), "--json"],
        env=environment(url=url),
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(ended.stdout)["couponLimit"] == 3


# serve -------------------------------------------------------------------------------


def test_options_of_serve_go_before_their_variables(shared_url: str) -> None:
    with running_service("--workers", "1", database_url=shared_url, workers=3, port=1) as service:
        assert len(service.worker_pids()) == 1
        assert httpx.get(f"{service.url}/healthz").status_code == 200


def test_a_dotenv_file_is_read_and_the_environment_goes_before_it(
    shared_url: str, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text(
        f"COUPON_DATABASE_URL={shared_url}\nCOUPON_PORT=0\nCOUPON_WORKERS=none\n"
    )
    refused = run_program("serve", cwd=tmp_path)
    with subprocess.Popen(
        [PROGRAM, "serve"],
        cwd=tmp_path,
        env=environment(workers=1),
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        opened, ready = (json.loads(process.stderr.readline()) for _ in range(2))
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert_bad_usage(refused, "COUPON_WORKERS")
    assert opened["event"].startswith("open to every caller on this machine")
    assert (ready["event"], ready["workers"]) == ("ready", 1)


async def test_what_the_program_creates_is_in_the_database(
    url: str, sql: asyncpg.Connection
) -> None:
    campaign_id = create(url, "--start", LONG_AGO.isoformat(), name="저장")
    row = await sql.fetchrow(
        "SELECT name, coupon_limit, start_time FROM campaign WHERE campaign_id = $1", campaign_id
    )
    assert row is not None
    assert tuple(row) == ("저장", 3, LONG_AGO)


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("file", ["/nowhere/cert.pem", "", __file__])
def test_a_file_of_certificates_that_holds_none_is_one_line_where_it_matters(
    url: str, file: str, scheme: str
) -> None:
    command = ("campaign", "create", "--name", "x", "--limit", "1", "--start", "now")
    of_scheme = url.replace("http", scheme)
    ended = run_program(*command, url=of_scheme, variables={"SSL_CERT_FILE": file})
    if scheme == "http":
        assert (ended.returncode, ended.stderr) == (0, "")
    else:
        assert_fails(ended, f"SSL_CERT_FILE={file}:")


def test_an_empty_user_is_bad_usage_and_takes_no_coupon(url: str) -> None:
    campaign_id = create(url)
    assert_bad_usage(run_program("issue", campaign_id, "--user", "", url=url), "--user")
    shown = run_program("campaign", "show", campaign_id, url=url).stdout
    assert "issued    0 of 3" in shown


def test_codes_go_to_stdout_as_csv_where_that_is_the_file(url: str) -> None:
    campaign_id = create(url)
    code = last_line(run_program("issue", campaign_id, url=url).stdout)
    ended = run_program("campaign", "codes", campaign_id, "--csv", "-", url=url)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.splitlines() == ["sequence,code", f"1,{code}"]


@pytest.mark.parametrize("arguments", [("campaign", "codes"), ("campaign", "codes", "--csv", "-")])
def test_a_full_disk_at_stdout_fails(url: str, arguments: tuple[str, ...]) -> None:
    campaign_id = create(url)
    run_program("issue", campaign_id, url=url)
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [PROGRAM, *arguments, campaign_id],
            env=environment(url=url),
            stdout=full,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            timeout=60,
            check=False,
        )
    assert (ended.returncode, ended.stderr) == (
        1,
        "coupon-service: cannot write to stdout: No space left on device\n",
    )


@pytest.mark.parametrize("line", ["COUPON_ADMIN_TOKEN_HASHES 5b6c", "COUPON_TLS_CERT", "a line"])
def test_a_line_of_a_dotenv_file_that_sets_nothing_is_bad_usage(tmp_path: Path, line: str) -> None:
    (tmp_path / ".env").write_text(f"COUPON_PORT=0\n\n{line}\n# the end\n")
    ended = run_program("serve", cwd=tmp_path, data_dir=tmp_path / "data")
    assert_bad_usage(ended, "line 3 of the file .env is not NAME=value")
