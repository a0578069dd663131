"""What the state machine found, as small as it gets."""

from __future__ import annotations

import polars as pl

from schemas import frames
from schemas.packets import Packet, Segment
from streams.alignment import AlignmentParams, AlignmentState, Piece, align
from streams.windows import Emitted, WindowParams, WindowState, apply_pieces
from tests.invariants.setting import BASE_MS

FORGOTTEN_MS = BASE_MS - 3_600_000
WINDOWS = WindowParams(lateness_ms=5_000, retain_ms=40_000)
ALIGNMENT = AlignmentParams(stall_ms=30_000)


def piece(windows: list[int], *, final: bool) -> Piece:
    """One segment of source 0, `[70, 80)`, with an event of a brand in each of these windows."""
    rows = [{"window_start_ms": window, "term": "brand:acme", "events": 1} for window in windows]
    table = pl.concat([frames.empty(frames.TERM_ROWS), pl.DataFrame(rows)], how="diagonal_relaxed")
    filled = table.with_columns(pl.col(list(frames.COUNTS)).fill_null(0)).cast(frames.TERM_ROWS)  # type: ignore[arg-type]
    return Piece(BASE_MS, 0, 70, 80, final, filled, frames.empty(frames.FACET_ROWS))


def events(*emitted: Emitted) -> dict[int, int]:
    """What the table holds in the end: of rows with one key the last."""
    table = {(row["window_start_ms"], row["part"]): row["events"] for one in emitted for row in one.rows.iter_rows(named=True)}
    sums: dict[int, int] = {}
    for (window, _), count in table.items():
        sums[window] = sums.get(window, 0) + count
    return {window: count for window, count in sums.items() if count}


def test_a_final_segment_that_ends_where_its_provisional_rows_did_does_not_replace_them_beside_a_forgotten_window() -> None:
    """A held record counts where its own timestamp says until it is decided: same end, other window."""
    state = WindowState()
    apply_pieces(state, [], BASE_MS, 1, WINDOWS)
    guessed = apply_pieces(state, [piece([FORGOTTEN_MS - 10_000, FORGOTTEN_MS], final=False)], BASE_MS, 2, WINDOWS)
    decided = apply_pieces(state, [piece([FORGOTTEN_MS, FORGOTTEN_MS + 10_000], final=True)], BASE_MS, 3, WINDOWS)
    assert events(guessed, decided) == {FORGOTTEN_MS: 1, FORGOTTEN_MS + 10_000: 1}


def test_a_table_without_rows_has_the_same_bytes_wherever_it_comes_from() -> None:
    whole = piece([BASE_MS], final=True).terms
    fresh = frames.to_bytes(frames.empty(frames.TERM_ROWS))
    assert frames.to_bytes(whole.clear()) == frames.to_bytes(whole.filter(pl.col("events") > 9)) == fresh
    assert frames.to_bytes(frames.from_bytes(fresh)) == fresh


def say(source: int, start: int, end: int, clock_ms: int, *, final: bool = False, idle_ms: int = 0) -> Packet:
    """A packet about one segment, its rows left out."""
    segment = Segment(start, end, clock_ms // 1_000 * 1_000, clock_ms)
    return Packet(source=source, sources=2, final=final, idle_ms=idle_ms, segments=(segment,))


def test_a_worker_that_wakes_up_cannot_call_a_source_idle_of_which_its_successor_has_read_more() -> None:
    state = AlignmentState()
    align(state, say(0, 0, 10, BASE_MS, final=True), ALIGNMENT)
    align(state, say(1, 0, 10, BASE_MS, final=True), ALIGNMENT)
    align(state, say(0, 10, 15, BASE_MS + 500), ALIGNMENT)  # the successor
    done = align(state, say(0, 10, 12, BASE_MS + 300, idle_ms=60_000), ALIGNMENT)
    align(state, say(1, 10, 20, BASE_MS + 25_000, final=True), ALIGNMENT)
    assert done.replayed == 1
    assert state.watermark_ms == BASE_MS
    assert (state.overlays[0].start, state.overlays[0].end) == (10, 15)
