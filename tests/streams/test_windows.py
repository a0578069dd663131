"""Windows close by the watermark; late events correct them, whenever they come."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest

from schemas import frames
from streams.alignment import Piece
from streams.windows import Emitted, WindowParams, WindowState, apply_pieces, flush_open

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
    out = step(state, [piece(20, {(0, "brand:a"): 1, (10, "brand:a"): 4})], 21)
    assert [(step_ms, rows["events"].to_list()) for step_ms, rows in out.on_time.items()] == [(W + 20_000, [4])]


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
