"""How long a record takes, at a steady rate: until detect has counted it, until a surge is an alert, until rows are in ClickHouse.

Times run from the record's timestamp, which is when it was due to be sent; a producer that falls behind makes them longer, not
shorter. Surges are hashtags that nobody used before, in 4 % of the posts for 4 s each; one begins in every second, at no particular
part of it. One *crosses the threshold* with the record
that brings it to as many events as the detector asks of a term in a stream of this size (`threshold`); the alert is timed when it
is read from social.moments. Windows are due 10 s + lateness after their start.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.structs import OffsetAndMetadata

from agents.clickhouse import ClickHouse
from agents.settings import Settings
from schemas.moments import decode_moment
from schemas.windows import WINDOW_MS
from streams.surge_params import SurgeParams
from tests.benchmarks import drumbeat, history
from tests.benchmarks.bench import Bench
from tests.benchmarks.brands import BRANDS
from tests.benchmarks.feed import PARTITIONS, Maker, Record
from tests.benchmarks.paced import Pace, send_paced
from tests.benchmarks.processes import Child
from tests.benchmarks.recount import WrongCount
from tests.integration.logs import prepare

FIRST_SURGE_S, SURGE_S, SURGE_EVERY = 5, 4, 25
FEWEST = 3.0  # events of a term in 10 s; far below `threshold`: with no past of its own, all that is usual would look new
SETTLE_S = 120.0  # for the past, and for what is under way at the end
_TERMS_PER_POST = 8.5
_GOLDEN = 0.618034  # its multiples fill a second evenly
_POLL_S = 0.1
_MAKING_S = 30e-6  # to make an event, on a slow machine


@dataclass
class Seen:
    """What came out, and when (wall clock, ms)."""

    counted: list[tuple[int, int, int, float]] = field(default_factory=list)  # detect partition, source, end, time
    applying_ms: list[float] = field(default_factory=list)  # what detect computed for each packet
    alerts: dict[str, float] = field(default_factory=dict)  # by term
    mentions: dict[str, float] = field(default_factory=dict)  # by post: delay
    windows: dict[int, float] = field(default_factory=dict)  # by start


async def run_latency(bench: Bench, rate: float, seconds: int) -> dict[str, Any]:
    """Percentiles in ms."""
    name = bench.name("latency")
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(drumbeat.clickhouse_server(bench, name))
        settings = bench.broker.settings(prefix=name, clickhouse=server.dsn())
        ClickHouse.connect(settings.clickhouse).apply_migrations()
        await prepare(settings, BRANDS, PARTITIONS)
        await _tell_the_past(bench, settings, rate)
        started = await stack.enter_async_context(
            drumbeat.workers(bench, settings, drumbeat.ALL, [bench.core], "tests.benchmarks.told_worker")
        )
        seen = Seen()
        works = _counted(started[0], seen), _alerts(settings, seen), _rows(settings, seen, int(time.time() * 1_000))
        watching = [asyncio.create_task(work) for work in works]
        try:
            await _settled(seen, [], {}, watching)
            seen.applying_ms.clear()  # of the past
            start_ms = int((time.time() + rate * seconds * _MAKING_S) * 1_000) + 1_000
            records = await asyncio.to_thread(_events, bench, rate, seconds, start_ms)
            pace = await send_paced(settings, records)
            crossed = _crossings(records, threshold(rate))
            await _settled(seen, records, crossed, watching)
        finally:
            for task in watching:
                task.cancel()
            await asyncio.gather(*watching, return_exceptions=True)
    await bench.broker.forget(name)
    return _report(records, seen, pace, crossed, rate)


def threshold(rate: float) -> int:
    """Events of a new term within 10 s that the detector asks for at this rate."""
    params = SurgeParams()
    volume = rate * WINDOW_MS / 1_000 * _TERMS_PER_POST / drumbeat.PARTIALS
    return math.ceil(max(params.support[0], params.support_root * math.sqrt(volume)))


def percentiles(values: Sequence[float] | np.ndarray[Any, Any]) -> dict[str, float]:
    """p50, p99, p99.9 and the largest, and of how many."""
    if not len(values):
        return {"n": 0}
    p50, p99, p999 = (float(one) for one in np.percentile(values, [50, 99, 99.9]))
    return {"n": len(values), "p50": p50, "p99": p99, "p99.9": p999, "max": float(np.max(values))}


def _tag(surge: int) -> str:
    return f"surge{''.join(chr(97 + int(digit)) for digit in f'{surge:04}')}"


def _events(bench: Bench, rate: float, seconds: int, start_ms: int) -> list[Record]:
    """Posts at a steady rate, a surge a second."""
    maker = Maker(bench.corpus, seed=9)
    records = []
    for number in range(int(rate * seconds)):
        second = number / rate
        surge = surge_of(number % SURGE_EVERY, second, seconds)
        at_ms = start_ms + int(second * 1_000)
        records.append(maker.event(at_ms) if surge is None else maker.event(at_ms, f" #{_tag(surge)}"))
    return records


def surge_of(place: int, second: float, seconds: int) -> int | None:
    """The surge that a post belongs to, if any: of 25 in a row each of the first five serves one surge in five.

    A surge begins anywhere within its second: what crosses the threshold right before a second ends is told soonest.
    """
    if place > SURGE_S:
        return None
    slot = int(second) - FIRST_SURGE_S
    surge = slot - (slot - place) % (SURGE_S + 1)
    begun = FIRST_SURGE_S + surge + surge * _GOLDEN % 1
    is_planted = 0 <= surge < seconds - SURGE_S - 2 - FIRST_SURGE_S
    return surge if is_planted and begun <= second < begun + SURGE_S else None


async def _tell_the_past(bench: Bench, settings: Settings, rate: float) -> None:
    """The raw topic holds as many records as the past tells of, committed; the past is on social.partials."""
    topics = settings.topics
    maker, now_ms = Maker(bench.corpus, seed=8), int(time.time() * 1_000)
    end_ms = now_ms - now_ms % WINDOW_MS
    first_ms = end_ms - history.WINDOWS * WINDOW_MS
    old = [maker.tail(p, first_ms + number * WINDOW_MS) for number in range(history.WINDOWS) for p in range(PARTITIONS)]
    await bench.broker.load(topics.raw, old)
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka, acks="all", max_request_size=2**25)
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka, group_id=settings.group("ingest"), enable_auto_commit=False)
    async with producer, consumer:
        window = int(rate * WINDOW_MS / 1_000)  # events: as many as those whose counts are told
        for partition, packet in history.past(bench.corpus, rate, end_ms, drumbeat.PARTIALS, FEWEST, window):
            await producer.send(topics.partials, packet, partition=partition)
        await producer.flush()
        partitions = [TopicPartition(topics.raw, number) for number in range(PARTITIONS)]
        consumer.assign(partitions)
        await consumer.commit({tp: OffsetAndMetadata(history.WINDOWS, "") for tp in partitions})


async def _counted(worker: Child, seen: Seen) -> None:
    while True:
        said = await worker.says()
        seen.counted.append((said["q"], said["source"], said["end"], said["at_ms"]))
        seen.applying_ms.append(said["took_ms"])


async def _alerts(settings: Settings, seen: Seen) -> None:
    consumer = AIOKafkaConsumer(settings.topics.moments, bootstrap_servers=settings.kafka, auto_offset_reset="earliest")
    async with consumer:
        async for record in consumer:
            now_ms = time.time() * 1_000
            for term in decode_moment(record.value).terms:
                seen.alerts.setdefault(term, now_ms)


async def _rows(settings: Settings, seen: Seen, start_ms: int) -> None:
    clickhouse = ClickHouse.connect(settings.clickhouse)
    while True:
        after = {"after": max(start_ms, int(time.time() * 1_000) - 15_000)}
        found = await asyncio.to_thread(
            clickhouse.query, "SELECT post_id, version FROM mentions WHERE version >= {after:Int64}", after
        )
        now_ms = time.time() * 1_000
        for post, version in found.iter_rows():
            seen.mentions.setdefault(str(post), now_ms - version)
        starts = await asyncio.to_thread(clickhouse.query, _WINDOWS, {"after": start_ms})
        now_ms = time.time() * 1_000
        for (start,) in starts.iter_rows():
            seen.windows.setdefault(start, now_ms)
        await asyncio.sleep(_POLL_S)


_WINDOWS = """SELECT DISTINCT toUnixTimestamp64Milli(window_start) AS start FROM windows
    WHERE term = 'all:posts' AND toUnixTimestamp64Milli(window_start) >= {after:Int64}"""


async def _settled(
    seen: Seen, records: Sequence[Record], crossed: Mapping[str, int], watching: Sequence[asyncio.Task[None]]
) -> None:
    """Returns when every detect partition has counted every record, and each surge has its alert; else WrongCount."""
    deadline = time.monotonic() + SETTLE_S
    ends = [history.WINDOWS + sum(record.partition == p for record in records) for p in range(PARTITIONS)]
    wanted = {(q, p): ends[p] for q in range(drumbeat.PARTIALS) for p in range(PARTITIONS)}
    while True:
        for task in watching:
            if task.done():
                task.result()
        done: dict[tuple[int, int], int] = {}
        for q, source, end, _ in seen.counted:
            done[q, source] = max(end, done.get((q, source), 0))
        missing = sorted(set(crossed) - set(seen.alerts))
        if done == wanted and not missing:
            return
        if time.monotonic() > deadline:
            raise WrongCount(f"latency: (detect partition, source) counted up to {done} of {wanted}; no alert for {missing}")
        await asyncio.sleep(_POLL_S)


def _report(records: Sequence[Record], seen: Seen, pace: Pace, crossed: Mapping[str, int], rate: float) -> dict[str, Any]:
    due = {start: start + WINDOW_MS + Settings().lateness_ms for start in seen.windows}
    during = {start: at for start, at in seen.windows.items() if due[start] <= records[-1].timestamp_ms}
    return {
        "rate": rate,
        "threshold_events": threshold(rate),
        "sent_late_ms": percentiles(pace.late_ms),
        "applying_ms": percentiles(seen.applying_ms),
        "counted_ms": percentiles(_counting(records, seen)),
        "alert_ms": percentiles([seen.alerts[term] - at_ms for term, at_ms in crossed.items()]),
        "mention_row_ms": percentiles(list(seen.mentions.values())),
        "window_row_after_due_ms": percentiles([at - due[start] for start, at in during.items()]),
    }


def _crossings(records: Sequence[Record], wanted: int) -> dict[str, int]:
    """By term, the timestamp of the record that brings it to that many."""
    counts: dict[str, int] = {}
    crossed = {}
    for record in records:
        at = record.value.find(b" #surge")
        if at >= 0:
            term = f"hashtag:{record.value[at + 2 : at + 11].decode()}"
            counts[term] = counts.get(term, 0) + 1
            if counts[term] == wanted:
                crossed[term] = record.timestamp_ms
    return crossed


def _counting(records: Sequence[Record], seen: Seen) -> np.ndarray[Any, Any]:
    """Of each record, how long it took until all detect partitions had counted it."""
    delays = []
    for partition in range(PARTITIONS):
        times = np.array([record.timestamp_ms for record in records if record.partition == partition], dtype=np.float64)
        offsets = history.WINDOWS + np.arange(len(times))
        counted = np.zeros(len(times))
        for q in range(drumbeat.PARTIALS):
            told = [(end, at_ms) for whose, source, end, at_ms in seen.counted if (whose, source) == (q, partition)]
            ends = np.maximum.accumulate([end for end, _ in told])
            at = np.array([at_ms for _, at_ms in told])[np.searchsorted(ends, offsets, side="right")]
            counted = np.maximum(counted, at)
        delays.append(counted - times)
    return np.concatenate(delays)
