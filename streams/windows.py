"""Windows: counts of terms per 10 s of event time, each event in exactly one, late ones as corrections.

An event whose window is still open when its second of the log clock is applied is on time. A window `[start, end)`
closes when the watermark passes `end + lateness_ms`; then every watched term and every other term with at least
`min_support` events is stored, what is left out is counted. For `retain_ms` more, late events correct the stored rows;
after that they become rows of their own beside them (`part` in schemas.windows), so sums stay exact for ever. A stored row that
comes to nothing is stored again with zeros: by the next flush or when its window closes, or with the correction that takes it off.

Rows carry as version the offset in the partials log behind which they were made: what a row says is a function of the
log up to there, so of two rows with one key the higher version is the truth, and equal versions are equal rows.
State: streams.window_state, with its bounds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from schemas import frames
from schemas.windows import WINDOW_MS
from streams.alignment import Piece
from streams.cells import (
    CELL,
    CELLS,
    FACET,
    SUMS,
    Added,
    add_cells,
    add_facets,
    by_window,
    negated,
    owned,
    places_of,
    vanished,
)
from streams.partition import EVERYWHERE
from streams.window_rows import Emitted, Out
from streams.window_state import LeftOut, Retained, WindowParams, WindowState, close_early, forget

__all__ = [
    "Emitted",
    "Fresh",
    "LeftOut",
    "Retained",
    "WindowParams",
    "WindowState",
    "apply_pieces",
    "count_fresh",
    "flush_open",
    "sort_out",
]

_MANY_SLICES = 100
_COMPACT_PARTS = (
    64  # of an open window; four sources bring 40 within its 10 s, and as many again every 10 s while it waits for late ones
)
_SMALL_ROWS = 1_000
_MANY_LARGE = 512


class Fresh(NamedTuple):
    """The rows of some pieces, each stamped with its second and the number of its part; not yet in any window."""

    terms: pl.DataFrame
    facets: pl.DataFrame
    parts: Sequence[str]
    in_time: tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]  # of terms and facets
    timely: tuple[pl.DataFrame, pl.DataFrame]  # those of them
    on_time: pl.DataFrame  # step_ms and frames.TERM_ROWS of what is in time, by second, one row per (window, term)
    on_time_facets: pl.DataFrame  # step_ms and frames.FACET_ROWS of the same events, likewise


def apply_pieces(state: WindowState, pieces: Sequence[Piece], watermark_ms: int, version: int, params: WindowParams) -> Emitted:
    """Counts the pieces and closes what the watermark has passed. `version`: offset in the partials log behind them."""
    return count_fresh(state, sort_out(state, pieces, params), watermark_ms, version, params)


def sort_out(state: WindowState, pieces: Sequence[Piece], params: WindowParams) -> Fresh:
    """What the pieces bring, to be counted before anything else comes; of what is on time the detector need not wait for that."""
    taken_off = not state.applied.keys().isdisjoint(piece.source for piece in pieces)
    tables, parts = _stamped(state, pieces, state.watermark_ms)
    terms, facets = (_starts(table) + (WINDOW_MS + params.lateness_ms) > table["step_ms"].to_numpy() for table in tables)
    timely = _where(tables[0], terms), _where(tables[1], facets)
    return Fresh(
        *tables,
        parts,
        (terms, facets),
        timely,
        _by_step(timely[0].select("step_ms", *frames.TERM_ROWS), taken_off),
        timely[1].drop("part").sort("step_ms", *FACET),
    )


def count_fresh(state: WindowState, fresh: Fresh, watermark_ms: int, version: int, params: WindowParams) -> Emitted:
    """Counts what was sorted out and closes what the watermark has passed."""
    tables = fresh.terms, fresh.facets
    state.watermark_ms = watermark_ms
    is_open = [flags & (_starts(table) > state.early_ms) for flags, table in zip(fresh.in_time, tables, strict=True)]
    open_terms, open_facets = (_where(table, _starts(table) > state.early_ms) for table in fresh.timely)
    _add_to_open(state, open_terms, open_facets, watermark_ms, params)
    out = Out(version, params)
    due_ms = watermark_ms - WINDOW_MS - params.lateness_ms
    horizon_ms = max(due_ms - params.retain_ms, state.forgotten_ms)
    _close(state, due_ms, horizon_ms, out)
    late, late_facets = (_where(table, ~flags) for table, flags in zip(tables, is_open, strict=True))
    forgotten = pl.col("window_start_ms") <= horizon_ms
    _correct(state, late.filter(~forgotten), late_facets.filter(~forgotten), out)
    expired = late.filter(forgotten)
    _add_beside(expired, late_facets.filter(forgotten), fresh.parts, out)
    forget(state, horizon_ms, params)
    return out.emitted(_events(late, params) - _events(expired, params), _events(expired, params))


def flush_open(state: WindowState, version: int, params: WindowParams) -> Emitted:
    """Rows of open windows as they stand, so that a stream that has gone quiet is stored without waiting for its clock."""
    out = Out(version, params)
    starts = sorted(state.dirty & state.open_terms.keys())
    for start in starts:
        state.open_terms[start] = [add_cells(state.open_terms[start])]
        state.open_facets[start] = [add_facets(state.open_facets.get(start, []))]
    cells = pl.concat([frames.empty(CELLS), *(state.open_terms[start][0] for start in starts)])
    facets = pl.concat([frames.empty(frames.FACET_ROWS), *(state.open_facets[start][0] for start in starts)])
    stored = _store(state, cells, facets, pl.col("window_start_ms").is_in(starts), out)
    state.sent = owned(pl.concat([state.sent, stored.cells.select(CELL)]))
    state.sent_facets = owned(pl.concat([state.sent_facets, stored.facets.select(FACET)]))
    state.sent_totals |= stored.left_out.keys()
    state.dirty = set()
    return out.emitted(0, 0)


def _starts(table: pl.DataFrame) -> npt.NDArray[np.int64]:
    return table["window_start_ms"].to_numpy()


def _where(table: pl.DataFrame, flags: npt.NDArray[np.bool_]) -> pl.DataFrame:
    """The rows with a flag: mostly all or none, and then no row is copied."""
    if flags.all():
        return table
    return table.filter(pl.Series(flags)) if flags.any() else table.clear()


def _stamped(state: WindowState, pieces: Sequence[Piece], floor_ms: int) -> tuple[tuple[pl.DataFrame, pl.DataFrame], Sequence[str]]:
    """All rows with their second and the number of their part, and the names of the parts.

    What was already counted of an open segment is taken off again.
    """
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
        again = before is not None and before.end == piece.end  # decided otherwise than guessed: two rows beside, not one
        parts += [f"{piece.source}:{piece.start}-{piece.end}{'+' if again else ''}"] * stamps
    return (_with_stamps(terms, steps_ms), _with_stamps(facets, steps_ms)), parts


def _with_stamps(tables: Sequence[pl.DataFrame], steps_ms: Sequence[int]) -> pl.DataFrame:
    """The tables as one, each row stamped with the second and the number of its table."""
    heights = [table.height for table in tables]
    stamps = pl.Series("step_ms", np.repeat(steps_ms, heights)), pl.Series("part", np.repeat(np.arange(len(tables)), heights))
    return pl.concat(tables, rechunk=True).with_columns(*stamps)


def _add_to_open(state: WindowState, terms: pl.DataFrame, facets: pl.DataFrame, watermark_ms: int, params: WindowParams) -> None:
    """Rows of windows that stay open go to each; those of windows that close at once are kept together under one key."""
    last_closing = watermark_ms - WINDOW_MS - params.lateness_ms
    for table, target in (
        (terms.select(list(CELLS)), state.open_terms),
        (facets.select(list(frames.FACET_ROWS)), state.open_facets),
    ):
        at_once = _starts(table) <= last_closing
        if at_once.any():
            target.setdefault(last_closing, []).append(_where(table, at_once))
        for start, part in _by_window(_where(table, ~at_once)):
            target.setdefault(start, []).append(part)
            state.dirty.add(start)
    for start, parts in state.open_terms.items():
        if len(parts) >= _COMPACT_PARTS:
            state.open_terms[start] = _fewer(parts, add_cells)
    for start, parts in state.open_facets.items():
        if len(parts) >= _COMPACT_PARTS:
            state.open_facets[start] = _fewer(parts, add_facets)


def _fewer(parts: list[pl.DataFrame], add: Callable[[Sequence[pl.DataFrame]], pl.DataFrame]) -> list[pl.DataFrame]:
    """The small parts as one; all of them if many are large: adding those takes long, and saves little memory."""
    small = [part for part in parts if part.height < _SMALL_ROWS]
    large = [part for part in parts if part.height >= _SMALL_ROWS]
    if len(large) >= _MANY_LARGE:
        return [owned(add(parts))]
    return [*large, owned(add(small))] if len(small) >= _COMPACT_PARTS // 2 else parts


def _by_window(table: pl.DataFrame) -> Iterable[tuple[int, pl.DataFrame]]:
    """The rows of each window, in parts: as slices, unless there are many."""
    starts = _starts(table)
    bounds = [0, *(np.flatnonzero(starts[1:] != starts[:-1]) + 1).tolist(), starts.size]
    if len(bounds) > _MANY_SLICES:
        return by_window(table).items()
    return [(int(starts[start]), table.slice(start, end - start)) for start, end in pairwise(bounds) if end > start]


def _close(state: WindowState, due_ms: int, horizon_ms: int, out: Out) -> None:
    params = out.params
    state.early_ms = max(state.early_ms, close_early(state, params))
    last_closing = max(due_ms, state.early_ms)
    over = sorted(start for start in state.open_terms.keys() | state.open_facets.keys() if start <= last_closing)
    if not over:
        return
    state.early += sum(start > due_ms for start in over)
    parts = [part for start in over for part in state.open_terms.pop(start, [])]
    facets = add_facets([part for start in over for part in state.open_facets.pop(start, [])])
    stored = _store(state, pl.concat([frames.empty(CELLS), *parts]), facets, pl.col("window_start_ms") <= last_closing, out)
    state.dirty.difference_update(over)
    kept = pl.col("window_start_ms") > horizon_ms
    facets_of = by_window(owned(stored.facets.filter(kept)))
    nothing = frames.empty(frames.FACET_ROWS)
    cells_of = by_window(owned(stored.cells.filter(kept)))
    for start, left_out in stored.left_out.items():
        if start > horizon_ms:
            state.retained[start] = Retained(cells_of.get(start, frames.empty(CELLS)), facets_of.get(start, nothing), left_out)


class _Stored(NamedTuple):
    """What is stored of some windows, without the zeros."""

    cells: pl.DataFrame
    facets: pl.DataFrame
    left_out: dict[int, LeftOut]


def _store(state: WindowState, rows: pl.DataFrame, facets: pl.DataFrame, windows: pl.Expr, out: Out) -> _Stored:
    """Stores the cells of `windows` that these rows add up to; what flushes have stored there and is nothing now becomes zeros."""
    sent, sent_facets = state.sent.filter(windows), state.sent_facets.filter(windows)
    stored, left_out = _select(Added(rows), sent, out.params)
    facets = facets if out.params.owns_everywhere else facets.filter(pl.col("term") != EVERYWHERE)
    told = pl.DataFrame({"window_start_ms": sorted(state.sent_totals)}, schema={"window_start_ms": pl.Int64})
    told_now = told.filter(windows)["window_start_ms"].to_list()
    empty_now = dict.fromkeys(set(told_now) - left_out.keys(), LeftOut(0, 0))
    out.add(stored, facets, left_out | empty_now)
    out.add(vanished(sent, stored, CELL), vanished(sent_facets, facets, FACET), {})
    state.sent, state.sent_facets = owned(state.sent.filter(~windows)), owned(state.sent_facets.filter(~windows))
    state.sent_totals.difference_update(told_now)
    return _Stored(stored, facets, left_out)


def _select(added: Added, sent: pl.DataFrame, params: WindowParams) -> tuple[pl.DataFrame, dict[int, LeftOut]]:
    """The cells to store, and per window what is left out."""
    term, cells = pl.col("term"), added.cells
    if not params.owns_everywhere:
        cells = cells[~added.where(term == EVERYWHERE)[cells]]
    wanted = added.where(frames.is_watched(term)) | (added.events >= params.min_support)
    if sent.height:
        before = added.frame(cells).join(sent, on=CELL, how="semi", maintain_order="left")
        wanted[before["cell"].to_numpy()] = True
    starts, of_cell = np.unique(added.windows[cells], return_inverse=True)
    out = ~wanted[cells]
    terms, events = np.bincount(of_cell[out], minlength=starts.size), np.zeros(starts.size, np.int64)
    np.add.at(events, of_cell[out], added.events[cells[out]])
    left_out = dict(zip(starts.tolist(), map(LeftOut, terms.tolist(), events.tolist()), strict=True))
    return added.with_sketches(added.frame(cells[~out]).sort(CELL)), left_out


def _correct(state: WindowState, late: pl.DataFrame, late_facets: pl.DataFrame, out: Out) -> None:
    """Adds late rows to the stored cells of retained windows; an unwatched term that was not stored stays left out."""
    if not out.params.owns_everywhere:
        late, late_facets = (table.filter(pl.col("term") != EVERYWHERE) for table in (late, late_facets))
    if late.is_empty():
        return
    terms_of = {start: rows["term"].unique() for start, rows in by_window(late).items()}
    windows = {start: _retained(state, start) for start in terms_of}
    places = {start: places_of(terms_of[start], window.cells) for start, window in windows.items()}
    known = pl.concat([window.cells[places[start]] for start, window in windows.items()])
    unknown = late.join(known, on=CELL, how="anti", maintain_order="left")
    is_watched = frames.is_watched(pl.col("term"))
    stored = late.join(known, on=CELL, how="semi", maintain_order="left")
    added = pl.concat([stored, unknown.filter(is_watched)]).select(list(CELLS))
    changed = add_cells([known, added])
    left_of = dict(unknown.filter(~is_watched).group_by("window_start_ms").agg(pl.col("events").sum()).iter_rows())
    changed_of, nothing = by_window(owned(changed)), frames.empty(CELLS)
    for start, window in windows.items():
        window.correct(changed_of.get(start, nothing), places[start])
        window.left_out = LeftOut(window.left_out.terms, window.left_out.events + left_of.get(start, 0))
    facets = _correct_facets(windows, late_facets, out)
    out.add(changed, facets, {start: window.left_out for start, window in windows.items()})
    if added.select(CELL).n_unique() > changed.height:
        out.add(vanished(known, changed, CELL), frames.empty(frames.FACET_ROWS), {})


def _correct_facets(windows: Mapping[int, Retained], late: pl.DataFrame, out: Out) -> pl.DataFrame:
    """Adds late rows to the stored facets of these windows; returns those that changed."""
    if late.is_empty():
        return frames.empty(frames.FACET_ROWS)
    known, added = pl.concat([window.facets for window in windows.values()]), late.select(list(frames.FACET_ROWS))
    changed = add_facets([known, added])
    changed_of, nothing = by_window(owned(changed)), frames.empty(frames.FACET_ROWS)
    for start, window in windows.items():
        window.facets = changed_of.get(start, nothing)
    if pl.concat([known, added]).select(FACET).n_unique() > changed.height:
        out.add(frames.empty(CELLS), vanished(known, changed, FACET), {})
    return changed.join(added, on=FACET, how="semi", maintain_order="left")


def _retained(state: WindowState, start: int) -> Retained:
    nothing = Retained(frames.empty(CELLS), frames.empty(frames.FACET_ROWS), LeftOut(0, 0))
    return state.retained.setdefault(start, nothing)


def _add_beside(late: pl.DataFrame, facets: pl.DataFrame, names: Sequence[str], out: Out) -> None:
    """Rows of their own for windows that are forgotten, named by what brought them.

    A segment's final rows come as the difference to its provisional ones, so both stand: the name holds the end too.
    """
    if not out.params.owns_everywhere:
        late, facets = (table.filter(pl.col("term") != EVERYWHERE) for table in (late, facets))
    if late.is_empty():
        return
    late, facets = (table.with_columns(pl.Series("part", names).gather(table["part"])) for table in (late, facets))
    rows = add_cells([late.select(*CELLS, "part")], by=[*CELL, "part"])
    out.add(rows, add_facets([facets.select(*frames.FACET_ROWS, "part")], by=[*FACET, "part"]), {}, pl.col("part"))


def _by_step(rows: pl.DataFrame, taken_off: bool) -> pl.DataFrame:
    """Rows of each second, ascending; where something was `taken_off`, one row per cell, or none if nothing is left."""
    if not taken_off:
        return rows
    keys = ["step_ms", *CELL]
    merged = rows.group_by(keys).agg(pl.col(SUMS).sum(), pl.col("authors", "samples").explode(empty_as_null=False))
    return merged.filter(pl.any_horizontal(pl.col(SUMS) != 0)).sort(keys).select(rows.columns)


def _events(late: pl.DataFrame, params: WindowParams) -> int:
    """Events among late rows: every post has the term EVERYWHERE once."""
    if not params.owns_everywhere:
        return 0
    return int(late.filter(pl.col("term") == EVERYWHERE)["events"].sum())
