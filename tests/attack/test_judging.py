"""What the attacks hold answers and log lines to: each kind of breach is seen as one."""

import json

import pytest

from loadtest.attack.answers import Answer, Exchange, NotHttp, read_answers
from loadtest.attack.judging import violation
from loadtest.attack.shots import Shot, Wanted, call, envelope

SENT = call("IssueCoupon", b"{}")


def error(code: str, message: str = "Something.", **more: object) -> bytes:
    return json.dumps({"code": code, "message": message, **more}).encode()


def judged(answer: Answer, wanted: Wanted = Wanted.CONNECT) -> str | None:
    shot = Shot(data=SENT.data, wanted=wanted)
    return violation(shot, Exchange(answers=[answer]))


GOOD = {
    "an answer": (Answer(status=200, headers={}, body=b"{}"), Wanted.CONNECT),
    "a refusal": (Answer(status=400, headers={}, body=error("invalid_argument")), Wanted.CONNECT),
    "an unknown type": (Answer(status=415, headers={}), Wanted.CONNECT),
    "not HTTP": (Answer(status=400, headers={}), Wanted.HTTP),
    "refused": (Answer(status=431, headers={}), Wanted.REFUSED),
    "gRPC": (Answer(status=200, headers={}, trailers={"grpc-status": "3"}), Wanted.GRPC),
    "gRPC-Web": (
        Answer(
            status=200,
            headers={"content-type": "application/grpc-web"},
            body=envelope(b"") + envelope(b"grpc-status: 0\r\n", flags=0x80),
        ),
        Wanted.GRPC_WEB,
    ),
}
BAD = {
    "no code": (Answer(status=400, headers={}, body=b"oops"), Wanted.CONNECT),
    "a code's wrong status": (
        Answer(status=401, headers={}, body=error("aborted")),
        Wanted.CONNECT,
    ),
    "a failure": (Answer(status=500, headers={}, body=error("internal")), Wanted.CONNECT),
    "a detail that is none": (
        Answer(status=400, headers={}, body=error("invalid_argument", details=[1])),
        Wanted.CONNECT,
    ),
    "a traceback": (
        Answer(status=400, headers={}, body=error("invalid_argument", "Traceback")),
        Wanted.CONNECT,
    ),
    "a class in a header": (Answer(status=200, headers={"x": "<class 'int'>"}), Wanted.CONNECT),
    "a failure of HTTP": (Answer(status=500, headers={}), Wanted.HTTP),
    "not refused": (Answer(status=200, headers={}), Wanted.REFUSED),
    "no gRPC status": (Answer(status=200, headers={}), Wanted.GRPC),
    "gRPC unknown": (Answer(status=200, headers={}, trailers={"grpc-status": "2"}), Wanted.GRPC),
    "gRPC internal error": (
        Answer(
            status=200,
            headers={},
            trailers={"grpc-status": "13", "grpc-message": "internal%20error"},
        ),
        Wanted.GRPC,
    ),
}


@pytest.mark.parametrize("case", GOOD.values(), ids=GOOD.keys())
def test_what_the_contract_allows_is_no_violation(case: tuple[Answer, Wanted]) -> None:
    assert judged(*case) is None


@pytest.mark.parametrize("case", BAD.values(), ids=BAD.keys())
def test_what_the_contract_does_not_allow_is_a_violation(case: tuple[Answer, Wanted]) -> None:
    assert judged(*case) is not None


def test_silence_is_a_violation_and_a_closed_connection_is_one_for_a_good_request() -> None:
    assert violation(SENT, Exchange(answers=[], is_over=False)) is not None
    assert violation(SENT, Exchange(answers=[], is_closed=True)) is not None
    noise = Shot(data=b"\0", wanted=Wanted.HTTP)
    assert violation(noise, Exchange(answers=[], is_closed=True)) is None


def test_a_second_answer_to_one_request_is_a_violation() -> None:
    answer = Answer(status=400, headers={}, body=error("invalid_argument"))
    assert violation(SENT, Exchange(answers=[answer, answer])) is not None


def test_answers_that_follow_one_another_are_read_one_by_one() -> None:
    data = (
        b"HTTP/1.1 100 Continue\r\n\r\n"
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
        b"HTTP/1.1 400 Bad\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx: y\r\n\r\n"
        b"HTTP/1.1 204 No Content\r\n\r\nHTTP/1."
    )
    answers, rest = read_answers(data, is_closed=False)
    assert [(each.status, each.body) for each in answers] == [
        (200, b"{}"),
        (400, b"abc"),
        (204, b""),
    ]
    assert rest == b"HTTP/1."


@pytest.mark.parametrize(
    "data", [b"SSH-2.0", b"HTTP/1.1 2000\r\n\r\n", b"HTTP/1.1 200\r\nx\r\n\r\n"]
)
def test_what_is_no_answer_of_http_is_told(data: bytes) -> None:
    with pytest.raises(NotHttp):
        read_answers(data, is_closed=True)
