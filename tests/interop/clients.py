"""Every client, made when it is first asked for and kept for the run."""

import asyncio
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from interop import connectrpc_clients, google_clients, javascript
from interop.browser import Page, opened
from interop.calls import HEALTH, Call, Client
from interop.command_line_clients import BufCurl, Curl
from interop.lanes import Lane
from interop.tomorrow import BIN, Tomorrow
from interop.web_clients import Machine, WebClient, running_node


class Clients:
    """Every client of services whose URLs are given by server."""

    def __init__(self, urls: dict[str, str], page: Page, tomorrow: Tomorrow, folder: Path) -> None:
        self._urls = urls
        self._page = page
        self._tomorrow = tomorrow
        self._folder = folder
        self._made: dict[Lane, Client] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _exc_type: type[BaseException] | None,
        _exc_value: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    def get(self, lane: Lane) -> Client:
        """Return the client of a lane."""
        if lane not in self._made:
            self._made[lane] = self.make(lane, self._urls[lane.server])
        return self._made[lane]

    def make_all(self, lanes: Iterable[Lane]) -> None:
        """Make the clients of lanes and a call with each, after which no call takes long."""
        for lane in lanes:
            # Without npm's registry some cannot be made; their own tests tell so.
            with suppress(javascript.CannotInstall):
                self.get(lane).call(Call(rpc="Check", service=HEALTH))

    @property
    def page_script(self) -> bytes:
        """The program of the browser's page."""
        return self._bundles().page.read_bytes()

    def make(self, lane: Lane, url: str) -> Client:
        """Return a new client of a lane that leads to some URL."""
        match lane.client:
            case "curl":
                return Curl(url)
            case "buf curl" | "buf curl, reflection":
                schema = self._tomorrow.image if lane.client == "buf curl" else None
                return BufCurl(url, lane, schema=schema, cwd=self._folder)
            case "grpcio" | "grpcio aio":
                return self._grpcio(urlsplit(url).netloc, lane)
            case "connectrpc":
                return connectrpc_clients.ConnectRpcClient(url, lane, self._connectrpc)
            case "connectrpc async":
                return connectrpc_clients.ConnectRpcAsyncClient(
                    url, lane, self._connectrpc, self._runner
                )
            case _:
                return self._javascript(url, lane)

    def _grpcio(self, target: str, lane: Lane) -> Client:
        made: google_clients.GrpcClient | google_clients.GrpcAioClient
        if lane.client == "grpcio":
            made = google_clients.GrpcClient(target, self._google)
        else:
            made = google_clients.GrpcAioClient(target, self._google, self._runner)
        self._stack.callback(made.close)
        return made

    def _javascript(self, url: str, lane: Lane) -> Client:
        library, _, where = lane.client.partition(", ")
        return WebClient(url, lane, library, self._browser if where == "Chromium" else self._node)

    @cached_property
    def _runner(self) -> asyncio.Runner:
        return self._stack.enter_context(asyncio.Runner())

    @cached_property
    def _google(self) -> google_clients.Generated:
        return google_clients.Generated(self._tomorrow.generate_google(self._folder / "google"))

    @cached_property
    def _connectrpc(self) -> connectrpc_clients.Generated:
        plugins = ((str(BIN / name),) for name in ("protoc-gen-py", "protoc-gen-connectrpc"))
        return connectrpc_clients.Generated(
            self._tomorrow.generate(self._folder / "of_tomorrow", *plugins)
        )

    def _bundles(self) -> javascript.Bundles:
        if isinstance(self._bundled, javascript.CannotInstall):
            raise self._bundled
        return self._bundled

    @cached_property
    def _bundled(self) -> javascript.Bundles | javascript.CannotInstall:
        # What cannot be installed is not tried again for each test.
        try:
            return javascript.bundle(self._tomorrow, self._folder)
        except javascript.CannotInstall as error:
            return error

    @cached_property
    def _node(self) -> Machine:
        return self._stack.enter_context(running_node(self._bundles().node))

    @cached_property
    def _browser(self) -> Machine:
        self._page.script = self.page_script
        self._stack.enter_context(opened(f"{self._page.origin}/"))
        return self._page
