"""Eleven minutes of a stream's past, as packets: without it detect says nothing, and to feed it at full speed would take as long.

Counts are those of a sample of the same events, scaled to the rate and drawn anew for every 10 s. They are told as if each
partition had had one record in these 10 s; so many records must be on the raw topic, and be committed.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from schemas import frames
from schemas.packets import PACKET_TERMS, Packet, Segment, encode_packet
from schemas.windows import WINDOW_MS
from streams.partition import owners_of, split
from tests.benchmarks.corpus import Corpus
from tests.benchmarks.feed import PARTITIONS, make_feed
from tests.benchmarks.recount import Recount

WINDOWS = 66  # detect wants 60 before anything opens


def past(corpus: Corpus, rate: float, end_ms: int, partials: int, fewest: float, sample: int) -> Iterator[tuple[int, bytes]]:
    """(partition of social.partials, packet) of the windows before `end_ms`; without rarer terms that nobody watches."""
    counts, means = _sample(corpus, rate, fewest, sample)
    rng = np.random.default_rng(1)
    first_ms = end_ms - WINDOWS * WINDOW_MS
    for number in range(WINDOWS):
        start_ms = first_ms + number * WINDOW_MS
        frame = counts.with_columns(window_start_ms=pl.lit(start_ms), events=pl.Series(rng.poisson(means), dtype=pl.Int64))
        rows = frame.filter(pl.col("events") > 0).with_columns(originals="events").select(list(PACKET_TERMS)).cast(PACKET_TERMS)  # type: ignore[arg-type]
        tables = [frames.to_bytes(rows[places]) for places in split(owners_of(rows["term"], partials), partials)]
        step_ms = start_ms + WINDOW_MS - 1_000
        segment = Segment(number, number + 1, step_ms, step_ms + WINDOW_MS, records=1, counted=1)
        for source in range(PARTITIONS):
            for partition, table in enumerate(tables):
                packet = Packet(
                    source=source, sources=PARTITIONS, final=True, segments=(segment,), terms=table if source == 0 else b""
                )
                yield partition, encode_packet(packet)


def _sample(
    corpus: Corpus, rate: float, fewest: float, sample: int
) -> tuple[pl.DataFrame, np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """Rows of PACKET_TERMS of a window without its time and counts, and the mean counts."""
    feed = make_feed(corpus, sample, 1_700_000_000_000, seed=7)
    scale = rate * WINDOW_MS / 1_000 / sample
    told = frames.is_watched(pl.col("term")) | (pl.col("events") * scale >= fewest)
    cells = Recount(feed).cells.group_by("term").agg(pl.col("events").sum()).filter(told).sort("term")
    means = cells["events"].to_numpy() * scale
    empty = {name: pl.lit([], kind) for name, kind in PACKET_TERMS.items() if kind == pl.List}
    zeros = {name: pl.lit(0, pl.Int64) for name in frames.COUNTS if name != "events"}
    return cells.with_columns(segment=pl.lit(0, pl.UInt32), **empty, **zeros), means
