"""The parts that need no worker: cost per step, growth, rows into ClickHouse; each a process on the measured core."""

from __future__ import annotations

from typing import Any

from tests.benchmarks.bench import Bench
from tests.benchmarks.processes import child, pinned
from tests.clickhouse_server import ClickHouseServer

_ONE_THREAD = {"POLARS_MAX_THREADS": "1"}


async def cost_per_step(bench: Bench, events: int) -> dict[str, float]:
    """µs per event and step."""
    arguments = [events, *bench.recordings]
    log = bench.log("steps")
    async with child("tests.benchmarks.steps", arguments, core=bench.core, log=log, variables=_ONE_THREAD) as process:
        return await process.says()


async def growth(bench: Bench, ids: int, terms: int) -> list[dict[str, Any]]:
    """One line per size of ids, then of terms."""
    found = []
    log = bench.log("growth")
    async with child("tests.benchmarks.growth", [ids, terms], core=bench.core, log=log, variables=_ONE_THREAD) as process:
        while "done" not in (line := await process.says()):
            found.append(line)
    return found


async def store(bench: Bench, rows: int) -> dict[str, dict[str, Any]]:
    """Into a server over HTTP, which has a core of its own, and into the embedded engine, which has not."""
    server = ClickHouseServer(bench.place / "store-db")
    with pinned(bench.other):
        await server.start()
    try:
        http = await _stored(bench, "store-http", server.dsn(), rows)
    finally:
        await server.stop()
    return {"http": http, "embedded": await _stored(bench, "store-embedded", f"chdb://{bench.place}/embedded-db", rows)}


async def _stored(bench: Bench, name: str, dsn: str, rows: int) -> dict[str, Any]:
    arguments = [dsn, rows, *bench.recordings]
    async with child("tests.benchmarks.store_rows", arguments, core=bench.core, log=bench.log(name)) as process:
        done = await process.says()
    return {
        **done,
        "rows_per_s": done["rows"] / done["insert_s"],
        "with_conversion": done["rows"] / (done["insert_s"] + done["convert_s"]),
    }
