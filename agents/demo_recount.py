"""The recount of a whole raw topic at rest, for the demo's verdict."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import polars as pl

from agents.recount import CELL, RawPartition, Sight, count_cells
from agents.recount import RawRecord as Numbered
from agents.recount_compare import STORED, Comparison, Scope
from agents.recount_compare import compare as compare_within
from schemas.events import decode_event
from schemas.watchlist import Brand
from streams.brands import compile_watchlist

__all__ = ["CELLS", "Comparison", "RawRecord", "Recount", "compare", "recount"]

CHUNK_POSTS = 20_000
CELLS = STORED
EXAMPLES = 20


class RawRecord(NamedTuple):
    """One record as the broker keeps it."""

    partition: int
    log_ms: int
    value: bytes


@dataclass(slots=True)
class Recount:
    """What the raw topic holds."""

    records: int = 0
    counted: int = 0
    duplicates: int = 0
    filtered: int = 0
    changes: int = 0
    dead_letters: Counter[str] = field(default_factory=Counter)
    cells: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=CELLS))


def recount(records: Iterable[RawRecord], brands: Sequence[Brand], dedup_horizon_ms: int) -> Recount:
    """Counts of every (term, window), open segments included. An id seen within the horizon before is a copy."""
    log: defaultdict[int, list[RawRecord]] = defaultdict(list)
    for record in records:
        log[record.partition].append(record)
    found, sights = Recount(records=sum(map(len, log.values()))), list[Sight]()
    for of_partition in log.values():
        raw = RawPartition(0, decode_event, dedup_horizon_ms)
        raw.feed(Numbered(offset, one.log_ms, one.value) for offset, one in enumerate(of_partition))
        raw.finish()
        sights += raw.sights
        outcomes = raw.outcomes
        found.counted, found.duplicates = found.counted + outcomes.counted, found.duplicates + outcomes.duplicates
        found.filtered, found.changes = found.filtered + outcomes.filtered, found.changes + outcomes.changes
        found.dead_letters += outcomes.dead
    watchlist = compile_watchlist(brands)
    parts = [count_cells(sights[at : at + CHUNK_POSTS], watchlist)[0] for at in range(0, len(sights), CHUNK_POSTS)]
    table = pl.concat([found.cells, *(part.select(list(CELLS)) for part in parts)])
    found.cells = table.group_by(CELL).agg(pl.col("events").sum()).sort(CELL)
    return found


def compare(stored: pl.DataFrame, left_out: pl.DataFrame, cells: pl.DataFrame, min_support: int = 1) -> Comparison:
    """Every stored count, every count of a watched term, and what is left out of each window; the pipeline is at rest."""
    at_rest = cells.with_columns(ready_ms=pl.lit(0, pl.Int64))
    return compare_within(stored, left_out, at_rest, Scope(min_support=min_support, limit=EXAMPLES))
