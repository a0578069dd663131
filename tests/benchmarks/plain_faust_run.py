"""Runs plain Faust (tests.benchmarks.plain_faust) from the moment events are there until all are counted."""

from __future__ import annotations

import asyncio
import time

import orjson
import polars as pl

from tests.benchmarks.bench import Bench, Run
from tests.benchmarks.processes import PATIENCE_S, child
from tests.benchmarks.recount import CELL, Recount, compare, frame_of

_POLL_S = 0.1
_TOPICS = ("raw", "terms")


async def run_plain_faust(bench: Bench, recount: Recount) -> Run:
    """One process on one core."""
    name = bench.name("faust")
    for topic in _TOPICS:
        await bench.broker.make_topic(f"{name}-{topic}")
    pairs = int(recount.plain_cells["events"].sum())
    log, variables = bench.log(name), {"BENCH_NAME": name, "BENCH_KAFKA": bench.broker.address}
    arguments = ["--datadir", bench.place / name, "worker", "--without-web", "-l", "warn"]
    async with child("tests.benchmarks.plain_faust", arguments, core=bench.core, log=log, variables=variables) as process:
        before = await process.says()
        begun = time.monotonic()
        await bench.broker.load(f"{name}-raw", recount.feed.events)
        while (done := await process.says())["pairs"] < pairs:
            if time.monotonic() > begun + PATIENCE_S:
                raise TimeoutError(f"plain Faust is at {done} of {pairs:,}: {process.end_of_log()}")
        seconds = time.monotonic() - begun
        compare("plain Faust", recount.plain_cells, await _counted(bench, name, pairs))
    await bench.broker.forget(name)
    return Run(
        events=len(recount.feed.events),
        seconds=seconds,
        peak_bytes=int(done["peak_bytes"]),
        cpu_s=done["cpu_s"] - before["cpu_s"],
    )


async def _counted(bench: Bench, name: str, changes: int) -> pl.DataFrame:
    """The last value of every cell in the changelog, which holds one change for each pair."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        last: dict[tuple[int, str], int] = {}
        seen = 0
        async for record in bench.broker.read(f"{name}-{name}-counts-changelog"):
            term, (start_s, _) = orjson.loads(record.key)
            last[int(start_s * 1_000), term] = orjson.loads(record.value)
            seen += 1
        if seen >= changes:
            return frame_of((start, term, events) for (start, term), events in last.items()).select(*CELL, "events")
        if time.monotonic() > deadline:
            raise TimeoutError(f"the changelog of plain Faust holds {seen:,} of {changes:,} changes")
        await asyncio.sleep(_POLL_S)
