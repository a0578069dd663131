"""`drumbeat verify` finds nothing where all is right, also while posts come in, and exactly what somebody changed."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agents.cli import exits
from agents.clickhouse import ClickHouse
from agents.local import with_parent
from agents.settings import Settings
from tests.integration.conftest import Deploy
from tests.integration.logs import prepare, send
from tests.integration.outcome import drained
from tests.integration.stream import BRANDS, MINUTES, PARTITIONS, START_MS, Cell, Message, live, live_post, make_stream, recount
from tests.integration.worker import ROOT, Worker, stores, until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(400)]

STREAM, BROKEN = make_stream(7)
COUNTED = recount(STREAM, Settings().lateness_ms)
END_MS = START_MS + MINUTES * 60_000


async def verified(
    settings: Settings, worker: Worker | None, *options: str, **more: object
) -> tuple[int, list[dict[str, Any]], dict[str, Any]]:
    """Exit code, differences and summary of the command."""
    listen = worker.url.removeprefix("http://") if worker is not None else "127.0.0.1:1"
    variables = {"DRUMBEAT_KAFKA": settings.kafka, "DRUMBEAT_CLICKHOUSE": settings.clickhouse, "DRUMBEAT_LISTEN": listen}
    variables |= {"DRUMBEAT_PREFIX": settings.prefix, **{f"DRUMBEAT_{name.upper()}": str(value) for name, value in more.items()}}
    command = [sys.executable, "-m", "agents", "verify", "--json", *options]
    process = await asyncio.create_subprocess_exec(
        *with_parent(command, variables), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, cwd=ROOT
    )
    out, err = await process.communicate()
    assert out, err.decode()
    *rows, last = [json.loads(line) for line in out.splitlines()]
    print(err.decode(), last)  # noqa: T201 - pytest shows it if the test fails
    assert process.returncode is not None
    return process.returncode, rows, last["summary"]


async def test_verify_finds_nothing_in_a_stream_and_exactly_what_was_changed_in_the_tables(
    broker: str, deploy: Deploy, place: Path
) -> None:
    settings = deploy(broker)
    await prepare(settings, BRANDS, PARTITIONS)
    await send(settings, STREAM)
    async with (
        Worker(settings, place / "worker.log", agents="detect,curate,store") as worker,
        Worker(settings, place / "ingest.log", agents="ingest") as ingesting,
    ):
        await drained(settings, worker, COUNTED.posts, END_MS)
        code, rows, summary = await verified(settings, worker)
        assert (code, rows) == (exits.OK, [])
        assert summary["records"] >= len(STREAM) - 100
        assert summary["open_windows"] == summary["in_motion"] == 0
        assert summary["compared"] > 1_000
        assert summary["mentions"] == len(COUNTED.mentioned)
        assert summary["dead_letters"] == BROKEN.total()
        assert await ingesting.terminate() == 0  # it says again and again that it is idle, and what it says last is to be read too
        await drained(settings, worker, COUNTED.posts, END_MS)
        assert await worker.terminate() == 0
    code, rows, summary = await verified(settings, None, "--wait", "0")
    assert (code, rows) == (exits.OK, [])
    assert summary["compared"] > 1_000

    changed, gone, rare = _cells(settings)
    await asyncio.to_thread(_spoil, settings, changed, gone, rare)
    code, rows, summary = await verified(settings, None, "--wait", "0")
    assert code == exits.NOT_SO
    expected = {(changed, 3), (gone, -COUNTED.cells[gone]), (rare, -COUNTED.cells[rare])}
    assert {(Cell(row["term"], row["window_start_ms"]), row["difference"]) for row in rows if "term" in row} == expected
    assert summary["different"] == 3
    what = sorted((row["what"], row["says"]) for row in rows if "what" in row)
    assert what == [
        ("alert", "is stored with another body"),
        ("dead letter", "is not stored (empty)"),
        ("mention", "is not stored"),
    ]
    code, rows, _ = await verified(settings, None, "--wait", "0", "--kind", "all")
    assert [row["term"] for row in rows if "term" in row] == [changed.term] * (changed.term == "all:posts")


def _cells(settings: Settings) -> tuple[Cell, Cell, Cell]:
    """A count of all posts, one of a brand, and one of a term that nobody watches."""
    common = [(n, cell) for cell, n in COUNTED.in_time.items() if n >= settings.min_support and n == COUNTED.cells[cell]]
    brand = max(pair for pair in common if pair[1].term == "brand:acme")[1]
    return Cell("all:posts", START_MS + 600_000), brand, max(pair for pair in common if pair[1].term.startswith("keyword:"))[1]


def _spoil(settings: Settings, changed: Cell, gone: Cell, rare: Cell) -> None:
    at = "term = '{0.term}' AND toUnixTimestamp64Milli(window_start) = {0.window_start_ms} AND position(part, '/') = 0"
    columns = "* REPLACE (version + 1 AS version, events + 3 AS events)"
    body = "* REPLACE (concat(event, ' ') AS event, inserted_at + 1 AS inserted_at)"
    clickhouse = ClickHouse.connect(settings.clickhouse)
    try:
        clickhouse.command(f"INSERT INTO windows SELECT {columns} FROM windows FINAL WHERE {at.format(changed)}")
        for cell in (gone, rare):
            clickhouse.command(f"DELETE FROM windows WHERE {at.format(cell)}")
        post = clickhouse.query("SELECT min(post_id) AS post FROM mentions FINAL")["post"][0]
        clickhouse.command(f"DELETE FROM mentions WHERE post_id = '{post}'")
        letter = clickhouse.query("SELECT min(source_offset) AS place FROM dead_letters FINAL WHERE reason = 'empty'")["place"][0]
        clickhouse.command(f"DELETE FROM dead_letters WHERE reason = 'empty' AND source_offset = {letter}")
        clickhouse.command(f"INSERT INTO moments SELECT {body} FROM moments FINAL ORDER BY moment_id, sequence LIMIT 1")
    finally:
        clickhouse.close()


async def test_verify_finds_nothing_while_posts_come_in(tansu: str, deploy: Deploy, place: Path) -> None:
    settings = replace(deploy(tansu), lateness_ms=2_000)
    await prepare(settings, BRANDS, PARTITIONS + 2)  # one partition holds a single old post, one nothing
    await send(settings, [Message(PARTITIONS, b"?", live_post("old", "acme once"), START_MS)])
    async with Worker(settings, place / "worker.log") as worker:
        stop = asyncio.Event()
        feeding = asyncio.create_task(_feed(settings, stop))
        try:
            await until(stores(worker, "all:posts", 500), "live posts are stored", worker)
            code, rows, summary = await verified(settings, worker, lateness_ms=2_000)
        finally:
            stop.set()
            await feeding
        assert (code, rows) == (exits.OK, [])
        assert summary["compared"] > 20
        assert summary["open_windows"] < 10, "quiet partitions do not hold back what is compared"
        assert await worker.terminate() == 0


async def _feed(settings: Settings, stop: asyncio.Event) -> None:
    """Posts of now, some of long ago, some twice, until told to stop."""
    numbers = itertools.count()
    while not stop.is_set():
        values = []
        for number in itertools.islice(numbers, 40):
            late = {"created_ms": START_MS} if number % 20 == 0 else {}
            post = live_post(f"p{number}", f"acme word{number % 7} word{number % 300}", **late)
            values += [post] * (PARTITIONS + 1 if number % 15 == 0 else 1)  # the last of these is a copy in the same partition
        await send(settings, live(values, PARTITIONS))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), 0.2)
