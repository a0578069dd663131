"""The worker's own small web server: page, its events, metrics, health and, for an embedded ClickHouse, read-only questions.

On loopback it answers only to loopback names, so that no web page can reach it through a name of its own; a question also needs a
header that browsers do not send across origins without asking. Nothing here takes orders.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import ipaddress
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
import polars as pl
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from agents.page_feed import PageFeed
from agents.web_query import MAX_SQL_CHARS, check_read_only
from schemas.errors import ConfigurationError, DrumbeatError

PAGE = Path(__file__).with_name("page")
HEARTBEAT_S = 15.0  # proxies cut a silent connection after 30 to 60 s
RETRY_MS = 2_000
QUERY_HEADER = ("X-Drumbeat", "query")

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}

Health = Callable[[], tuple[bool, dict[str, Any]]]
Query = Callable[[str], pl.DataFrame]  # blocking; called in a thread
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Web:
    """Between `start` and `stop` it answers at `.url`; `query` is offered on loopback only."""

    def __init__(
        self, listen: str, registry: CollectorRegistry, live: Health, ready: Health, feed: PageFeed, *, query: Query | None = None
    ):
        self._host, self._port = parse_listen(listen)
        self._registry, self._live, self._ready, self._feed = registry, live, ready, feed
        self._query = query if is_loopback(self._host) else None
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def start(self) -> None:
        """Listen; raises ConfigurationError if the address cannot be had."""
        app = web.Application(middlewares=[self._guard], client_max_size=4 * MAX_SQL_CHARS)
        app.router.add_get("/", functools.partial(_file, "index.html"))
        for name in ("app.js", "chart.js", "style.css", "icon.svg"):
            app.router.add_get(f"/static/{name}", functools.partial(_file, name))
        app.router.add_get("/api/state", self._state)
        app.router.add_get("/events", self._events)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/livez", functools.partial(_health, self._live))
        app.router.add_get("/readyz", functools.partial(_health, self._ready))
        if self._query is not None:
            app.router.add_post("/query", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host or None, self._port).start()
        except OSError as error:
            await self._runner.cleanup()
            raise ConfigurationError(f"cannot listen on {self._host}:{self._port}: {error.strerror or error}") from error
        self.url = _url(self._runner.addresses[0])

    async def stop(self) -> None:
        """Answer nothing more. Stop the feed first: it lets go of browsers that listen to events."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if is_loopback(self._host) and not is_loopback(_host_name(request.headers.get("Host", ""))):
            response: web.StreamResponse = web.Response(status=403, text="ask by a loopback name: localhost or 127.0.0.1\n")
        else:
            try:
                response = await handler(request)
            except web.HTTPException as error:
                response = web.Response(status=error.status, text=f"{error.status} {error.reason}\n")
        if not response.prepared:
            response.headers.update(HEADERS)
        return response

    async def _state(self, _: web.Request) -> web.Response:
        return web.Response(body=self._feed.snapshot(), content_type="application/json")

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _events(self, request: web.Request) -> web.StreamResponse:
        async with self._feed.subscribe() as subscription:
            if subscription is None:
                return web.Response(status=503, text="too many pages are open\n")
            response = web.StreamResponse(headers={**HEADERS, "Content-Type": "text/event-stream"})
            await response.prepare(request)
            await response.write(b"retry: %d\n\n" % RETRY_MS)
            with contextlib.suppress(ConnectionError):  # the browser left
                await _send_all(response, subscription.queue)
            return response

    async def _answer(self, request: web.Request) -> web.Response:
        assert self._query is not None
        name, value = QUERY_HEADER
        if request.headers.get(name) != value:
            return web.Response(status=403, text=f"a question needs the header {name}: {value}\n")
        try:
            sql = check_read_only(await request.text())
            frame = await asyncio.to_thread(self._query, sql)
        except web.HTTPException:
            raise
        except Exception as error:  # whatever ClickHouse says of somebody's SQL is the answer, and stops nothing
            status = 503 if isinstance(error, DrumbeatError) and error.retriable else 400
            return web.Response(status=status, text=f"{error}\n")
        columns = {name: frame[name].to_list() for name in frame.columns}
        return web.Response(body=orjson.dumps(columns, default=str), content_type="application/json")


async def _send_all(response: web.StreamResponse, queue: asyncio.Queue[tuple[str, bytes] | None]) -> None:
    while True:
        try:
            message = await asyncio.wait_for(queue.get(), HEARTBEAT_S)
        except TimeoutError:
            await response.write(b": still here\n\n")
            continue
        if message is None:
            return
        await response.write(b"event: %s\ndata: %s\n\n" % (message[0].encode(), message[1]))


async def _file(name: str, _: web.Request) -> web.StreamResponse:
    return web.FileResponse(PAGE / name)


async def _health(check: Health, _: web.Request) -> web.Response:
    good, report = check()
    return web.Response(status=200 if good else 503, body=orjson.dumps(report, default=str), content_type="application/json")


def parse_listen(listen: str) -> tuple[str, int]:
    """Host and port of "host:port", "[::1]:port" or ":port" (all interfaces); raises ConfigurationError."""
    host, colon, port = listen.rpartition(":")
    if not colon or not port.isascii() or not port.isdecimal() or int(port) > 65_535:
        raise ConfigurationError(f"listen address {listen!r}: expected host:port, port 0 for a free one")
    return host.removeprefix("[").removesuffix("]"), int(port)


def is_loopback(host: str) -> bool:
    """Whether only this machine can mean this address."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _host_name(header: str) -> str:
    """The name in a Host header, without port."""
    if header.startswith("["):
        return header[1:].partition("]")[0]
    return header.partition(":")[0]


def _url(address: tuple[str, int] | tuple[str, int, int, int]) -> str:
    host, port = address[0], address[1]
    shown = {"0.0.0.0": "127.0.0.1", "::": "127.0.0.1"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"
