"""Rows a second into ClickHouse from one worker's store: windows as detect packs them become columns, and are inserted.

    python -m tests.benchmarks.store_rows DSN ROWS [RECORDINGS]

The windows are those of real-shaped events, again and again at other times, in batches as the store agent makes them. Counts the
rows in the table at the end.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import polars as pl

from agents.clickhouse import ClickHouse
from agents.store import FLUSH_ROWS
from schemas import frames
from schemas.rows import Columns, joined, window_tables
from schemas.windows import WindowBatch, decode_windows, encode_windows
from tests.benchmarks import steps
from tests.benchmarks.say import peak, say

_EVENTS = 60_000
_SHIFT_MS = 10_000_000


def records_of_windows(recordings: Path | None, wanted: int) -> list[bytes]:
    """Records of social.windows with so many rows, or a few more."""
    batches = [decode_windows(data) for data in steps.detected(steps.make_records(recordings, _EVENTS))]
    rows = pl.concat([frames.from_bytes(batch.rows) for batch in batches if batch.rows])
    rows = rows.unique(["window_start_ms", "term", "part"], keep="last", maintain_order=True)  # corrections replace what was stored
    copies = -(-wanted // rows.height)
    moved = (rows.with_columns(pl.col("window_start_ms") - _SHIFT_MS * number) for number in range(copies))
    return [encode_windows(WindowBatch(partition=0, rows=frames.to_bytes(some))) for some in moved]


def main(dsn: str, wanted: int, recordings: Path | None) -> None:
    """Inserts so many rows."""
    records = records_of_windows(recordings, wanted)
    clickhouse = ClickHouse.connect(dsn)
    clickhouse.apply_migrations()
    sent, converting, inserting = 0, 0.0, 0.0
    begun = time.perf_counter()
    pending: list[Columns] = []
    for number, record in enumerate(records, start=1):
        pending += window_tables(decode_windows(record)).values()
        if sum(columns.rows for columns in pending) >= FLUSH_ROWS or number == len(records):
            tables = joined(pending)
            converting += time.perf_counter() - begun
            begun = time.perf_counter()
            for columns in tables:
                clickhouse.insert(columns)
                sent += columns.rows
            inserting += time.perf_counter() - begun
            pending, begun = [], time.perf_counter()
    found = int(clickhouse.query("SELECT count() AS n FROM windows FINAL")["n"][0])
    clickhouse.close()
    if found != sent:
        raise RuntimeError(f"{found:,} rows are stored of {sent:,}")
    say({"rows": sent, "convert_s": converting, "insert_s": inserting, **peak()})


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]) if len(sys.argv) > 3 else None)
