"""What each step of the pure pipeline costs per event: one thread, no broker; all raw partitions, as one worker has them.

    POLARS_MAX_THREADS=1 python -m tests.benchmarks.steps EVENTS [RECORDINGS]

says µs per event, the median of some runs. `ingest: rest` and `detect: rest` are what no named step explains.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from statistics import median

import polars as pl

from schemas import frames
from schemas.events import decode_event
from schemas.mentions import encode_mention
from schemas.packets import Packet, decode_packet, encode_packet
from schemas.rows import window_tables
from schemas.seen import encode_seen
from schemas.windows import decode_windows, encode_windows
from streams.alignment import AlignmentParams
from streams.brands import compile_watchlist
from streams.detect import DetectParams, DetectState, detect
from streams.ingest import ingest, resume
from streams.records import Record
from streams.segment_table import IngestParams
from streams.windows import WindowParams
from tests.benchmarks.brands import BRANDS
from tests.benchmarks.corpus import load_corpus
from tests.benchmarks.feed import PARTITIONS, make_feed
from tests.benchmarks.say import say
from tests.benchmarks.stopwatch import Place, watching

NOWHERE = Path("/nowhere")  # then posts are invented
START_MS = 1_700_000_000_000
BATCH = 16_000  # as the ingest agent reads
PARTIALS = 2
RUNS = 3
_INGEST, _TABLE, _ENRICH = "streams.ingest", "streams.segment_table", "streams.enrich"
PLACES = (
    Place("ingest: decode", _INGEST, "_decode_all"),
    Place("ingest: cut segments", "streams.segments:Cutter", "push_columns"),
    Place("ingest: hash ids", _TABLE, "hash_ids"),
    *(Place("ingest: deduplicate", _TABLE, name) for name in ("find_duplicates", "latest_sights")),
    Place("ingest: deduplicate", _INGEST, "remember"),
    Place("ingest: hash authors", _TABLE, "hash_authors"),
    Place("ingest: normalise text", _ENRICH, "read_posts"),
    Place("ingest: find terms", _ENRICH, "find_terms"),
    Place("ingest: table of terms", _ENRICH, "post_terms"),
    Place("ingest: find brands", _ENRICH, "find_brands"),
    *(Place("ingest: language", _ENRICH, name) for name in ("stated_languages", "fill_languages")),
    Place("ingest: sentiment", _ENRICH, "sentiment_milli"),
    *(Place("ingest: count", _TABLE, name) for name in ("count_terms", "count_facets")),
    *(Place("ingest: split", place, name) for place, name in ((_TABLE, "split"), (f"{_TABLE}:SegmentTable", "_of_parts"))),
    Place("tables to bytes", "schemas.frames", "to_bytes"),
    Place("bytes to tables", "schemas.frames", "from_bytes"),
    Place("detect: align", "streams.detect", "align"),
    *(Place("detect: windows", "streams.detect", name) for name in ("sort_out", "count_fresh", "flush_open")),
    Place("detect: surges", "streams.detect", "detect_surges"),
)


Partitions = Sequence[Sequence[Record]]


def measure(records: Partitions, runs: int = RUNS) -> dict[str, float]:
    """µs per event of every step, and of all together as `whole`."""
    _once([some[: 2 * BATCH] for some in records])  # whatever is made at the first call
    found = [_once(records) for _ in range(runs)]
    return {step: median(one.get(step, 0.0) for one in found) for step in found[0]}


def make_records(recordings: Path | None, events: int) -> list[list[Record]]:
    """So many events over all partitions, and the tail."""
    feed = make_feed(load_corpus(recordings or NOWHERE), events, START_MS)
    found: list[list[Record]] = [[] for _ in range(PARTITIONS)]
    for record in [*feed.events, *feed.tail]:
        mine = found[record.partition]
        mine.append(Record(len(mine), record.timestamp_ms, record.value))
    return found


def detected(records: Partitions) -> list[bytes]:
    """The records of social.windows that these events bring about."""
    return _detected([encode_packet(packet) for packet in _ingested(records)])


def _once(records: Partitions) -> dict[str, float]:
    with watching(PLACES) as watch:
        packets = watch.timed("ingest: rest", _ingested)(records)
        packed = [watch.timed("packets to bytes", encode_packet)(packet) for packet in packets]
        detected = watch.timed("detect: rest", _detected)(packed)
        watch.timed("rows for ClickHouse", _rows)(detected)
    per_event = {step: 1e6 * took / sum(map(len, records)) for step, took in watch.seconds.items()}
    return {**per_event, "whole": sum(per_event.values())}


def _ingested(records: Partitions) -> list[Packet]:
    params = IngestParams(sources=PARTITIONS, partitions=PARTIALS, author_key=b"drumbeat-local", pack=_pack)
    states, watchlist = [resume(number, "raw", number, 0, (), params) for number in range(PARTITIONS)], compile_watchlist(BRANDS)
    packets: list[Packet] = []
    for start, number in product(range(0, max(map(len, records)), BATCH), range(PARTITIONS)):
        done = ingest(states[number], records[number][start : start + BATCH], decode_event, watchlist, params)
        packets += done.packets
        for mention in done.mentions:
            encode_mention(mention)
        if done.seen is not None:
            encode_seen(done.seen)
    return packets


def _detected(packed: Sequence[bytes]) -> list[bytes]:
    windows_of = [WindowParams(partition=number, partitions=PARTIALS) for number in range(PARTIALS)]
    params = [DetectParams(windows=one, alignment=AlignmentParams(unpack=_unpack)) for one in windows_of]
    states = [DetectState.fresh(one) for one in params]
    windows = []
    for offset, data in enumerate(packed):
        number = offset % PARTIALS
        done = detect(states[number], decode_packet(data), offset // PARTIALS, params[number])
        windows += [encode_windows(batch) for batch in done.windows]
    return windows


def _pack(table: pl.DataFrame) -> bytes:
    return frames.to_bytes(table)  # looked up each time, as the stopwatch takes its place


def _unpack(data: bytes) -> pl.DataFrame:
    return frames.from_bytes(data)


def _rows(windows: Sequence[bytes]) -> int:
    return sum(table.rows for data in windows for table in window_tables(decode_windows(data)).values())


if __name__ == "__main__":
    say(measure(make_records(Path(sys.argv[2]) if len(sys.argv) > 2 else None, int(sys.argv[1]))))
