"""Stored counts beside a recount: every event of every term is in a stored window that is as it should be, or among those left out.

A recount of a live log is a range: events that must be stored by now, and those that may be. At rest both are one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, TypedDict

import polars as pl

from agents.recount import CELL, NEVER_MS
from schemas import frames
from schemas.windows import WINDOW_MS
from streams.partition import EVERYWHERE

LEFT_OUT = "(left out)"
EVERYTHING_MS = NEVER_MS - 1  # closed_ms of a pipeline that is idle
STORED = {"term": pl.String, "window_start_ms": pl.Int64, "events": pl.Int64}


class Difference(TypedDict):
    """A count that is not as it should be."""

    term: str  # LEFT_OUT: the events of all terms that were too rare to be stored
    window_start_ms: int
    recounted: int
    stored: int


class Comparison(NamedTuple):
    """Stored windows beside the recount."""

    compared: int  # stored windows, windows of watched terms, and per window the events left out
    different: int
    left_out_events: int  # of terms that nobody watches and that were too rare in a window to be stored
    examples: list[Difference]
    in_motion: int = 0  # compared with a range only, as events for them are under way
    open_windows: int = 0  # not closed yet, so not compared


@dataclass(frozen=True, slots=True)
class Scope:
    """What is compared."""

    closed_ms: int = EVERYTHING_MS  # time that detect has certainly reached
    lateness_ms: int = 0
    min_support: int = 5
    since_ms: int = 0  # windows before it cannot be recounted
    kinds: frozenset[str] = frozenset()  # of terms; empty: all
    terms: frozenset[str] = frozenset()  # empty: all
    limit: int = 1_000  # of examples

    def wants(self) -> pl.Expr:
        """Whether a term is asked for."""
        term = pl.col("term")
        wanted = pl.lit(value=True) if not self.kinds else term.str.split(":").list.first().is_in(list(self.kinds))
        return wanted & term.is_in(list(self.terms)) if self.terms else wanted

    @property
    def adds_up(self) -> bool:
        """Whether what was left out can be accounted for: it is told for all unwatched terms together."""
        return not self.terms and (not self.kinds or bool(self.kinds - {"all", "brand"}))


def compare(stored: pl.DataFrame, left_out: pl.DataFrame, cells: pl.DataFrame, scope: Scope) -> Comparison:
    """Every window that is stored, every window of a watched term, and what the store says it left out of each window.

    `stored` has the columns of STORED, `left_out` window_start_ms and events, `cells` is of recount.CELLS.
    """
    table = _beside(stored, cells, scope)
    table = table.filter(pl.col("window_start_ms") >= scope.since_ms)
    settled = table.filter(pl.col("settled"))
    wanted = settled.filter(scope.wants())
    due = wanted.filter(pl.col("is_stored") | (frames.is_watched(pl.col("term")) & (pl.col("least") > 0)))
    wrong = due.filter(~pl.col("stored").is_between("least", "most"))
    windows = settled["window_start_ms"].unique()
    found, rests = [_difference(row) for row in wrong.iter_rows(named=True)], 0
    if scope.adds_up:
        rests, missing = _rests(settled, left_out.filter(pl.col("window_start_ms").is_in(windows.implode())), scope)
        found += missing
    moving = due.filter(pl.col("least") < pl.col("most")).height
    still_open = table.filter(~pl.col("settled"))["window_start_ms"].n_unique()
    found.sort(key=lambda row: (row["window_start_ms"], row["term"]))
    told = int(left_out["events"].sum())
    return Comparison(due.height + rests, len(found), told, found[: scope.limit], moving, still_open)


def _beside(stored: pl.DataFrame, cells: pl.DataFrame, scope: Scope) -> pl.DataFrame:
    """(term, window, least, most, stored, is_stored, settled). Settled: it must have closed, or it is there as a whole."""
    sure = pl.col("events").filter(pl.col("ready_ms") <= scope.closed_ms).sum()
    counted = cells.group_by(CELL).agg(pl.col("events").sum().alias("most"), sure.alias("least"))
    beside = counted.join(stored.rename({"events": "stored"}), on=CELL, how="full", coalesce=True)
    beside = beside.with_columns(pl.col("stored").is_not_null().alias("is_stored")).fill_null(0)
    all_posts = beside.filter(pl.col("term") == EVERYWHERE).select(
        "window_start_ms", (pl.col("is_stored") & (pl.col("stored") == pl.col("most"))).alias("whole")
    )
    beside = beside.join(all_posts, on="window_start_ms", how="left").with_columns(pl.col("whole").fill_null(value=False))
    closed = pl.col("window_start_ms") + (WINDOW_MS + scope.lateness_ms) <= scope.closed_ms
    least = pl.when(closed | ~pl.col("whole")).then("least").otherwise("most")
    return beside.with_columns(least.alias("least"), (closed | pl.col("whole")).alias("settled"))


def _rests(settled: pl.DataFrame, left_out: pl.DataFrame, scope: Scope) -> tuple[int, list[Difference]]:
    """Windows that leave something out, and where that is not what the recount misses: the terms to blame, or the rest."""
    unstored = settled.filter(~pl.col("is_stored") & ~frames.is_watched(pl.col("term")))
    missing = unstored.group_by("window_start_ms").agg(pl.col("least", "most").sum())
    told = left_out.group_by("window_start_ms").agg(pl.col("events").sum().alias("stored"))
    table = missing.join(told, on="window_start_ms", how="full", coalesce=True).fill_null(0)
    table = table.filter((pl.col("stored") != 0) | (pl.col("most") != 0))
    found: list[Difference] = []
    for row in table.filter(~pl.col("stored").is_between("least", "most")).iter_rows(named=True):
        lacking = row["least"] - row["stored"]
        of_window = pl.col("window_start_ms") == row["window_start_ms"]
        suspects = unstored.filter(of_window & (pl.col("least") >= scope.min_support)).sort("least", descending=True)
        for cell in suspects.iter_rows(named=True):
            if cell["least"] <= lacking:
                found.append(_difference(cell))
                lacking -= cell["least"]
        if lacking:
            found.append(_difference({**row, "term": LEFT_OUT, "least": row["stored"] + lacking, "most": row["stored"] + lacking}))
    return table.height, found


def _difference(cell: dict[str, Any]) -> Difference:
    recounted = cell["least"] if cell["stored"] < cell["least"] else cell["most"]
    return {"term": cell["term"], "window_start_ms": cell["window_start_ms"], "recounted": recounted, "stored": cell["stored"]}
