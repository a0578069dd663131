"""Cells: the counts of a term in a window, and the arithmetic of tables of them. Equal sums are equal bytes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from schemas import frames
from streams.cell_sums import add_up, keys, numbers, sketches

SUMS = list(frames.COUNTS)
CELL = ["window_start_ms", "term"]
FACET = ["window_start_ms", "term", "facet"]

CELLS: dict[str, pl.DataType] = {
    "window_start_ms": pl.Int64(),
    "term": pl.String(),
    **frames.COUNTS,
    "authors": pl.List(pl.UInt64()),
}


def smallest(authors: pl.Expr) -> pl.Expr:
    """The k-minimum-values sketch of a list of author hashes: the k smallest distinct ones, ascending."""
    return authors.list.unique().list.sort().list.head(frames.SKETCH_SIZE)


def add_cells(parts: Sequence[pl.DataFrame], by: Sequence[str] = CELL) -> pl.DataFrame:
    """One row per key: counts added, sketches merged, rows that came to nothing dropped."""
    if not parts:
        return frames.empty(CELLS)
    table = pl.concat(parts)
    gathered = table.lazy().group_by(by).agg(pl.col(SUMS).sum(), pl.col("authors").explode(empty_as_null=False))
    return gathered.with_columns(smallest(pl.col("authors"))).filter(pl.any_horizontal(pl.col(SUMS) != 0)).sort(by).collect()


class Added:
    """What the rows of a table add up to: cells by number, in no order, with sketches only of those that are asked for."""

    def __init__(self, table: pl.DataFrame) -> None:
        self._table = table
        groups = add_up(keys(table["window_start_ms"], table["term"]), tuple(numbers(table[name]) for name in SUMS))
        self._of_row, self._first, self._sums = groups
        self.cells = np.flatnonzero(self._sums.any(axis=1))
        """Those that did not come to nothing."""
        self.events = self._sums[:, 0]
        self.windows = table["window_start_ms"].to_numpy()[self._first]

    def where(self, rows: pl.Expr) -> npt.NDArray[np.bool_]:
        """Of which cells this is true, an expression of their rows' window and term."""
        flags = self._table.select(rows).to_series().to_numpy().astype(np.bool_, copy=False)
        of_cells: npt.NDArray[np.bool_] = flags[self._first]
        return of_cells

    def frame(self, cells: npt.NDArray[np.int64]) -> pl.DataFrame:
        """These cells with their sums, and their numbers."""
        first = self._first[cells]
        sums = {name: self._sums[cells, number] for number, name in enumerate(SUMS)}
        return pl.DataFrame(
            {"window_start_ms": self.windows[cells], "term": self._table["term"].gather(first), **sums, "cell": cells}
        )

    def with_sketches(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Some rows of `frame` as CELLS: what `add_cells` would say of them."""
        wanted = np.full(self._first.size, -1)
        wanted[frame["cell"].to_numpy()] = np.arange(frame.height)
        authors = self._table["authors"]
        ends = np.cumsum(authors.list.len().fill_null(0).to_numpy(), dtype=np.int64)
        known = numbers(authors.list.explode(empty_as_null=False).drop_nulls())
        found, counts = sketches(self._of_row, wanted, ends, known, frames.SKETCH_SIZE)
        return frame.with_columns(lists_of(found, counts).alias("authors")).select(list(CELLS)).cast(CELLS)  # type: ignore[arg-type]


def lists_of(values: npt.NDArray[Any], counts: npt.NDArray[np.int64]) -> pl.Series:
    """A column of lists with so many of the values each."""
    cell = np.repeat(np.arange(counts.size, dtype=np.uint32), counts)
    table = pl.DataFrame({"cell": pl.Series(cell).set_sorted(), "value": values})
    filled = table.group_by("cell", maintain_order=True).agg("value")["value"]
    if counts.all():
        return filled
    place = np.cumsum(counts > 0) - 1
    return filled.gather(pl.Series(np.where(counts > 0, place, -1)).replace(-1, None)).fill_null([])


def add_facets(parts: Sequence[pl.DataFrame], by: Sequence[str] = FACET) -> pl.DataFrame:
    """One row per key with the events added."""
    if not parts:
        return frames.empty(frames.FACET_ROWS)
    return pl.concat(parts).group_by(by).agg(pl.col("events").sum()).filter(pl.col("events") != 0).sort(by)


def vanished(known: pl.DataFrame, now: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    """For each of the `known` keys that `now` has not, a row of zeros with its columns: what was stored and is nothing now."""
    columns = {name: kind for name, kind in now.schema.items() if name not in by}
    zeros = [pl.lit([] if kind == pl.List else 0, kind).alias(name) for name, kind in columns.items()]
    return known.select(by).join(now, on=by, how="anti").sort(by).with_columns(zeros).select(now.columns)


def places_of(terms: pl.Series, table: pl.DataFrame) -> npt.NDArray[np.int64]:
    """Rows of a table sorted by term, each term once, that are of these distinct terms; ascending."""
    if table.is_empty():
        return np.zeros(0, np.int64)
    places = np.minimum(table["term"].search_sorted(terms).to_numpy(), table.height - 1).astype(np.int64)
    return np.sort(places[(table["term"].gather(places) == terms).to_numpy()])


def put_in(rows: pl.DataFrame, table: pl.DataFrame, places: npt.NDArray[np.int64]) -> pl.DataFrame:
    """The table with these rows instead of those at `places`, which are of the same terms; both sorted by term."""
    if table.is_empty():
        return rows
    kept = np.delete(np.arange(table.height), places)
    at = table["term"].search_sorted(rows["term"]).to_numpy().astype(np.int64)
    return pl.concat([table, rows])[np.insert(kept, at - np.searchsorted(places, at), table.height + np.arange(rows.height))]


def owned(rows: pl.DataFrame) -> pl.DataFrame:
    """The same rows in memory of their own: a few rows filtered out of a table keep the texts of all of it, 15 MB for 1 MB."""
    return pl.read_ipc_stream(frames.written(rows, "uncompressed"))


def negated(rows: pl.DataFrame) -> pl.DataFrame:
    """The same rows to be taken off; sketches stay, what they hold was seen."""
    return rows.with_columns(-pl.col([name for name in SUMS if name in rows.columns]))


def by_window(rows: pl.DataFrame) -> dict[int, pl.DataFrame]:
    """The rows of each window."""
    parts = rows.partition_by("window_start_ms", as_dict=True, maintain_order=True)
    return {int(key[0]): part for key, part in parts.items()}


def slices_by(column: str, rows: pl.DataFrame) -> dict[int, pl.DataFrame]:
    """The rows of each value of a sorted column, without it; ten times as fast as `partition_by` for thousands of values."""
    values = rows[column].to_numpy()
    bounds = [*np.flatnonzero(np.diff(values, prepend=values[:1] - 1)).tolist(), rows.height]
    others = rows.drop(column)
    return {int(values[start]): others.slice(start, end - start) for start, end in pairwise(bounds)}
