"""The web server shows what is there, takes no orders, and cannot be reached through another page's name."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import polars as pl
import pytest
from prometheus_client import CollectorRegistry, Counter

from agents.page_feed import QUEUE, PageFeed
from agents.settings import Settings
from agents.web import PAGE, Web, is_loopback, parse_listen
from agents.web_query import check_read_only
from schemas.errors import ConfigurationError, SinkUnavailable
from schemas.moments import encode_moment
from schemas.windows import WINDOW_MS, encode_windows
from tests.agents.page_records import START_MS, batch, moment

QUESTION = {"X-Drumbeat": "query"}


def _answer(sql: str) -> pl.DataFrame:
    if "broken" in sql:
        raise RuntimeError("Unknown identifier broken")
    if "away" in sql:
        raise SinkUnavailable("ClickHouse is away")
    return pl.DataFrame({"sql": [sql], "n": [1]})


class Running:
    """A web server without a broker, and what its health callables answer."""

    def __init__(self, listen: str = "127.0.0.1:0", *, with_query: bool = True) -> None:
        self.registry = CollectorRegistry()
        self.feed = PageFeed(Settings())
        self.ready: tuple[bool, dict[str, Any]] = (False, {"why": "starting"})
        self.web = Web(
            listen, self.registry, lambda: (True, {"up": 1}), lambda: self.ready, self.feed, query=_answer if with_query else None
        )

    def get(self, path: str, **options: Any) -> Any:
        return self.session.get(self.web.url + path, **options)

    def post(self, path: str, **options: Any) -> Any:
        return self.session.post(self.web.url + path, **options)

    async def __aenter__(self) -> Running:
        await self.web.start()
        self.session = aiohttp.ClientSession()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.session.close()
        await self.feed.stop()
        await self.web.stop()


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    async with Running() as one:
        yield one


@pytest.mark.parametrize("path", ["/", "/static/app.js", "/static/chart.js", "/static/style.css", "/static/icon.svg"])
async def test_the_page_needs_nothing_from_elsewhere_and_runs_no_inline_script(running: Running, path: str) -> None:
    async with running.get(path) as response:
        text = await response.text()
        assert response.status == 200
        assert "script-src 'self'" in response.headers["Content-Security-Policy"]
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Referrer-Policy"] == "no-referrer"
    assert not re.search(r"(src|href)=[\"']?(https?:)?//", text)
    assert "innerHTML" not in text
    assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+=|<style|\sstyle=", text)


def test_every_file_that_the_page_names_is_served() -> None:
    named = set(re.findall(r"/static/([\w.]+)", "".join(path.read_text() for path in Path(PAGE).iterdir())))
    assert named == {path.name for path in Path(PAGE).iterdir()} - {"index.html"}


async def test_health_says_no_with_503_and_yes_with_200(running: Running) -> None:
    async with running.get("/readyz") as response:
        assert (response.status, await response.json()) == (503, {"why": "starting"})
    running.ready = (True, {"lag": 0})
    async with running.get("/readyz") as response:
        assert (response.status, await response.json()) == (200, {"lag": 0})
    async with running.get("/livez") as response:
        assert (response.status, await response.json()) == (200, {"up": 1})


async def test_metrics_are_those_of_the_given_registry(running: Running) -> None:
    Counter("beats_total", "", registry=running.registry).inc(3)
    async with running.get("/metrics") as response:
        assert "beats_total 3.0" in await response.text()


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "", "[fe80::1]:80"])
@pytest.mark.parametrize("path", ["/", "/api/state", "/metrics", "/events"])
async def test_a_loopback_server_is_not_there_for_other_names(running: Running, host: str, path: str) -> None:
    async with running.get(path, headers={"Host": host}) as response:
        assert response.status == 403


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:6066", "127.0.0.1:1", "[::1]:6066"])
async def test_loopback_names_are_welcome(running: Running, host: str) -> None:
    async with running.get("/api/state", headers={"Host": host}) as response:
        assert response.status == 200


async def test_a_moment_reaches_an_open_page_at_once(running: Running) -> None:
    async with running.get("/events") as response:
        assert response.headers["Content-Type"] == "text/event-stream"
        messages = _messages(response.content)
        assert (await anext(messages))[0] == "state"
        running.feed.apply_moment(encode_moment(moment(7)))
        name, body = await anext(messages)
        assert (name, body["moment_id"], body["why"]) == ("moment", "m7", "It rose.")
    async with running.get("/api/state") as response:
        assert [shown["moment_id"] for shown in (await response.json())["moments"]] == ["m7"]


async def test_a_page_that_does_not_keep_up_is_let_go_and_the_others_stay() -> None:
    feed = PageFeed(Settings())
    async with feed.subscribe() as slow, feed.subscribe() as quick:
        assert slow is not None
        assert quick is not None
        for number in range(QUEUE + 5):
            feed.apply_moment(encode_moment(moment(number)))
            while not quick.queue.empty():
                assert quick.queue.get_nowait() is not None
        assert slow.dropped
        assert slow.queue.get_nowait() is None
        assert not quick.dropped


async def test_bytes_that_are_no_record_are_counted_and_change_nothing() -> None:
    feed = PageFeed(Settings())
    feed.take(feed.apply_moment, b"{}")
    feed.take(feed.apply_windows, b"\xff")
    assert orjson.loads(feed.snapshot())["moments"] == []
    assert feed.skipped == 2


async def test_a_question_comes_back_as_columns(running: Running) -> None:
    async with running.post("/query", data="SELECT 1;", headers=QUESTION) as response:
        assert (response.status, await response.json()) == (200, {"sql": ["SELECT 1"], "n": [1]})


@pytest.mark.parametrize(
    ("sql", "headers", "status"),
    [
        ("SELECT 1", {}, 403),  # what a form on another page could send
        ("SELECT 1", QUESTION | {"Host": "evil.example"}, 403),
        ("DROP TABLE windows", QUESTION, 400),
        ("SELECT broken", QUESTION, 400),
        ("SELECT away", QUESTION, 503),
        ("SELECT '" + "x" * 30_000 + "'", QUESTION, 400),
        ("SELECT '" + "x" * 300_000 + "'", QUESTION, 413),
    ],
)
async def test_a_question_without_the_header_or_that_is_no_question_is_refused(
    running: Running, sql: str, headers: dict[str, str], status: int
) -> None:
    async with running.post("/query", data=sql, headers=headers) as response:
        assert response.status == status


async def test_questions_are_not_taken_where_there_is_nothing_to_ask_or_others_could_reach_it() -> None:
    async with Running(with_query=False) as one, one.post("/query", data="SELECT 1", headers=QUESTION) as response:
        assert response.status == 404
    async with Running("0.0.0.0:0") as one, one.post("/query", data="SELECT 1", headers=QUESTION) as response:
        assert response.status == 404


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1",
        "select term, sum(events) AS n FROM windows FINAL GROUP BY term ORDER BY n DESC LIMIT 10;",
        "WITH x AS (SELECT 1) SELECT * FROM x",
        "(SELECT 1) UNION ALL (SELECT 2)",
        "SHOW TABLES",
        "SELECT 'it''s; insert into x' AS a -- don't worry\n",
        "SELECT \"term\" FROM windows WHERE term = 'brand:kestrel' /* it's */ AND 1",
        "SELECT * FROM system.settings",
        "SELECT 'a\\'b', format('{}', term) FROM windows",
    ],
)
def test_statements_that_read_are_taken(sql: str) -> None:
    assert check_read_only(sql) == sql.strip().removesuffix(";")


@pytest.mark.parametrize(
    "sql",
    [
        "",
        "DROP TABLE windows",
        "INSERT INTO windows VALUES (1)",
        "SELECT 1; DROP TABLE windows",
        "SELECT * FROM file('/etc/passwd')",
        "SELECT * FROM `file`('/etc/passwd')",
        "SELECT * FROM \"url\" ('http://evil.example')",
        "SELECT 1 -- it's \n INTO OUTFILE 'x'",
        "SELECT $$'$$ INTO OUTFILE 'x'",
        "SELECT ‘'’ INTO OUTFILE 'x'",
        "WITH x AS (SELECT 1) INSERT INTO y SELECT * FROM x",
        "SELECT 1 INTO  OUTFILE '/tmp/x'",
        "SELECT 1 SETTINGS readonly = 0",
        "SELECT 1 /* never closed",
        "SELECT 'never closed",
        "SELECT sleep(3)",
    ],
)
def test_statements_that_could_do_more_than_read_are_refused(sql: str) -> None:
    with pytest.raises(ConfigurationError):
        check_read_only(sql)


@pytest.mark.parametrize(
    ("listen", "expected"),
    [("127.0.0.1:6066", ("127.0.0.1", 6066)), ("[::1]:0", ("::1", 0)), (":80", ("", 80)), ("localhost:1", ("localhost", 1))],
)
def test_a_listen_address_is_host_and_port(listen: str, expected: tuple[str, int]) -> None:
    assert parse_listen(listen) == expected


@pytest.mark.parametrize("listen", ["", "6066", "host:", "host:x", "host:70000", "host:-1"])
def test_another_listen_address_is_refused(listen: str) -> None:
    with pytest.raises(ConfigurationError, match="expected host:port"):
        parse_listen(listen)


def test_only_this_machine_is_loopback() -> None:
    assert [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "127.9.9.9")] == [True] * 4
    assert [is_loopback(host) for host in ("", "0.0.0.0", "10.0.0.1", "example.org", "::")] == [False] * 5


async def test_a_taken_port_is_a_configuration_error_that_names_it(running: Running) -> None:
    taken = running.web.url.removeprefix("http://")
    other = Web(taken, CollectorRegistry(), lambda: (True, {}), lambda: (True, {}), running.feed)
    with pytest.raises(ConfigurationError, match=taken):
        await other.start()


async def _messages(stream: aiohttp.StreamReader) -> AsyncIterator[tuple[str, Any]]:
    name = ""
    while True:
        line = (await asyncio.wait_for(stream.readline(), 10)).decode().rstrip("\n")
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, orjson.loads(line.removeprefix("data: "))


async def test_windows_wait_as_they_came_until_somebody_looks_and_the_oldest_of_too_many_are_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    feed = PageFeed(Settings())
    records = [encode_windows(batch((START_MS + n * WINDOW_MS, "all:posts", "0", 1, n + 1))) for n in range(4)]
    monkeypatch.setattr("agents.page_feed.WAITING_BYTES", sum(map(len, records[1:])))
    for record in records:
        feed.apply_windows(record)
    assert feed.used()["page_cells"] == 0
    assert feed.used()["page_waiting_bytes"] == sum(map(len, records[1:]))
    async with feed.subscribe() as browser:
        assert browser is not None
        assert feed.used()["page_cells"] == 3
        feed.apply_windows(encode_windows(batch((START_MS + 4 * WINDOW_MS, "all:posts", "0", 1, 5))))
        assert feed.used()["page_cells"] == 4


async def test_the_page_is_looked_at_while_a_browser_is_there_and_for_a_while_after_somebody_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    feed = PageFeed(Settings())
    feed.observe_open({"brand:kestrel": 3})
    assert not feed.is_looked_at
    feed.snapshot()
    assert feed.is_looked_at
    monkeypatch.setattr("agents.page_feed.LOOKED_AT_S", 0.0)
    assert not feed.is_looked_at
    async with feed.subscribe():
        assert feed.is_looked_at
    assert not feed.is_looked_at
