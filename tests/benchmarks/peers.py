"""Runs what a user would otherwise take: Quix Streams, Bytewax, and ClickHouse alone, each as a process on the measured core."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import orjson
import polars as pl

from tests.benchmarks.bench import Bench, Run
from tests.benchmarks.broker import Broker
from tests.benchmarks.processes import PATIENCE_S, ROOT, child, cpu_s, peak_bytes
from tests.benchmarks.recount import Recount, compare, frame_of

HOME = ROOT / "build" / "peers"
PINS = Path(__file__).with_name("peers.txt")


def install_peers() -> str:
    """The interpreter of an environment with the peers, made from their pins; RuntimeError with the reason if that fails."""
    python, stamp = HOME / "bin" / "python", HOME / "installed"
    if stamp.exists() and stamp.read_bytes() == PINS.read_bytes():
        return str(python)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", "--require-hashes"]
    for command in ([sys.executable, "-m", "venv", "--clear", str(HOME)], [*pip, "-r", str(PINS)]):
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
        if done.returncode:
            raise RuntimeError(f"the peers cannot be installed: {done.stderr.strip()[-400:]}")
    stamp.write_bytes(PINS.read_bytes())
    return str(python)


async def run_quix(bench: Bench, recount: Recount) -> Run:
    """From the first event it meets until the last window is on the topic. The tail comes when all events are read."""
    name = bench.name("quix")
    for topic in ("raw", "counts"):
        await bench.broker.make_topic(f"{name}-{topic}")
    await bench.broker.load(f"{name}-raw", recount.feed.events)
    variables = {**_variables(bench, name), "BENCH_EVENTS": str(len(recount.feed.events)), "BENCH_STATE": str(bench.place / name)}
    async with child(
        "tests.benchmarks.quix_streams", [], core=bench.core, log=bench.log(name), python=install_peers(), variables=variables
    ) as process:
        first = await process.says()
        await process.says()
        await bench.broker.load(f"{name}-raw", recount.feed.tail)
        found, ended = await _counted(bench.broker, f"{name}-counts", recount)
        used, peak = cpu_s(process.pid) - first["cpu_s"], peak_bytes(process.pid)
    compare("Quix Streams", recount.plain_cells, found)
    await bench.broker.forget(name)
    return Run(events=len(recount.feed.events), seconds=ended - first["at_s"], peak_bytes=peak, cpu_s=used)


async def run_bytewax(bench: Bench, recount: Recount) -> Run:
    """From the first event it meets until the last window is on the topic."""
    name = bench.name("bytewax")
    for topic in ("raw", "counts"):
        await bench.broker.make_topic(f"{name}-{topic}")
    await bench.broker.load(f"{name}-raw", recount.feed.events)
    arguments = ["tests.benchmarks.bytewax_flow:flow"]
    async with child(
        "bytewax.run", arguments, core=bench.core, log=bench.log(name), python=install_peers(), variables=_variables(bench, name)
    ) as process:
        first = await process.says()
        found, ended = await _counted(bench.broker, f"{name}-counts", recount)
        last = await process.says()
    compare("Bytewax", recount.plain_cells, found)
    await bench.broker.forget(name)
    return Run(
        events=len(recount.feed.events),
        seconds=ended - first["at_s"],
        peak_bytes=int(last["peak_bytes"]),
        cpu_s=last["cpu_s"] - first["cpu_s"],
    )


async def run_clickhouse(bench: Bench, recount: Recount) -> Run:
    """The query alone: the file is in the page cache, and no topic is read or written."""
    name = bench.name("clickhouse")
    source, result = bench.place / f"{name}.ndjson", bench.place / f"{name}.arrow"
    source.write_bytes(b"\n".join(record.value for record in recount.feed.events))
    async with child("tests.benchmarks.clickhouse_alone", [source, result], core=bench.core, log=bench.log(name)) as process:
        done = await process.says()
    compare("ClickHouse alone", recount.plain_cells, pl.read_ipc_stream(result).cast({"window_start_ms": pl.Int64}))
    source.unlink()
    events = len(recount.feed.events)
    return Run(events=events, seconds=done["seconds"], peak_bytes=int(done["peak_bytes"]), cpu_s=done["cpu_s"])


def _variables(bench: Bench, name: str) -> dict[str, str]:
    return {"BENCH_NAME": name, "BENCH_KAFKA": bench.broker.address}


async def _counted(broker: Broker, topic: str, recount: Recount) -> tuple[pl.DataFrame, float]:
    """The cells on the topic when as many pairs are counted as there must be, and when that was."""
    pairs = int(recount.plain_cells["events"].sum())
    cells: list[tuple[int, str, int]] = []
    deadline = time.monotonic() + PATIENCE_S
    async for record in broker.follow(topic, deadline):
        value: dict[str, Any] = orjson.loads(record.value)
        cells.append((value["start"], record.key.decode().strip('"'), value["value"]))
        pairs -= value["value"]
        if pairs <= 0:
            break
    else:
        raise TimeoutError(f"{pairs:,} pairs are missing on {topic}")
    return frame_of(cells), time.monotonic()
