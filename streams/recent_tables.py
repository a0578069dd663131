"""Tables that this process has just packed: whoever unpacks the same bytes here gets the table back, and need not read them.

A table is found by all of its bytes, so it is what reading them would give. At most `most_bytes` are kept, the oldest go first.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

import polars as pl

from schemas import frames

KEPT_BYTES = 64 * 1024 * 1024


class RecentTables:
    """Packed by ingest, unpacked once by detect, each in a thread of its own."""

    def __init__(self, most_bytes: int = KEPT_BYTES) -> None:
        self.most_bytes = most_bytes
        self.bytes = 0
        self._kept: OrderedDict[bytes, tuple[pl.DataFrame, int]] = OrderedDict()
        self._lock = threading.Lock()

    def pack(self, table: pl.DataFrame) -> bytes:
        """The table as `frames.to_bytes`; the table is kept."""
        data = frames.to_bytes(table)
        size = len(data) + int(table.estimated_size())
        with self._lock:
            self._forget(data)
            self._kept[data] = table, size
            self.bytes += size
            while self.bytes > self.most_bytes:
                self._forget(next(iter(self._kept)))
        return data

    def unpack(self, data: bytes) -> pl.DataFrame:
        """The table of these bytes, as `frames.from_bytes`; it is kept no longer."""
        with self._lock:
            table = self._forget(data)
        return frames.from_bytes(data) if table is None else table

    def _forget(self, data: bytes) -> pl.DataFrame | None:
        table, size = self._kept.pop(data, (None, 0))
        self.bytes -= size
        return table
