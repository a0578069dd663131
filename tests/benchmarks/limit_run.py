"""Runs the limit (tests.benchmarks.limit) as a process on its core."""

from __future__ import annotations

from tests.benchmarks.bench import Bench, Run
from tests.benchmarks.processes import child
from tests.benchmarks.recount import Recount, WrongCount


async def run_limit(bench: Bench, recount: Recount) -> Run:
    """Events and tail, read and decoded."""
    records = [*recount.feed.events, *recount.feed.tail]
    name = bench.name("limit")
    topic = await bench.broker.make_topic(name)
    await bench.broker.load(topic, records)
    arguments = [bench.broker.address, topic, len(records)]
    async with child("tests.benchmarks.limit", arguments, core=bench.core, log=bench.log(name)) as process:
        await process.says()
        done = await process.says()
    await bench.broker.forget(name)
    if done["bytes"] != (fed := sum(len(record.value) for record in records)):
        raise WrongCount(f"limit: {done['bytes']:,} bytes of {fed:,}")
    return Run(events=len(records), seconds=done["seconds"], peak_bytes=int(done["peak_bytes"]), cpu_s=done["cpu_s"])
