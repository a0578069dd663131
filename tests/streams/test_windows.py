"""Windows close by the watermark; late events correct them, whenever they come."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest

from schemas import frames
from streams.alignment import Piece
from streams.cells import add_cells
from streams.windows import Emitted, WindowParams, WindowState, apply_pieces, flush_open, sort_out

W = 1_700_000_000_000  # start of a window
PARAMS = WindowParams(lateness_ms=5_000, retain_ms=60_000, min_support=3)


def piece(step_s: int, cells: dict[tuple[int, str], int], *, start: int = 0, final: bool = True) -> Piece:
    rows = [
        {
            "window_start_ms": W + window_s * 1_000,
            "term": term,
            "events": events,
            "originals": events,
            "authors": list(range(events)),
        }
        for (window_s, term), events in cells.items()
    ]
    empty = frames.empty(frames.TERM_ROWS)
    table = pl.concat([empty, pl.DataFrame(rows, schema_overrides={"authors": pl.List(pl.UInt64)})], how="diagonal_relaxed")
    filled = table.with_columns(pl.col(list(frames.COUNTS)).fill_null(0)).cast(frames.TERM_ROWS)  # type: ignore[arg-type]
    return Piece(W + step_s * 1_000, 0, start, start + 10, final, filled, frames.empty(frames.FACET_ROWS))


def told(out: Emitted) -> dict[tuple[int, str, str], int]:
    return {
        ((row["window_start_ms"] - W) // 1_000, row["term"], row["part"]): row["events"] for row in out.rows.iter_rows(named=True)
    }


def step(state: WindowState, pieces: list[Piece], watermark_s: int, version: int = 1) -> Emitted:
    return apply_pieces(state, pieces, W + watermark_s * 1_000, version, PARAMS)


def test_a_window_closes_when_the_watermark_passes_its_end_and_the_lateness() -> None:
    state = WindowState()
    assert told(step(state, [piece(0, {(0, "brand:a"): 2})], 14)) == {}
    assert told(step(state, [], 15)) == {(0, "brand:a", "0"): 2}
    assert told(step(state, [], 16)) == {}


def test_terms_nobody_watches_need_support_and_what_is_left_out_is_counted() -> None:
    out = step(WindowState(), [piece(0, {(0, "hashtag:x"): 3, (0, "hashtag:y"): 2, (0, "keyword:z"): 1})], 20)
    assert told(out) == {(0, "hashtag:x", "0"): 3}
    assert out.totals.select("left_out_terms", "left_out_events").rows() == [(2, 3)]


def test_a_late_event_corrects_a_closed_window_under_a_higher_version() -> None:
    state = WindowState()
    step(state, [piece(0, {(0, "brand:a"): 2, (0, "hashtag:x"): 3})], 20, version=5)
    out = step(state, [piece(20, {(0, "brand:a"): 1, (0, "hashtag:x"): 1, (0, "hashtag:new"): 9})], 21, version=6)
    assert told(out) == {(0, "brand:a", "0"): 3, (0, "hashtag:x", "0"): 4}
    assert out.rows["version"].unique().to_list() == [6]
    assert out.totals["left_out_events"].to_list() == [9]


def test_an_event_for_a_forgotten_window_becomes_a_row_beside_it() -> None:
    state = WindowState()
    step(state, [piece(0, {(0, "brand:a"): 2})], 20)
    step(state, [], 500)
    out = step(state, [piece(500, {(0, "brand:a"): 1}, start=70)], 501)
    assert told(out) == {(0, "brand:a", "0/0:70-80"): 1}


def test_an_open_segment_beside_a_forgotten_window_is_added_to_not_replaced() -> None:
    state = WindowState()
    step(state, [piece(0, {(0, "brand:a"): 2})], 20)
    step(state, [], 500)
    open_part = piece(500, {(0, "brand:a"): 3}, start=70, final=False)
    whole = replace(piece(500, {(0, "brand:a"): 5}, start=70), end=90)
    beside = told(step(state, [open_part], 501)) | told(step(state, [whole], 502))
    assert beside == {(0, "brand:a", "0/0:70-80"): 3, (0, "brand:a", "0/0:70-90"): 2}


def test_late_events_are_not_shown_to_the_detector() -> None:
    state = WindowState()
    fresh = sort_out(state, [piece(20, {(0, "brand:a"): 1, (10, "brand:a"): 4})], PARAMS)
    assert fresh.on_time.select("step_ms", "events").rows() == [(W + 20_000, 4)]


def test_an_open_segment_is_replaced_by_its_final_rows() -> None:
    state = WindowState()
    step(state, [piece(0, {(0, "brand:a"): 2}, final=False)], 1)
    step(state, [piece(0, {(0, "brand:a"): 3}, final=False)], 2)
    step(state, [piece(0, {(0, "brand:a"): 5})], 3)
    assert told(step(state, [], 20)) == {(0, "brand:a", "0"): 5}


def test_a_flush_stores_open_windows_and_closing_stores_them_again_with_what_came() -> None:
    state = WindowState()
    step(state, [piece(0, {(0, "brand:a"): 2, (0, "hashtag:x"): 2})], 1)
    assert told(flush_open(state, 7, PARAMS)) == {(0, "brand:a", "0"): 2}
    assert told(flush_open(state, 8, PARAMS)) == {}
    step(state, [piece(1, {(0, "brand:a"): 1, (0, "hashtag:x"): 1}, start=10)], 2)
    assert told(step(state, [], 20, version=9)) == {(0, "brand:a", "0"): 3, (0, "hashtag:x", "0"): 3}


def test_distinct_authors_are_merged_not_added() -> None:
    state = WindowState()
    step(state, [piece(0, {(0, "brand:a"): 4}), piece(1, {(0, "brand:a"): 3}, start=10)], 2)
    out = step(state, [], 20)
    assert out.rows["authors"].to_list() == [[0, 1, 2, 3]]


@pytest.mark.parametrize("wrong", [{"lateness_ms": -1}, {"retain_ms": -1}, {"min_support": 0}])
def test_parameters_that_make_no_sense_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must"):
        WindowParams(**wrong)


def crowd(window_s: int, first: int, count: int) -> dict[tuple[int, str], int]:
    """So many words in a window, each once, and the brand that somebody watches."""
    return {(window_s, f"keyword:w{first + n}"): 1 for n in range(count)} | {(window_s, "brand:a"): 1}


def test_of_too_many_open_cells_the_oldest_windows_close_early_and_what_still_comes_corrects_them() -> None:
    params = replace(PARAMS, lateness_ms=60_000, max_open_rows=25)
    state = WindowState()
    rows: dict[tuple[int, str, str], int] = {}
    for second in range(60):
        window_s = second // 10 * 10
        late = {(window_s - 20, "brand:a"): 1} if second >= 20 else {}
        out = apply_pieces(state, [piece(second, crowd(window_s, second, 2) | late)], W + second * 1_000, second, params)
        rows |= told(out)
        assert state.open_rows <= params.max_open_rows
    rows |= told(apply_pieces(state, [], W + 300_000, 60, params))
    assert rows == {(10 * n, "brand:a", "0"): 20 if n < 4 else 10 for n in range(6)}
    assert state.early > 0


def test_whatever_was_added_up_before_the_same_windows_close_early() -> None:
    params = replace(PARAMS, lateness_ms=60_000, max_open_rows=25)
    untouched, added_up = WindowState(), WindowState()
    for second in range(40):
        pieces = [piece(second, crowd(second // 10 * 10, second % 7, 3))]
        for start, parts in added_up.open_terms.items():
            added_up.open_terms[start] = [add_cells(parts)]
        one, other = (apply_pieces(state, pieces, W + second * 1_000, second, params) for state in (untouched, added_up))
        assert told(one) == told(other)
        assert untouched.early_ms == added_up.early_ms


def test_of_too_many_stored_cells_the_oldest_windows_are_forgotten_and_what_still_comes_stands_beside_them() -> None:
    params = replace(PARAMS, max_retained_rows=3)
    state = WindowState()
    for n in range(5):
        apply_pieces(state, [piece(10 * n, {(10 * n, "brand:a"): 2})], W + (10 * n + 15) * 1_000, n, params)
        assert state.retained_rows <= params.max_retained_rows
    assert [(start - W) // 1_000 for start in state.retained] == [20, 30, 40]
    late = [piece(60, {(10, "brand:a"): 1, (20, "brand:a"): 1}, start=70)]
    assert told(apply_pieces(state, late, W + 60_000, 9, params)) == {(20, "brand:a", "0"): 3, (10, "brand:a", "0/0:70-80"): 1}
    assert (state.forgotten, state.forgotten_ms) == (2, W + 10_000)
