"""The log: one line for each record on stderr, whoever wrote it."""

import json
import os
import pty
import subprocess
import sys
from datetime import datetime, timedelta
from typing import Any

import pytest

PREPARED = """
import logging
import structlog
from coupon_service import logs
from coupon_service.settings import Settings

logs.configure(Settings(_env_file=None, **{settings}))
ours = structlog.get_logger("coupon_service.test")
library = logging.getLogger("some.library")
access = logging.getLogger("uvicorn.access")

def fail(password):
    raise RuntimeError("first line\\nsecond line")
"""


def run(script: str, **settings: object) -> str:
    """Run a script that logs, in a process of its own, and return what it wrote to stderr."""
    settings.setdefault("log_format", "json")
    done = subprocess.run(
        [sys.executable, "-c", PREPARED.format(settings=settings) + script],
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        check=True,
    )
    assert done.stdout == ""
    return done.stderr


def records(script: str, **settings: object) -> list[dict[str, Any]]:
    """Return what a script logged; each line must be one JSON object."""
    text = run(script, **settings)
    assert text.endswith("\n")
    return [json.loads(line) for line in text.removesuffix("\n").split("\n")]


def test_ours_and_libraries_records_are_json_lines_of_the_same_form() -> None:
    ours, library = records(
        'ours.info("started", workers=2, name="가나")\nlibrary.warning("slow: %s ms", 5)'
    )
    for record in (ours, library):
        written = datetime.fromisoformat(record.pop("timestamp"))
        assert written.utcoffset() == timedelta(0)
    assert ours == {"event": "started", "level": "info", "workers": 2, "name": "가나"}
    assert library == {"event": "slow: 5 ms", "level": "warning"}


def test_text_with_line_breaks_stays_in_one_line() -> None:
    ours, library = records('ours.info("a\\nb\\r\\n\\x00", path="c\\nd")\nlibrary.warning("e\\nf")')
    assert (ours["event"], ours["path"], library["event"]) == ("a\nb\r\n\0", "c\nd", "e\nf")


def test_a_value_that_json_does_not_know_is_logged_nevertheless() -> None:
    (record,) = records('ours.info("odd", number=complex(1, 2), data=b"x", one={1})')
    assert (record["number"], record["data"], record["one"]) == ("(1+2j)", "b'x'", "{1}")


EXCEPTIONS = """
try:
    fail("hunter" + str(2))
except RuntimeError as exc:
    caught = exc
    ours.exception("failed", campaign_id="c")
    library.exception("failed")
ours.error("failed", exc_info=caught)
"""


def test_an_exception_is_logged_in_one_line_with_its_type_text_and_frames() -> None:
    logged = records(EXCEPTIONS)
    assert [(each["event"], each["level"]) for each in logged] == [("failed", "error")] * 3
    for each in logged:
        (exception,) = each["exception"]
        assert exception["exc_type"] == "RuntimeError"
        assert exception["exc_value"] == "first line\nsecond line"
        assert [frame["name"] for frame in exception["frames"]] == ["<module>", "fail"]
    assert logged[0]["campaign_id"] == "c"


def test_the_cause_of_an_exception_is_logged_with_it() -> None:
    (record,) = records("""
try:
    try:
        fail("x")
    except RuntimeError as exc:
        raise OSError("outer") from exc
except OSError:
    ours.exception("failed")
""")
    types = [each["exc_type"] for each in record["exception"]]
    assert types == ["OSError", "RuntimeError"]


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_no_value_of_a_variable_is_logged_with_an_exception(log_format: str) -> None:
    """The frames of an exception hold passwords, URLs with passwords, and callers' data."""
    text = run(EXCEPTIONS, log_format=log_format)
    assert "RuntimeError" in text
    assert [line for line in text.splitlines() if "hunter2" in line] == []


ACCESS = """
access.info('%s - "%s %s HTTP/%s" %d', "10.0.0.1:5000", "POST", "/a?b=%20", "1.1", 429)
"""


def test_an_access_record_becomes_fields_without_the_query() -> None:
    (record,) = records(ACCESS, access_log=True)
    del record["timestamp"]
    assert record == {
        "event": "request",
        "level": "info",
        "client": "10.0.0.1:5000",
        "method": "POST",
        "path": "/a",
        "http_version": "1.1",
        "status": 429,
    }


def test_an_access_record_s_line_stays_short_enough_to_be_written_in_one_go() -> None:
    script = ACCESS.replace("/a?b=%20", "/" + "a" * 60_000)
    (line,) = run(script, access_log=True).splitlines()
    assert json.loads(line)["path"] == "/" + "a" * 999
    assert len(line) < 4096


def test_an_access_record_is_not_logged_unless_asked_for() -> None:
    assert run(ACCESS) == ""


def test_a_library_s_arguments_are_in_its_message_and_nowhere_else() -> None:
    (record,) = records('library.warning("%s and %d", "one", 2)')
    assert record.keys() == {"event", "level", "timestamp"}
    assert record["event"] == "one and 2"


@pytest.mark.parametrize(
    ("log_level", "logged"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_what_is_less_important_than_the_level_is_not_logged(
    log_level: str, logged: list[str]
) -> None:
    script = "".join(
        f"{logger}.{level}('x')\n"
        for level in ("debug", "info", "warning", "error")
        for logger in ("ours", "library")
    )
    levels = [record["level"] for record in records(script, log_level=log_level)]
    assert levels == [level for level in logged for _ in ("ours", "library")]


def test_configuring_replaces_what_was_and_each_record_is_written_once() -> None:
    again = "logs.configure(Settings(_env_file=None, log_format='json', log_level='info'))\n"
    script = again + 'ours.info("once")\nlibrary.info("once")'
    assert len(records(script, log_format="console", log_level="error")) == 2


def test_console_format_is_text_for_people() -> None:
    (line,) = run('ours.info("started", workers=2)', log_format="console").splitlines()
    assert "started" in line
    assert "workers=2" in line
    assert "\x1b" not in line


def test_auto_format_is_json_unless_stderr_is_a_terminal() -> None:
    (record,) = records('ours.info("started", workers=2)', log_format="auto")
    on_terminal = run_on_terminal('ours.info("started", workers=2)', log_format="auto")
    assert (record["event"], record["workers"]) == ("started", 2)
    assert "started" in on_terminal
    assert "{" not in on_terminal


def run_on_terminal(script: str, **settings: object) -> str:
    """Run a script whose stderr is a terminal and return what it wrote there."""
    ours, theirs = pty.openpty()
    try:
        subprocess.run(
            [sys.executable, "-c", PREPARED.format(settings=settings) + script],
            stderr=theirs,
            check=True,
        )
        return os.read(ours, 65536).decode()
    finally:
        os.close(theirs)
        os.close(ours)


@pytest.mark.parametrize("log_level", ["debug", "info"])
def test_what_reads_headers_logs_none_of_them(log_level: str) -> None:
    script = (
        "from hpack import Decoder, Encoder\n"
        "ours.warning('begun')\n"
        "head = Encoder().encode([('authorization', 'Bearer hunter2')], huffman=False)\n"
        "Decoder().decode(head)\n"
    )
    assert [each["event"] for each in records(script, log_level=log_level)] == ["begun"]
