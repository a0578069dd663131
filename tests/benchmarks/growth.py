"""What happens when everything is new: from 10^3 distinct ids and terms up, through the operators' own state, one thread.

    POLARS_MAX_THREADS=1 python -m tests.benchmarks.growth IDS TERMS

says one line a size: µs per event over the last nine tenths, bytes, and for how long a checkpoint or a takeover holds things up.
Ids come 11,111 a second, so that the dedup horizon holds ten million; terms 5,000 a second, each of them once.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

import numpy as np
import polars as pl

from agents.settings import Settings
from schemas import frames
from schemas.packets import PACKET_TERMS, Packet, Segment
from schemas.seen import SeenIds, decode_seen, encode_seen
from schemas.windows import WINDOW_MS
from streams.dedup import DedupParams, Ids, Seen, Steps, find_duplicates, latest_sights, remember
from streams.detect import DetectParams, DetectState, detect
from streams.ingest import resume
from streams.partition import EVERYWHERE
from streams.segment_table import IngestParams
from streams.warm import warm_up
from tests.benchmarks.say import say

SMALLEST = 1_000
_BATCH = 4_000
_IDS_PER_S = 11_111
_TERMS_PER_S = 5_000
_START_MS = 1_700_000_000_000


def grow_ids(largest: int) -> Iterator[dict[str, float]]:
    """Dedup memory and its takeover."""
    rng, params, seen = np.random.default_rng(1), DedupParams(Settings().dedup_horizon_ms), Seen()
    records: list[bytes] = []
    known, size, since, taken = 0, SMALLEST, 0, 0.0
    while size <= largest:
        count = min(_BATCH, size - known)
        ids = rng.integers(1, 2**63, count, dtype=np.uint64)
        steps = np.full(count, _START_MS // 1_000 + known // _IDS_PER_S, dtype=np.uint32)
        begun = time.perf_counter()
        if find_duplicates(seen, ids, steps, params).any():
            raise RuntimeError("a new id was taken for one that is known")
        run = latest_sights(ids, steps)
        remember(seen, run, params)
        taken += time.perf_counter() - begun
        records.append(_sighting(known, run.ids, run.steps))
        known += count
        if known == size:
            if seen.distinct < size:
                raise RuntimeError(f"{seen.distinct:,} of {size:,} ids are remembered")
            per_event = 1e6 * taken / (known - since)
            yield {"ids": size, "micros": per_event, "bytes_per_id": seen.nbytes / size, "takeover_s": _takeover(records, size)}
            size, since, taken = size * 10, known, 0.0


def grow_terms(largest: int) -> Iterator[dict[str, float]]:
    """Detect's state, its checkpoint and its takeover."""
    params = DetectParams()
    state = DetectState.fresh(params)
    known, size, since, taken, second = 0, SMALLEST, 0, 0.0, 0
    while size <= largest:
        count = min(_TERMS_PER_S, size - known)
        packet = _packet(known, count, second)
        begun = time.perf_counter()
        detect(state, packet, second, params)
        taken += time.perf_counter() - begun
        known, second = known + count, second + 1
        if known == size:
            yield {"terms": size, "micros": 1e6 * taken / (known - since), **_checkpoint(state, params, size)}
            size, since, taken = size * 10, known, 0.0


def _sighting(start: int, ids: Ids, steps: Steps) -> bytes:
    end, clock_ms = start + len(ids), int(steps[-1]) * 1_000
    packed, seconds = ids.astype("<u8").tobytes(), steps.astype("<u4").tobytes()
    return encode_seen(SeenIds(source=0, start=start, end=end, clock_ms=clock_ms, records=len(ids), ids=packed, steps=seconds))


def _takeover(records: list[bytes], ids: int) -> float:
    """Seconds from the records of social.seen, as they are read, to the memory."""
    params = IngestParams(sources=1, partitions=1, author_key=b"drumbeat-local")
    begun = time.perf_counter()
    state = resume(0, "raw", 0, ids, [decode_seen(record) for record in records], params)
    taken = time.perf_counter() - begun
    if state.seen.distinct < ids:
        raise RuntimeError(f"{state.seen.distinct:,} of {ids:,} ids were taken over")
    return taken


def _packet(first: int, count: int, second: int) -> Packet:
    at_ms = _START_MS + second * 1_000
    segment = Segment(first, first + count, at_ms, at_ms + 1_000, records=count, counted=count)
    terms = pl.Series("term", [EVERYWHERE, *(f"keyword:t{number}" for number in range(first, first + count))])
    hashes = pl.Series(np.arange(first, first + count + 1, dtype=np.uint64) * np.uint64(11_400_714_819_323_198_485))
    ones = pl.Series([count, *[1] * count])
    numbers = {name: pl.repeat(0, count + 1, dtype=pl.Int64, eager=True) for name in frames.COUNTS}
    lists = hashes.reshape((count + 1, 1)).arr.to_list()
    frame = pl.DataFrame({**numbers, "term": terms, "events": ones, "originals": ones, "authors": lists})
    frame = frame.with_columns(
        segment=pl.lit(0, pl.UInt32),
        window_start_ms=pl.lit(at_ms - at_ms % WINDOW_MS),
        samples=pl.concat_list(pl.int_range(first, first + count + 1, dtype=pl.UInt64)),
    )
    rows = frame.sort("term").select(list(PACKET_TERMS)).cast(PACKET_TERMS)  # type: ignore[arg-type]  # names to types
    return Packet(source=0, sources=1, final=True, segments=(segment,), terms=frames.to_bytes(rows))


def _checkpoint(state: DetectState, params: DetectParams, terms: int) -> dict[str, float]:
    begun = time.perf_counter()
    sections = state.snapshot()
    paused = time.perf_counter() - begun
    size = sum(map(len, sections.values()))
    begun = time.perf_counter()
    DetectState.restore(sections, params)
    restored = time.perf_counter() - begun
    held = len(state.surges.table)
    return {"held": held, "bytes": size, "bytes_per_term": size / terms, "pause_s": paused, "takeover_s": restored}


if __name__ == "__main__":
    warm_up()
    for line in grow_ids(int(sys.argv[1])):
        say(line)
    for line in grow_terms(int(sys.argv[2])):
        say(line)
    say({"done": True})
