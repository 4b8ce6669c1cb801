"""connect-web and connect-node, in whatever runs them."""

import itertools
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from interop.calls import Call, refused
from interop.javascript import NODE
from interop.lanes import Lane


class Machine(Protocol):
    """Something that performs commands."""

    def perform(self, command: dict[str, Any]) -> dict[str, Any]:
        """Return what came of a command."""


class WebClient:
    """A library of JavaScript in a machine that runs it."""

    def __init__(self, url: str, lane: Lane, library: str, machine: Machine) -> None:
        self._machine = machine
        self._transport: dict[str, Any] = {
            "library": library,
            "protocol": lane.protocol,
            "baseUrl": url,
        }
        if lane.protocol == "Connect":
            self._transport["useBinaryFormat"] = lane.codec == "binary"
        if library == "connect-node":
            self._transport["httpVersion"] = "2" if lane.server == "pyvoy" else "1.1"

    def call(self, call: Call) -> dict[str, Any]:
        transport = {**self._transport}
        if call.get:
            transport["useHttpGet"] = True
        if call.gzip:
            transport["compress"] = "gzip"
        outcome = self._machine.perform(
            {
                "transport": transport,
                "service": call.service,
                "rpc": call.rpc,
                "fields": dict(call.fields),
                "authorization": call.authorization,
                "timeoutMs": call.timeout_ms,
            }
        )
        if "error" in outcome:
            error = outcome["error"]
            raise refused(error["code"], error["message"], error["details"])
        answer: dict[str, Any] = outcome["answer"]
        return answer


class Node:
    """Node, running a program that performs commands."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self._numbers = itertools.count(1)

    def perform(self, command: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        number = next(self._numbers)
        self._process.stdin.write(json.dumps({**command, "number": number}) + "\n")
        self._process.stdin.flush()
        outcome: dict[str, Any] = {}
        # Of an earlier command that was given up, the outcome may come now.
        while outcome.get("number") != number:
            line = self._process.stdout.readline()
            assert line, f"Node has ended with status {self._process.wait()}"
            outcome = json.loads(line)
        return outcome


@contextmanager
def running_node(program: Path) -> Iterator[Node]:
    """Run Node until this is left."""
    with subprocess.Popen(
        [NODE, program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Node(process)
        finally:
            process.kill()
