"""Who calls in a rush, when, and what goes over the wire."""

import contextlib
import json
import random
import socket
import threading
from base64 import b64encode
from collections import Counter
from datetime import UTC, datetime
from itertools import takewhile
from typing import Self

import gevent
import pytest

from coupon_service.gen.google.rpc.error_details_pb import ErrorInfo
from loadtest.clocks import Clock
from loadtest.history import NO_ANSWER, OK
from loadtest.rush import wire
from loadtest.rush.arrivals import arrivals
from loadtest.rush.caller import Caller, CallFailed
from loadtest.rush.connections import Connections
from loadtest.rush.exchanges import Exchange, best
from loadtest.rush.people import Claim, People
from loadtest.rush.silence import SECONDS_MAX, Silence
from loadtest.rush.tally import Tally

SECOND_US = 1_000_000


def test_callers_arrive_at_the_early_rate_before_the_start_and_at_the_full_rate_after() -> None:
    due = arrivals(random.Random(1), from_us=0, start_us=10 * SECOND_US, early_rate=50, rate=1000)
    times = list(takewhile(lambda at: at < 20 * SECOND_US, due))
    early = sum(at < 10 * SECOND_US for at in times)
    assert times == sorted(times)
    assert 400 < early < 600
    assert 9_700 < len(times) - early < 10_300


def test_a_stream_that_begins_after_the_start_begins_at_once() -> None:
    due = arrivals(random.Random(1), from_us=5 * SECOND_US, start_us=0, early_rate=1, rate=1000)
    assert 5 * SECOND_US <= next(due) < 5.1 * SECOND_US


def test_the_same_seed_brings_the_same_people() -> None:
    one, other = (People(random.Random(3), "p") for _ in range(2))
    assert [one.next() for _ in range(500)] == [other.next() for _ in range(500)]


def test_two_fifths_are_anonymous_and_a_third_of_the_users_ask_again() -> None:
    people = People(random.Random(1), "p")
    users = [people.next().user_id for _ in range(10_000)]
    asked = Counter(filter(None, users))
    assert users.count("") / len(users) == pytest.approx(0.4, abs=0.03)
    assert 1 - len(asked) / asked.total() == pytest.approx(1 / 3, abs=0.03)
    assert all(user_id.startswith("p-") for user_id in asked)


def test_some_hang_up_and_some_set_a_short_deadline_but_nobody_does_both() -> None:
    people = People(random.Random(1), "p")
    claims = [people.next() for _ in range(10_000)]
    hanging_up = [claim for claim in claims if claim.hang_up_seconds is not None]
    with_deadline = [claim for claim in claims if claim.timeout_ms is not None]
    assert len(hanging_up) == pytest.approx(300, abs=60)
    assert len(with_deadline) == pytest.approx(300, abs=60)
    assert not set(map(id, hanging_up)) & set(map(id, with_deadline))


def test_of_several_exchanges_the_quickest_is_believed() -> None:
    slow = Exchange(sent_us=0, told_us=9_000, answered_us=10_000)
    quick = Exchange(sent_us=20_000, told_us=25_100, answered_us=20_200)
    assert best([slow, quick]) is quick
    assert (quick.behind_us, quick.round_trip_us) == (5_000, 200)


def refusal(details: str) -> bytes:
    return b'{"code":"resource_exhausted","message":"Gone.","details":[%s]}' % details.encode()


def test_a_refusal_is_known_by_its_reason() -> None:
    info = ErrorInfo(reason="SOLD_OUT", domain="coupon.v1").to_binary()
    value = b64encode(info).decode().rstrip("=")
    body = refusal(json.dumps({"type": "google.rpc.ErrorInfo", "value": value}))
    assert wire.reason(429, body) == "SOLD_OUT"
    assert wire.message(body) == "Gone."


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (429, refusal(""), "resource_exhausted"),
        (429, refusal('{"type":"google.rpc.ErrorInfo","value":"!"}'), "resource_exhausted"),
        (502, b"<html>bad gateway</html>", "unavailable"),
        (404, b"", "unimplemented"),
        (500, b"\xff", "unknown"),
    ],
)
def test_an_error_without_a_reason_is_known_by_its_code(
    status: int, body: bytes, outcome: str
) -> None:
    assert wire.reason(status, body) == outcome


def test_times_go_to_the_contract_s_json_and_come_back_to_the_microsecond() -> None:
    moment_us = 1_795_368_165_561_245
    text = wire.timestamp(moment_us)
    assert text.endswith("Z")
    assert wire.microseconds(datetime.fromisoformat(text).astimezone(UTC)) == moment_us


class Server:
    """Answers each call of one caller with prepared bytes; without bytes, never."""

    def __init__(self, answer: bytes) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._answer = answer
        self.received: list[bytes] = []
        self.connection_count = 0
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/behind/a/gateway/"
        self._thread = threading.Thread(target=self._serve)
        self._connections: list[Connections] = []

    def caller(self, headers: dict[str, str] | None = None) -> Caller:
        connections = Connections(self.url, wire.HEADERS | (headers or {}))
        self._connections.append(connections)
        return Caller(connections, "p", Clock(0))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for connections in self._connections:
            connections.close()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):  # the test has ended
            while True:
                connection, _ = self._listener.accept()
                self.connection_count += 1
                with connection:
                    while received := connection.recv(65536):
                        self.received.append(received)
                        connection.sendall(self._answer)


