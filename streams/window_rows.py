"""Rows of windows on their way to the store: each key once, stamped with its part and version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from schemas import frames
from schemas.windows import FACET_WINDOW_ROWS, TOTAL_ROWS, WINDOW_ROWS
from streams.cells import CELL, FACET
from streams.window_state import LeftOut, WindowParams


@dataclass(frozen=True, slots=True)
class Emitted:
    """Rows to store."""

    rows: pl.DataFrame  # WINDOW_ROWS
    facets: pl.DataFrame  # FACET_WINDOW_ROWS
    totals: pl.DataFrame  # TOTAL_ROWS
    late_events: int  # events that corrected a closed window
    expired_events: int  # events whose window was already forgotten


class Out:
    """Rows on their way out, stamped with part and version."""

    def __init__(self, version: int, params: WindowParams) -> None:
        self.version, self.params = version, params
        self.rows = [frames.empty(WINDOW_ROWS)]
        self.facets = [frames.empty(FACET_WINDOW_ROWS)]
        self.totals: dict[int, LeftOut] = {}

    def add(self, rows: pl.DataFrame, facets: pl.DataFrame, left_out: Mapping[int, LeftOut], part: pl.Expr | None = None) -> None:
        own = pl.lit(str(self.params.partition))
        stamp = [(own if part is None else pl.format("{}/{}", own, part)).alias("part")]
        stamp.append(pl.lit(self.version, pl.Int64).alias("version"))
        self.rows.append(rows.with_columns(*stamp).select(list(WINDOW_ROWS)))
        self.facets.append(facets.with_columns(*stamp).select(list(FACET_WINDOW_ROWS)))
        self.totals.update(left_out)

    def emitted(self, late: int, expired: int) -> Emitted:
        part = str(self.params.partition)
        totals = [(start, part, self.version, *left_out) for start, left_out in sorted(self.totals.items())]
        # a cell that was closed and corrected at once is in there twice: the correction came last and counts
        rows = pl.concat(self.rows).unique([*CELL, "part"], keep="last", maintain_order=True)
        facets = pl.concat(self.facets).unique([*FACET, "part"], keep="last", maintain_order=True)
        return Emitted(rows, facets, pl.DataFrame(totals, schema=TOTAL_ROWS, orient="row"), late, expired)
