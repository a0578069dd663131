"""A small world of raw partitions, workers that crash, sleep, wake as zombies and overlap, and a detect that crashes too.

Everything that travels is real (packets as bytes, seen records, checkpoint sections); only the logs are lists.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import orjson

from schemas import frames
from schemas.candidates import CandidateBatch
from schemas.events import Event, decode_event
from schemas.packets import Packet, decode_packet, encode_packet
from schemas.seen import SeenIds
from schemas.watchlist import Brand
from schemas.windows import WINDOW_MS, WindowBatch
from streams.alignment import AlignmentParams
from streams.brands import compile_watchlist
from streams.dedup import DedupParams
from streams.detect import DetectParams, DetectState, detect
from streams.ingest import Ingested, IngestState, ingest, provisional, resume
from streams.records import Record
from streams.segment_table import IngestParams
from streams.segments import Cutter, SegmentParams, Stamp
from streams.windows import WindowParams

BASE = 1_700_000_000_000
WATCHLIST = compile_watchlist([Brand(id="acme")])
SEGMENTS = SegmentParams(segment_records=7, max_jump_ms=600_000, confirm_records=3)
DEDUP = DedupParams(horizon_ms=20_000)
LATENESS_MS, RETAIN_MS, MIN_SUPPORT = 5_000, 40_000, 3

Cell = tuple[int, str]


def make_log(rng: random.Random, count: int) -> list[Record]:
    """Events of few ids and terms, some late, some broken, some with absurd clocks."""
    now, log = BASE, []
    for offset in range(count):
        now += rng.choice([0, 0, 50, 200, 400, 3_000, 12_000])
        log_ms = now + rng.randint(-600, 0)
        created = log_ms - rng.choice([0, 0, 0, 500, 8_000, 30_000, 90_000])
        if rng.random() < 0.03:
            created = rng.choice([0, 4_070_908_800_000])
        if rng.random() < 0.02:
            log_ms = rng.choice([0, 4_070_908_800_000])
        event = {
            "id": f"id{rng.randint(0, count)}",
            "author": f"a{rng.randint(0, 5)}",
            "created_ms": created,
            "text": f"#t{rng.randint(0, 3)} {'acme' if rng.random() < 0.3 else ''}",
            "platform": "x",
            "lang": "xx",
        }
        log.append(Record(offset, log_ms, b"{broken" if rng.random() < 0.05 else orjson.dumps(event)))
    return log


def recount(log: list[Record]) -> Counter[Cell]:
    """What the log says, one event after the other."""
    cutter = Cutter(0, None, SEGMENTS)
    cuts = cutter.push(Stamp(record.offset, record.log_ms, len(record.payload)) for record in log)
    times = [(time, cut.step_ms) for cut in cuts for time in cut.times_ms]
    clock = cutter.clock_ms or BASE
    times += [(time, clock // 1_000 * 1_000) for time in cutter.open_times(now_ms=BASE + 10**9)]
    last: dict[str, int] = {}
    cells: Counter[Cell] = Counter()
    for record, (time, step) in zip(log, times, strict=True):
        if not record.payload.endswith(b"}"):
            continue
        event = decode_event(record.payload)
        assert isinstance(event, Event)
        seen, last[event.id] = last.get(event.id), step
        if seen is not None and step - seen <= DEDUP.horizon_ms:
            continue
        when = min(time, event.created_ms) if event.created_ms is not None else time
        words = event.text.split()
        terms = {"all:posts", f"hashtag:{words[0][1:]}"} | ({"brand:acme", "keyword:acme"} if "acme" in words else set())
        cells.update((when // WINDOW_MS * WINDOW_MS, term) for term in terms)
    return cells


@dataclass
class Worker:
    """One owner of a raw partition, perhaps one that should be dead."""

    world: World
    source: int
    generation: int
    state: IngestState = field(init=False)
    position: int = field(init=False)
    outbox: list[Callable[[], None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        world = self.world
        start = world.committed[self.source]
        self.state = resume(self.source, "raw", self.source, start, world.seen, world.params)
        self.position = start

    def step(self, rng: random.Random) -> None:
        """Does one thing: sends one message, or reads some records, or says what is open."""
        if self.outbox:
            self.outbox.pop(0)()
            return
        log, available = self.world.raw[self.source], self.world.available[self.source]
        if self.position < available:
            records = log[self.position : min(available, self.position + rng.randint(1, 9))]
            self.position += len(records)
            self.send(ingest(self.state, records, decode_event, WATCHLIST, self.world.params))
        elif rng.random() < 0.5:
            self.tell(rng.choice([0, 0, 2_500]))

    def tell(self, idle_ms: int) -> None:
        now_ms = BASE + 10**9
        self.send(provisional(self.state, now_ms, idle_ms, WATCHLIST, self.world.params))

    def send(self, done: Ingested) -> None:
        world = self.world
        for number, packet in enumerate(done.packets):
            self.outbox.append(partial(world.partials[number].append, encode_packet(packet)))
        if done.seen is not None:
            self.outbox.append(partial(world.seen.append, done.seen))
        if done.commit_offset is not None:
            self.outbox.append(partial(self.commit, done.commit_offset))

    def commit(self, offset: int) -> None:
        if self.world.generations[self.source] == self.generation:
            self.world.committed[self.source] = offset


class World:
    """Runs by a seed; afterwards `partials` is what detect gets."""

    def __init__(self, seed: int, *, sources: int = 2, partitions: int = 2, faults: bool = True) -> None:
        rng = random.Random(seed)
        self.partitions = partitions
        self.params = IngestParams(
            sources=sources, partitions=partitions, author_key=b"a key for the tests", segments=SEGMENTS, dedup=DEDUP
        )
        self.raw = [make_log(rng, rng.randint(20, 90)) for _ in range(sources)]
        self.available = [0] * sources
        self.committed = [0] * sources
        self.generations = [0] * sources
        self.seen: list[SeenIds] = []
        self.partials: list[list[bytes]] = [[] for _ in range(partitions)]
        owners = [[Worker(self, source, 0)] for source in range(sources)]
        for _ in range(400):
            source = rng.randrange(sources)
            if rng.random() < 0.5:
                self.available[source] = min(len(self.raw[source]), self.available[source] + rng.randint(1, 8))
            if faults and rng.random() < 0.05:
                self.generations[source] += 1
                survivors = owners[source][-1:] if rng.random() < 0.5 else []
                owners[source] = [*survivors, Worker(self, source, self.generations[source])]
            rng.choice(owners[source]).step(rng)
        self._finish(sources)

    def _finish(self, sources: int) -> None:
        last = []
        for source in range(sources):
            self.available[source] = len(self.raw[source])
            self.generations[source] += 1
            worker = Worker(self, source, self.generations[source])
            while worker.position < self.available[source] or worker.outbox:
                worker.step(random.Random(1))
            last.append(worker)
        for idle_ms in (2_500, 60_000, 4_000_000):
            for worker in last:
                worker.tell(idle_ms)
                while worker.outbox:
                    worker.outbox.pop(0)()


def detect_params(partition: int, partitions: int) -> DetectParams:
    windows = WindowParams(partition, partitions, lateness_ms=LATENESS_MS, retain_ms=RETAIN_MS, min_support=MIN_SUPPORT)
    return DetectParams(windows=windows, alignment=AlignmentParams(stall_ms=30_000))


@dataclass
class Stored:
    """The tables as ClickHouse would hold them: of rows with one key the highest version; equal versions must be equal."""

    rows: dict[tuple[int, str, str], tuple[int, tuple[object, ...]]] = field(default_factory=dict)
    candidates: dict[tuple[int, int], CandidateBatch] = field(default_factory=dict)
    late: int = 0

    def take(self, batch: WindowBatch) -> None:
        rows = frames.from_bytes(batch.rows) if batch.rows else None
        for row in rows.iter_rows(named=True) if rows is not None else ():
            key = row["window_start_ms"], row["term"], row["part"]
            body = tuple(row[name] if name != "authors" else tuple(row[name]) for name in row)
            version, before = self.rows.get(key, (-1, ()))
            assert version != row["version"] or before == body, f"two bodies of {key} at version {version}"
            if row["version"] > version:
                self.rows[key] = row["version"], body

    def cells(self) -> Counter[Cell]:
        """Events per cell; rows beside a window that was never stored are left out, as the views do."""
        events: Counter[Cell] = Counter()
        for (window, term, _), (_, body) in self.rows.items():
            events[window, term] += int(str(body[4]))
        based = {(window, term) for (window, term, part), (_, body) in self.rows.items() if "/" not in part and body[4]}
        return Counter({cell: count for cell, count in events.items() if cell in based or cell[1].startswith(("all:", "brand:"))})


def run_detect(partials: list[bytes], partition: int, partitions: int, crashes: random.Random | None = None) -> Stored:
    """Detect over its log; with `crashes` it dies now and then and goes on from its last checkpoint."""
    params = detect_params(partition, partitions)
    state, stored = DetectState.fresh(params), Stored()
    saved, saved_offset = state.snapshot(), 0
    offset, lives = 0, 25
    while offset < len(partials):
        packet: Packet = decode_packet(partials[offset])
        done = detect(state, packet, offset, params)
        for batch in done.windows:
            stored.take(batch)
        for one in done.candidates:
            known = stored.candidates.setdefault((one.partition, one.sequence), one)
            assert known == one, "one number, two batches"
        offset += 1
        if crashes is not None and crashes.random() < 0.08:
            saved, saved_offset = state.snapshot(), offset
        if crashes is not None and lives and crashes.random() < 0.05:
            lives -= 1
            state, offset = DetectState.restore(saved, params), saved_offset
    return stored