def answer(status: str, body: str, *headers: str) -> bytes:
    data = body.encode()
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(data)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + data


COUPON = '{"coupon":{"code":"c","sequence":1,"userId":"u","issueTime":"2026-01-01T00:00:00Z"}}'


def test_a_call_is_connect_s_json_with_the_token_and_the_deadline() -> None:
    with Server(answer("200 OK", COUPON)) as server:
        caller = server.caller({"authorization": "Bearer secret"})
        line = caller.issue("id", Claim(user_id="u", timeout_ms=7), due_us=1)
    head, _, sent = server.received[0].decode().partition("\r\n\r\n")
    first, *headers = head.split("\r\n")
    assert first == "POST /behind/a/gateway/coupon.v1.CouponService/IssueCoupon HTTP/1.1"
    assert {
        "authorization: Bearer secret",
        "connect-protocol-version: 1",
        "connect-timeout-ms: 7",
        "content-type: application/json",
    } <= set(headers)
    assert sent == '{"campaignId":"id","userId":"u"}'
    assert (line.kind, line.code, line.for_campaign_id) == ("issued", "c", "")


def test_a_connection_is_kept_for_the_next_call() -> None:
    with Server(answer("200 OK", COUPON)) as server:
        caller = server.caller()
        outcomes = [caller.issue("id", Claim()).outcome for _ in range(5)]
    assert outcomes == [OK] * 5
    assert (len(server.received), server.connection_count) == (5, 1)


def test_a_connection_that_is_to_be_closed_is_not_kept() -> None:
    with Server(answer("200 OK", COUPON, "connection: close")) as server:
        caller = server.caller()
        assert [caller.issue("id", Claim()).outcome for _ in range(2)] == [OK] * 2
    assert server.connection_count == 2


def test_answers_in_chunks_and_after_interim_ones_are_read() -> None:
    interim = b"HTTP/1.1 103 Early Hints\r\n\r\n"
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in COUPON.encode()) + b"0\r\n\r\n"
    whole = interim + b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + chunks
    with Server(whole) as server:
        assert server.caller().issue("id", Claim()).code == "c"


@pytest.mark.parametrize("cut", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf", b"junk"])
def test_a_broken_answer_is_none(cut: bytes) -> None:
    class Cutting(Server):
        def _serve(self) -> None:
            connection, _ = self._listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(cut)

    with Cutting(cut) as server:
        line = server.caller().issue("id", Claim(), due_us=1)
    assert (line.outcome, line.kind, line.latency_us) == (NO_ANSWER, "lost", None)


def test_a_caller_who_hangs_up_closes_its_connection_and_leaves_a_line() -> None:
    with Server(b"") as server:
        caller = server.caller()
        lines = [caller.issue("id", Claim(hang_up_seconds=0.01), due_us=1) for _ in range(2)]
    assert {(line.outcome, line.kind, line.latency_us) for line in lines} == {
        (NO_ANSWER, "hung up", None)
    }
    assert all(line.answered_us is not None for line in lines)
    assert server.connection_count == 2


def test_callers_who_find_nobody_at_the_same_time_do_not_disturb_each_other() -> None:
    connections = Connections("http://localhost:1", {})

    def call() -> str:
        try:
            connections.post("/", b"")
        except OSError:
            return "nobody there"
        return "answered"

    callers = [gevent.spawn(call) for _ in range(200)]
    gevent.joinall(callers)
    assert {caller.value for caller in callers} == {"nobody there"}


def test_a_call_that_fails_in_an_unforeseen_way_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise LookupError("unforeseen")

    connections = Connections("http://127.0.0.1:1", {})
    monkeypatch.setattr(connections, "post", fail)
    caller = Caller(connections, "p", Clock(0))
    assert caller.issue("id", Claim(), due_us=1).kind == "lost"
    assert caller.read("id", "FULL").outcome == NO_ANSWER


def test_a_service_has_gone_when_calls_are_lost_and_none_is_answered_for_long() -> None:
    silence = Silence()
    silence.heard(Tally(kinds=Counter(issued=1)), 0)
    silence.heard(Tally(kinds=Counter({"lost": 5, "hung up": 1})), 1)
    assert not silence.is_for_good(SECONDS_MAX - 1)
    assert silence.is_for_good(SECONDS_MAX)


def test_a_service_has_not_gone_when_it_answers_in_between_or_when_nobody_calls() -> None:
    answering, idle = Silence(), Silence()
    answering.heard(Tally(kinds=Counter(lost=5)), 0)
    answering.heard(Tally(kinds=Counter({"lost": 5, "sold out": 1})), SECONDS_MAX)
    idle.heard(Tally(), 0)
    assert not answering.is_for_good(SECONDS_MAX + 1)
    assert not idle.is_for_good(10 * SECONDS_MAX)


@pytest.mark.parametrize("body", ["{}", COUPON.replace("00Z", "00")])
def test_an_answer_that_is_not_the_contract_s_is_unreadable(body: str) -> None:
    with Server(answer("200 OK", body)) as server:
        line = server.caller().issue("id", Claim())
    assert (line.outcome, line.kind) == ("UNREADABLE", "unreadable")


def test_what_is_not_the_coupon_service_is_told_apart() -> None:
    with (
        Server(answer("200 OK", "hello")) as server,
        pytest.raises(CallFailed, match="does not answer as the coupon service does"),
    ):
        server.caller().create(name="n", coupon_limit=1, start_us=0)
