"""What windows remember, and its bounds: cells of open windows in full, stored cells of closed ones for `retain_ms`.

Of too many open cells the oldest windows close before their time; of too many stored ones the oldest windows are forgotten before
theirs. Both are functions of the packets applied so far, and nothing is lost: what still comes corrects the stored rows, or
becomes rows beside them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from schemas import frames
from streams.alignment import Piece
from streams.cells import add_cells, add_facets, owned, put_in
from streams.partition import EVERYWHERE, partition_of

_OWNED_AFTER = 16  # corrections: texts of what they replaced stay in memory until then
_SENT = {"window_start_ms": pl.Int64(), "term": pl.String()}
_SENT_FACETS = {**_SENT, "facet": pl.String()}


@dataclass(frozen=True, slots=True)
class WindowParams:
    """When windows close and what is stored."""

    partition: int = 0  # of the partials topic
    partitions: int = 1
    lateness_ms: int = 30_000  # Bluesky's author clocks are off by -37 s to +56 s; detection does not wait for it
    retain_ms: int = 3_600_000
    min_support: int = 5  # events per window; half of all terms of a network occur once
    max_open_rows: int = 2_000_000  # cells and facets of open windows, 130 bytes each and 8 more for every author
    max_retained_rows: int = 2_000_000  # the same of closed windows

    def __post_init__(self) -> None:
        if min(self.max_open_rows, self.max_retained_rows) < 1:
            raise ValueError("max_open_rows and max_retained_rows must be 1 or more")
        if self.lateness_ms < 0 or self.retain_ms < 0 or self.min_support < 1:
            raise ValueError("lateness_ms and retain_ms must not be negative, min_support must be 1 or more")

    @property
    def owns_everywhere(self) -> bool:
        """Whether the rows that every detect partition gets are stored by this one."""
        return partition_of(EVERYWHERE, self.partitions) == self.partition


class LeftOut(NamedTuple):
    """What of a window is not stored."""

    terms: int
    events: int


@dataclass(slots=True)
class TableBytes:
    """A table, and its bytes once somebody has asked for them: most tables of a checkpoint are those of the one before."""

    table: pl.DataFrame
    made: bytes | None = None

    def packed(self) -> bytes:
        """The table as bytes."""
        if self.made is None:
            self.made = frames.to_bytes(self.table)
        return self.made


@dataclass(slots=True)
class Retained:
    """Stored cells of a closed window."""

    cells: pl.DataFrame
    facets: pl.DataFrame
    left_out: LeftOut
    corrections: int = field(default=0, compare=False)
    _bytes: tuple[TableBytes, TableBytes] | None = field(default=None, compare=False, repr=False)

    def frozen(self) -> tuple[TableBytes, TableBytes]:
        """Both tables as they are now."""
        if self._bytes is None or self._bytes[0].table is not self.cells or self._bytes[1].table is not self.facets:
            self._bytes = TableBytes(self.cells), TableBytes(self.facets)
        return self._bytes

    def correct(self, rows: pl.DataFrame, places: npt.NDArray[np.int64]) -> None:
        """These rows, sorted by term, take the place of the cells at `places`."""
        if rows.is_empty() and not places.size:
            return
        self.cells = put_in(rows, self.cells, places)
        self.corrections += 1
        if self.corrections % _OWNED_AFTER == 0:
            self.cells = owned(self.cells)

    @property
    def rows(self) -> int:
        """Rows of both tables."""
        return self.cells.height + self.facets.height


@dataclass(slots=True)
class WindowState:
    """Owned by the caller."""

    open_terms: dict[int, list[pl.DataFrame]] = field(default_factory=dict)  # window -> CELLS to be added up
    open_facets: dict[int, list[pl.DataFrame]] = field(default_factory=dict)
    dirty: set[int] = field(default_factory=set)  # open windows changed since they were last flushed
    sent: pl.DataFrame = field(default_factory=lambda: frames.empty(_SENT))  # cells of open windows as the last flush stored them
    sent_facets: pl.DataFrame = field(default_factory=lambda: frames.empty(_SENT_FACETS))  # likewise
    sent_totals: set[int] = field(default_factory=set)  # open windows of which a flush told what it left out
    retained: dict[int, Retained] = field(default_factory=dict)
    applied: dict[int, Piece] = field(default_factory=dict)  # source -> rows of its open segment that are in the windows
    watermark_ms: int = -1
    early_ms: int = -1  # windows that start up to here are closed, though not for their time
    forgotten_ms: int = -1  # and up to here forgotten
    frozen_parts: list[TableBytes] = field(default_factory=list, compare=False, repr=False)  # of open windows, at the last `of`
    early: int = 0  # windows so far that closed, ...
    forgotten: int = 0  # ... or were forgotten, before their time; not part of a checkpoint

    @property
    def open_rows(self) -> int:
        """Rows of open windows; some cells are more than one until they are added up."""
        return sum(part.height for tables in (self.open_terms, self.open_facets) for parts in tables.values() for part in parts)

    @property
    def sent_rows(self) -> int:
        """Keys of what flushes have stored of open windows. A flush forgets those that came to nothing: no more than open rows."""
        return self.sent.height + self.sent_facets.height

    @property
    def retained_rows(self) -> int:
        """Stored rows of closed windows."""
        return sum(window.rows for window in self.retained.values())


def close_early(state: WindowState, params: WindowParams) -> int:
    """The start of the newest window that has to close at once for the others to fit; -1: none has to."""
    if state.open_rows <= params.max_open_rows:
        return -1
    for start in state.open_terms.keys() | state.open_facets.keys():
        state.open_terms[start] = [add_cells(state.open_terms.get(start, []))]
        state.open_facets[start] = [add_facets(state.open_facets.get(start, []))]
    rows, closing_ms = state.open_rows, -1
    for start in sorted(state.open_terms):
        if rows <= params.max_open_rows:
            break
        closing_ms = start
        rows -= state.open_terms[start][0].height + state.open_facets[start][0].height
    return closing_ms


def forget(state: WindowState, horizon_ms: int, params: WindowParams) -> None:
    """Forgets closed windows that start up to the horizon, and the oldest of what is too much."""
    state.retained = {start: window for start, window in state.retained.items() if start > horizon_ms}
    rows = state.retained_rows
    for start in sorted(state.retained):
        if rows <= params.max_retained_rows:
            break
        rows -= state.retained.pop(start).rows
        state.forgotten_ms = start
        state.forgotten += 1
