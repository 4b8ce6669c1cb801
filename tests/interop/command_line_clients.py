"""curl and buf curl, run as a person runs them."""

import base64
import gzip
import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from google.protobuf.json_format import MessageToDict
from interop.calls import Call, NotMade, Refused, refused
from interop.google_clients import DETAILS
from interop.lanes import CURL, Lane
from interop.tomorrow import BIN

ENDS_WITHIN_SECONDS = 60
_BUF_PROTOCOLS = {"Connect": "connect", "gRPC-Web": "grpcweb", "gRPC": "grpc"}


class BufCurl:
    """buf curl; without a schema it asks the server for one, by reflection."""

    def __init__(self, url: str, lane: Lane, *, schema: Path | None, cwd: Path) -> None:
        self._url = url
        self._options = ["--protocol", _BUF_PROTOCOLS[lane.protocol]]
        if schema is not None:
            self._options += ["--schema", str(schema)]
        elif lane.protocol != "gRPC":
            self._options += ["--http2-prior-knowledge"]
        self._cwd = cwd

    def call(self, call: Call) -> dict[str, Any]:
        headers = ["-H", f"Authorization: {call.authorization}"] if call.authorization else []
        ended = subprocess.run(
            [
                *(str(BIN / "buf"), "curl", *self._options, *headers),
                *("--timeout", f"{call.timeout_ms}ms", "--data", json.dumps(call.fields)),
                f"{self._url}/{call.service}/{call.rpc}",
            ],
            capture_output=True,
            text=True,
            timeout=ENDS_WITHIN_SECONDS,
            check=False,
            cwd=self._cwd,
        )
        if ended.returncode:
            raise _buf_refused(ended)
        answer: dict[str, Any] = json.loads(ended.stdout)
        return answer


def _buf_refused(ended: "subprocess.CompletedProcess[str]") -> Refused:
    if not ended.stderr.startswith("{"):
        raise NotMade(ended.stderr.strip())
    error = json.loads(ended.stderr)
    return refused(error["code"], error["message"], _decoded(error.get("details", ())))


def _decoded(details: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for detail in details:
        message = DETAILS[detail["type"]]()
        # Connect leaves out the padding, which Python wants.
        message.ParseFromString(base64.b64decode(detail["value"] + "=="))
        yield detail["type"], MessageToDict(message)


class Curl:
    """curl, which sends and shows JSON as it stands in the README."""

    def __init__(self, url: str) -> None:
        self._url = url

    def call(self, call: Call) -> dict[str, Any]:
        body = json.dumps(call.fields).encode()
        url = f"{self._url}/{call.service}/{call.rpc}"
        headers = [f"connect-timeout-ms: {call.timeout_ms}"]
        if call.authorization:
            headers.append(f"authorization: {call.authorization}")
        if call.get:
            query = urlencode({"connect": "v1", "encoding": "json", "message": body.decode()})
            status, answer = run_curl(f"{url}?{query}", *headers)
        else:
            headers.append("content-type: application/json")
            if call.gzip:
                body = gzip.compress(body)
                headers.append("content-encoding: gzip")
            status, answer = run_curl(url, *headers, body=body)
        if status == 200:
            fields: dict[str, Any] = json.loads(answer)
            return fields
        raise _curl_refused(status, answer)


def run_curl(
    url: str, *headers: str, body: bytes | None = None, options: Sequence[str] = ()
) -> tuple[int, str]:
    """Run curl; return the HTTP status and what it printed.

    It POSTs if there is a body.
    """
    sending = [] if body is None else ["--data-binary", "@-"]
    for header in headers:
        sending += ["-H", header]
    ended = subprocess.run(
        [CURL, "-sS", "--max-time", "60", "-w", "\n%{http_code}", *options, *sending, url],
        input=body,
        capture_output=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr.decode()
    printed, _, status = ended.stdout.decode().rpartition("\n")
    return int(status), printed


def _curl_refused(status: int, body: str) -> Refused:
    assert body.startswith("{"), (status, body)
    error = json.loads(body)
    details = ((detail["type"], detail["debug"]) for detail in error.get("details", ()))
    return refused(error["code"], error["message"], details)
