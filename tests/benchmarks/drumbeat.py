"""drumbeat itself: worker processes that run when the events are there, until their counts are where they belong.

A worker is started, warmed up with the first events, and frozen while the rest is loaded, so that neither its start nor the
loading is measured. `ingest` is done when the offset behind the last event is committed; `whole` when ClickHouse shows all windows.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext

import aiohttp
import polars as pl
from aiokafka.structs import ConsumerRecord

from agents.clickhouse import ClickHouse
from agents.local import free_port
from agents.settings import Settings
from schemas.packets import Packet, decode_packet, term_rows
from streams.partition import EVERYWHERE, partition_of
from tests.benchmarks.bench import Bench, Run
from tests.benchmarks.brands import BRANDS
from tests.benchmarks.broker import offsets
from tests.benchmarks.feed import PARTITIONS, RATE
from tests.benchmarks.processes import Child, child, cpu_s, peak_bytes, pinned, spread
from tests.benchmarks.recount import CELL, Recount, WrongCount, added, compare
from tests.clickhouse_server import ClickHouseServer
from tests.integration.logs import prepare

ALL = "ingest,detect,curate,store"
PARTIALS = 2
PATIENCE_S = 240.0
WARM_EVENTS = 2 * RATE  # two seconds of the log: every partition has cut a segment
_POLL_S = 0.1
_TAKEN = re.compile(r"source (\w+): (\d+) partitions in")


async def run_ingest(bench: Bench, recount: Recount) -> Run:
    """The ingest agent alone, one process on one core."""
    settings = bench.broker.settings(prefix=bench.name("ingest"), session_timeout_ms=bench.broker.session_ms)
    async with workers(bench, settings, "ingest", [bench.core]) as started:
        run = await _measured(bench, settings, started, recount, _committed)
    compare("drumbeat ingest", recount.cells, await _packed(bench, settings, recount))
    await bench.broker.forget(settings.prefix)
    return run


async def run_whole(bench: Bench, recount: Recount, cores: Sequence[int]) -> Run:
    """All agents in as many processes as cores, each pinned to its own, and ClickHouse in a process of its own.

    Beside one worker, broker and ClickHouse stay on the other core. Where workers have all cores they may run on any: on one of
    them they would hold up the worker that is there, and the others would wait for it.
    """
    name = bench.name("whole")
    async with clickhouse_server(bench, name) as server:
        settings = bench.broker.settings(prefix=name, clickhouse=server.dsn(), session_timeout_ms=bench.broker.session_ms)
        with spread() if len(cores) > 1 else nullcontext():
            run = await _until_stored(bench, settings, recount, cores)
    await bench.broker.forget(settings.prefix)
    return run


async def _until_stored(bench: Bench, settings: Settings, recount: Recount, cores: Sequence[int]) -> Run:
    clickhouse = ClickHouse.connect(settings.clickhouse)
    clickhouse.apply_migrations()
    async with workers(bench, settings, ALL, cores) as started:
        run = await _measured(bench, settings, started, recount, _stored)
        _compare_stored(clickhouse, recount)
    clickhouse.close()
    return run


@asynccontextmanager
async def workers(
    bench: Bench, settings: Settings, agents: str, cores: Sequence[int], module: str = "agents"
) -> AsyncIterator[list[Child]]:
    """Worker processes that own their shares of empty topics."""
    await prepare(settings, BRANDS, PARTITIONS)
    async with AsyncExitStack() as stack:
        started = []
        for number, core in enumerate(cores):
            log = bench.log(f"{settings.prefix}-worker{number}")
            listen = f"127.0.0.1:{free_port()}"
            environment = {
                "DRUMBEAT_KAFKA": settings.kafka,
                "DRUMBEAT_CLICKHOUSE": settings.clickhouse,
                "DRUMBEAT_PREFIX": settings.prefix,
                "DRUMBEAT_SESSION_TIMEOUT_MS": str(settings.session_timeout_ms),
                "DRUMBEAT_LISTEN": listen,
            }
            if len(cores) > 1:
                environment["POLARS_MAX_THREADS"] = "1"  # as deploy/SIZING.md says: there are as many workers as cores
            arguments = ["worker", "--agents", agents]
            worker = await stack.enter_async_context(child(module, arguments, core=core, log=log, variables=environment))
            await _ready(worker, f"http://{listen}/readyz")
            started.append(worker)
        await _shared(started)
        yield started


async def _ready(worker: Child, url: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    async with aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(url) as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            _check([worker])
            if time.monotonic() > deadline:
                raise TimeoutError(f"a worker is not ready: {worker.end_of_log()}")
            await asyncio.sleep(_POLL_S)


async def _shared(started: Sequence[Child]) -> None:
    """Returns when each worker owns as many raw partitions as any other."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        owned = [dict(_TAKEN.findall(worker.log.read_text())) for worker in started]
        if all(int(one.get("ingest", 0)) == PARTITIONS // len(started) for one in owned):
            return
        _check(started)
        if time.monotonic() > deadline:
            raise TimeoutError(f"partitions are not shared evenly: {owned}")
        await asyncio.sleep(_POLL_S)


Done = Callable[[Bench, Settings, Sequence[Child], Recount], Awaitable[float]]
"""Waits for the end; its monotonic time."""


async def _measured(bench: Bench, settings: Settings, started: Sequence[Child], recount: Recount, done: Done) -> Run:
    feed, raw = recount.feed, settings.topics.raw
    _ = recount.cells, recount.offsets  # counted before, not beside what is measured
    await bench.broker.load(raw, feed.events[:WARM_EVENTS])
    async with offsets(bench.broker, settings.group("ingest"), raw) as committed:
        await committed.reach([1] * PARTITIONS, lambda: _check(started), PATIENCE_S)
    for worker in started:
        worker.freeze()
    await bench.broker.load(raw, [*feed.events[WARM_EVENTS:], *feed.tail])
    before = sum(cpu_s(worker.pid) for worker in started)
    begun = time.monotonic()
    for worker in started:
        worker.go_on()
    ended = await done(bench, settings, started, recount)
    return Run(
        events=len(feed.events) - WARM_EVENTS,
        seconds=ended - begun,
        peak_bytes=sum(peak_bytes(worker.pid) for worker in started),
        cpu_s=sum(cpu_s(worker.pid) for worker in started) - before,
    )


async def _committed(bench: Bench, settings: Settings, started: Sequence[Child], recount: Recount) -> float:
    async with offsets(bench.broker, settings.group("ingest"), settings.topics.raw) as committed:
        return await committed.reach(recount.offsets, lambda: _check(started), PATIENCE_S)


async def _stored(bench: Bench, settings: Settings, started: Sequence[Child], recount: Recount) -> float:
    """When store had committed what ClickHouse then shows to be all; only a commit is a reason for the work of a question."""
    await _committed(bench, settings, started, recount)
    deadline, seen = time.monotonic() + PATIENCE_S, list[int]()
    clickhouse = ClickHouse.connect(settings.clickhouse)
    async with offsets(bench.broker, settings.group("store"), settings.topics.windows, PARTIALS) as committed:
        while True:
            now, ended = await committed.now(), time.monotonic()
            if now != seen and await asyncio.to_thread(_is_all_there, clickhouse, recount):
                clickhouse.close()
                return ended
            seen = now
            _check(started)
            if ended > deadline:
                raise TimeoutError(f"store is at {now}, and not all is there after {PATIENCE_S:.0f} s")
            await asyncio.sleep(_POLL_S)


def _is_all_there(clickhouse: ClickHouse, recount: Recount) -> bool:
    """Asks for the last window first, for sums over all of them only when it is there."""
    last = int(recount.cells["window_start_ms"].max())  # type: ignore[arg-type]
    before = {"before": recount.feed.end_ms, "last": last}

    def found(*queries: str) -> int:
        return sum(int(clickhouse.query(sql, before)["n"][0]) for sql in queries)

    if not found(_LAST) or found(_ALL_POSTS) < recount.cells.filter(pl.col("term") == EVERYWHERE)["events"].sum():
        return False
    return found(_STORED, _LEFT_OUT) >= recount.cells["events"].sum()


_BEFORE = "toUnixTimestamp64Milli(window_start) < {before:Int64}"
_LAST = f"SELECT count() AS n FROM windows WHERE term = '{EVERYWHERE}' AND window_start = fromUnixTimestamp64Milli({{last:Int64}})"
_ALL_POSTS = f"SELECT toInt64(sum(events)) AS n FROM windows_10s WHERE term = '{EVERYWHERE}' AND {_BEFORE}"
_COLUMNS = "toUnixTimestamp64Milli(window_start) AS window_start_ms, term, toInt64(events) AS events"
_CELLS = f"SELECT {_COLUMNS} FROM windows_10s WHERE {_BEFORE}"
_STORED = f"SELECT toInt64(sum(events)) AS n FROM windows_10s WHERE {_BEFORE}"
_LEFT_OUT = f"SELECT toInt64(sum(left_out_events)) AS n FROM window_totals FINAL WHERE {_BEFORE}"


def _compare_stored(clickhouse: ClickHouse, recount: Recount) -> None:
    """Every stored cell is right, and what is not stored was counted as left out."""
    before = {"before": recount.feed.end_ms}
    found = clickhouse.query(_CELLS, before).with_columns(pl.col("term").cast(pl.String))
    compare("drumbeat whole", recount.cells.join(found.select(CELL), on=CELL, how="semi"), found)
    left_out = int(clickhouse.query(_LEFT_OUT, before)["n"][0])
    missing = int(recount.cells["events"].sum()) - int(found["events"].sum())
    if missing != left_out:
        raise WrongCount(f"drumbeat whole: {missing:,} (post, term) pairs are not stored, {left_out:,} were told as left out")


async def _packed(bench: Bench, settings: Settings, recount: Recount) -> pl.DataFrame:
    """What the final packets count, each segment once, up to the last event."""
    seen: set[tuple[int, int, int]] = set()
    parts = []
    async for record in bench.broker.read(settings.topics.partials):
        packet = decode_packet(record.value)
        if packet.final:
            parts.append(_rows(packet, record, seen, recount.offsets))
    return added(parts)


def _rows(packet: Packet, record: ConsumerRecord, seen: set[tuple[int, int, int]], ends: Sequence[int]) -> pl.DataFrame:
    keys = [(record.partition, packet.source, segment.start) for segment in packet.segments]
    fresh = [
        number
        for number, (key, segment) in enumerate(zip(keys, packet.segments, strict=True))
        if key not in seen and segment.end <= ends[packet.source]
    ]
    seen.update(keys)
    owned = partition_of(EVERYWHERE, PARTIALS) == record.partition
    rows = term_rows(packet).filter(pl.col("segment").is_in(fresh))
    return (rows if owned else rows.filter(pl.col("term") != EVERYWHERE)).select(*CELL, "events")


@asynccontextmanager
async def clickhouse_server(bench: Bench, name: str) -> AsyncIterator[ClickHouseServer]:
    """ClickHouse, beside the broker."""
    server = ClickHouseServer(bench.place / f"{name}-db")
    with pinned(bench.other):
        await server.start()
    try:
        yield server
    finally:
        await server.stop()


def _check(started: Sequence[Child]) -> None:
    for worker in started:
        if worker.process.returncode is not None:
            raise RuntimeError(f"a worker ended with {worker.process.returncode}: {worker.end_of_log()}")
