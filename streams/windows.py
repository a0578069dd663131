"""Windows: counts of terms per 10 s of event time, each event in exactly one, late ones as corrections.

An event whose window is still open when its second of the log clock is applied is on time. A window `[start, end)`
closes when the watermark passes `end + lateness_ms`; then every watched term and every other term with at least
`min_support` events is stored, what is left out is counted. For `retain_ms` more, late events correct the stored rows;
after that they become rows of their own beside them (`part` in schemas.windows), so sums stay exact for ever.

Rows carry as version the offset in the partials log behind which they were made: what a row says is a function of the
log up to there, so of two rows with one key the higher version is the truth, and equal versions are equal rows.
State: cells of open windows in full, stored cells of `retain_ms`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import polars as pl

from schemas import frames
from schemas.windows import FACET_WINDOW_ROWS, TOTAL_ROWS, WINDOW_MS, WINDOW_ROWS
from streams.alignment import Piece
from streams.cells import CELL, CELLS, FACET, SUMS, add_cells, add_facets, by_window, negated, slices_by
from streams.partition import EVERYWHERE, partition_of

_SENT = {"window_start_ms": pl.Int64(), "term": pl.String()}
_COMPACT_PARTS = 32  # keeps an open window near the size of its distinct terms


@dataclass(frozen=True, slots=True)
class WindowParams:
    """When windows close and what is stored."""

    partition: int = 0  # of the partials topic
    partitions: int = 1
    lateness_ms: int = 30_000  # Bluesky's author clocks are off by -37 s to +56 s; detection does not wait for it
    retain_ms: int = 3_600_000
    min_support: int = 5  # events per window; half of all terms of a network occur once

    def __post_init__(self) -> None:
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
class Retained:
    """Stored cells of a closed window."""

    cells: pl.DataFrame
    facets: pl.DataFrame
    left_out: LeftOut


@dataclass(slots=True)
class WindowState:
    """Owned by the caller."""

    open_terms: dict[int, list[pl.DataFrame]] = field(default_factory=dict)  # window -> CELLS to be added up
    open_facets: dict[int, list[pl.DataFrame]] = field(default_factory=dict)
    dirty: set[int] = field(default_factory=set)  # open windows changed since they were last flushed
    sent: pl.DataFrame = field(default_factory=lambda: frames.empty(_SENT))  # cells of open windows stored by a flush
    retained: dict[int, Retained] = field(default_factory=dict)
    applied: dict[int, Piece] = field(default_factory=dict)  # source -> rows of its open segment that are in the windows
    watermark_ms: int = -1


@dataclass(frozen=True, slots=True)
class Emitted:
    """Rows to store, and on-time rows per second of the log clock for the detector."""

    rows: pl.DataFrame  # WINDOW_ROWS
    facets: pl.DataFrame  # FACET_WINDOW_ROWS
    totals: pl.DataFrame  # TOTAL_ROWS
    on_time: dict[int, pl.DataFrame]  # step_ms -> TERM_ROWS, one row per (window, term)
    late_events: int  # events that corrected a closed window
    expired_events: int  # events whose window was already forgotten


def apply_pieces(state: WindowState, pieces: Sequence[Piece], watermark_ms: int, version: int, params: WindowParams) -> Emitted:
    """Counts the pieces and closes what the watermark has passed. `version`: offset in the partials log behind them."""
    terms, facets = _stamped(state, pieces, state.watermark_ms)
    state.watermark_ms = watermark_ms
    closes = pl.col("window_start_ms") + (WINDOW_MS + params.lateness_ms)
    on_time = terms.filter(closes > pl.col("step_ms"))
    _add_to_open(state, on_time, facets.filter(closes > pl.col("step_ms")), watermark_ms, params)
    out = _Out(version, params)
    _close(state, watermark_ms, out)
    late, late_facets = (table.filter(closes <= pl.col("step_ms")) for table in (terms, facets))
    horizon_ms = watermark_ms - WINDOW_MS - params.lateness_ms - params.retain_ms
    forgotten = pl.col("window_start_ms") <= horizon_ms
    _correct(state, late.filter(~forgotten), late_facets.filter(~forgotten), out)
    expired = late.filter(forgotten)
    _add_beside(expired, late_facets.filter(forgotten), out)
    state.retained = {start: window for start, window in state.retained.items() if start > horizon_ms}
    return out.emitted(_per_step(on_time), _events(late, params) - _events(expired, params), _events(expired, params))


def flush_open(state: WindowState, version: int, params: WindowParams) -> Emitted:
    """Rows of open windows as they stand, so that a stream that has gone quiet is stored without waiting for its clock."""
    out = _Out(version, params)
    for start in sorted(state.dirty & state.open_terms.keys()):
        state.open_terms[start] = [add_cells(state.open_terms[start])]
        state.open_facets[start] = [add_facets(state.open_facets.get(start, []))]
        stored, left_out = _select(state.open_terms[start][0], state.sent, params)
        out.add(stored, state.open_facets[start][0], left_out)
        state.sent = pl.concat([state.sent, stored.select(CELL)]).unique(maintain_order=True)
    state.dirty = set()
    return out.emitted({}, 0, 0)


class _Out:
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

    def emitted(self, on_time: dict[int, pl.DataFrame], late: int, expired: int) -> Emitted:
        part = str(self.params.partition)
        totals = [(start, part, self.version, *left_out) for start, left_out in sorted(self.totals.items())]
        # a cell that was closed and corrected at once is in there twice: the correction came last and counts
        rows = pl.concat(self.rows).unique([*CELL, "part"], keep="last", maintain_order=True)
        facets = pl.concat(self.facets).unique([*FACET, "part"], keep="last", maintain_order=True)
        return Emitted(rows, facets, pl.DataFrame(totals, schema=TOTAL_ROWS, orient="row"), on_time, late, expired)


def _stamped(state: WindowState, pieces: Sequence[Piece], floor_ms: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """All rows with their second and part; what was already counted of an open segment is taken off again."""
    terms, facets = [frames.empty(frames.TERM_ROWS)], [frames.empty(frames.FACET_ROWS)]
    steps_ms, parts = [floor_ms], [""]
    for piece in pieces:
        before = state.applied.pop(piece.source, None)
        if not piece.final:
            state.applied[piece.source] = piece
        terms += [piece.terms] if before is None else [piece.terms, negated(before.terms)]
        facets += [piece.facets] if before is None else [piece.facets, negated(before.facets)]
        stamps = 1 if before is None else 2
        steps_ms += [max(piece.step_ms, floor_ms)] * stamps
        parts += [f"{piece.source}:{piece.start}-{piece.end}"] * stamps
    return _with_stamps(terms, steps_ms, parts), _with_stamps(facets, steps_ms, parts)


def _with_stamps(tables: Sequence[pl.DataFrame], steps_ms: Sequence[int], parts: Sequence[str]) -> pl.DataFrame:
    """The tables as one, each row stamped with the second and the part of its table."""
    of = np.repeat(np.arange(len(tables)), [table.height for table in tables])
    stamps = (pl.Series("step_ms", steps_ms, pl.Int64).gather(of), pl.Series("part", parts, pl.String).gather(of))
    return pl.concat(tables, rechunk=True).with_columns(*stamps)


def _add_to_open(state: WindowState, terms: pl.DataFrame, facets: pl.DataFrame, watermark_ms: int, params: WindowParams) -> None:
    """Rows of windows that stay open go to each; those of windows that close at once are kept together under one key."""
    last_closing = watermark_ms - WINDOW_MS - params.lateness_ms
    window = pl.col("window_start_ms")
    for table, target in (
        (terms.select(list(CELLS)), state.open_terms),
        (facets.select(list(frames.FACET_ROWS)), state.open_facets),
    ):
        at_once = table.filter(window <= last_closing)
        if at_once.height:
            target.setdefault(last_closing, []).append(at_once)
        for start, part in by_window(table.filter(window > last_closing)).items():
            target.setdefault(start, []).append(part)
            state.dirty.add(start)
    for start, parts in state.open_terms.items():
        if len(parts) >= _COMPACT_PARTS:
            state.open_terms[start] = [add_cells(parts)]


def _close(state: WindowState, watermark_ms: int, out: _Out) -> None:
    params = out.params
    last_closing = watermark_ms - WINDOW_MS - params.lateness_ms
    over = sorted(start for start in state.open_terms.keys() | state.open_facets.keys() if start <= last_closing)
    if not over:
        return
    cells = add_cells([part for start in over for part in state.open_terms.pop(start, [])])
    facets = add_facets([part for start in over for part in state.open_facets.pop(start, [])])
    stored, left_out = _select(cells, state.sent, params)
    facets = facets if params.owns_everywhere else facets.filter(pl.col("term") != EVERYWHERE)
    out.add(stored, facets, left_out)
    state.sent = state.sent.filter(pl.col("window_start_ms") > last_closing)
    state.dirty.difference_update(over)
    kept = pl.col("window_start_ms") > last_closing - params.retain_ms
    facets_of = by_window(facets.filter(kept))
    nothing = frames.empty(frames.FACET_ROWS)
    cells_of = by_window(stored.filter(kept))
    for start in {start for start in left_out if start > last_closing - params.retain_ms}:
        state.retained[start] = Retained(cells_of.get(start, frames.empty(CELLS)), facets_of.get(start, nothing), left_out[start])


def _select(cells: pl.DataFrame, sent: pl.DataFrame, params: WindowParams) -> tuple[pl.DataFrame, dict[int, LeftOut]]:
    """The cells to store, and per window what is left out."""
    term = pl.col("term")
    if not params.owns_everywhere:
        cells = cells.filter(term != EVERYWHERE)
    wanted = frames.is_watched(term) | (pl.col("events") >= params.min_support)
    if sent.height:
        cells = cells.join(sent.with_columns(sent=True), on=CELL, how="left", maintain_order="left")
        wanted |= pl.col("sent").is_not_null()
    table = cells.with_columns(wanted.alias("stored"))
    out = table.group_by("window_start_ms").agg(
        (~pl.col("stored")).sum().alias("terms"), pl.col("events").filter(~pl.col("stored")).sum().alias("events")
    )
    left_out = {start: LeftOut(terms, events) for start, terms, events in out.iter_rows()}
    return table.filter("stored").select(list(CELLS)), left_out


def _correct(state: WindowState, late: pl.DataFrame, late_facets: pl.DataFrame, out: _Out) -> None:
    """Adds late rows to the stored cells of retained windows; an unwatched term that was not stored stays left out."""
    if not out.params.owns_everywhere:
        late, late_facets = (table.filter(pl.col("term") != EVERYWHERE) for table in (late, late_facets))
    if late.is_empty():
        return
    starts = sorted(set(late["window_start_ms"].to_list()))
    windows = {start: _retained(state, start) for start in starts}
    base = pl.concat([window.cells for window in windows.values()])
    base_facets = pl.concat([window.facets for window in windows.values()])
    known = late.join(base, on=CELL, how="semi", maintain_order="left")
    new = late.join(base, on=CELL, how="anti", maintain_order="left")
    added = pl.concat([known, new.filter(frames.is_watched(pl.col("term")))]).select(list(CELLS))
    changed = add_cells([base.join(added, on=CELL, how="semi"), added])
    changed_facets = add_facets([base_facets, late_facets.select(list(frames.FACET_ROWS))])
    left = new.filter(~frames.is_watched(pl.col("term"))).group_by("window_start_ms").agg(pl.col("events").sum())
    cells_of = by_window(pl.concat([base.join(added, on=CELL, how="anti"), changed]).sort(CELL))
    facets_of, left_of = by_window(changed_facets), dict(left.iter_rows())
    for start, window in windows.items():
        window.cells, window.facets = cells_of.get(start, window.cells), facets_of.get(start, window.facets)
        window.left_out = LeftOut(window.left_out.terms, window.left_out.events + left_of.get(start, 0))
    facets = changed_facets.join(late_facets, on=FACET, how="semi", maintain_order="left")
    out.add(changed, facets, {start: window.left_out for start, window in windows.items()})


def _retained(state: WindowState, start: int) -> Retained:
    nothing = Retained(frames.empty(CELLS), frames.empty(frames.FACET_ROWS), LeftOut(0, 0))
    return state.retained.setdefault(start, nothing)


def _add_beside(late: pl.DataFrame, facets: pl.DataFrame, out: _Out) -> None:
    """Rows of their own for windows that are forgotten, named by what brought them.

    A segment's final rows come as the difference to its provisional ones, so both stand: the name holds the end too.
    """
    if not out.params.owns_everywhere:
        late, facets = (table.filter(pl.col("term") != EVERYWHERE) for table in (late, facets))
    if late.is_empty():
        return
    rows = add_cells([late.select(*CELLS, "part")], by=[*CELL, "part"])
    out.add(rows, add_facets([facets.select(*frames.FACET_ROWS, "part")], by=[*FACET, "part"]), {}, pl.col("part"))


def _per_step(on_time: pl.DataFrame) -> dict[int, pl.DataFrame]:
    """On-time rows of each second in ascending order, one row per cell."""
    if on_time.is_empty():
        return {}
    keys = ["step_ms", *CELL]
    lists = ["authors", "sample_hashes", "sample_partitions", "sample_offsets"]
    merged = on_time.group_by(keys).agg(pl.col(SUMS).sum(), pl.col(lists).explode(empty_as_null=False))
    ordered = merged.filter(pl.any_horizontal(pl.col(SUMS) != 0)).sort(keys).select("step_ms", *frames.TERM_ROWS)
    return slices_by("step_ms", ordered)


def _events(late: pl.DataFrame, params: WindowParams) -> int:
    """Events among late rows: every post has the term EVERYWHERE once."""
    if not params.owns_everywhere:
        return 0
    return int(late.filter(pl.col("term") == EVERYWHERE)["events"].sum())
