"""Segments of all sources come out in one order, each once, and time never goes back."""

from __future__ import annotations

import polars as pl
import pytest
from msgspec.structs import replace

from schemas import frames
from schemas.errors import BrokenLog
from schemas.packets import NO_CLOCK_MS, PACKET_TERMS, Packet, Segment
from streams.alignment import Aligned, AlignmentParams, AlignmentState, align

BASE = 1_700_000_000_000
PARAMS = AlignmentParams(stall_ms=10_000, max_pending=5)


def final(source: int, start: int, second: int, *, behind: bool = False, sources: int = 2, count: int = 1) -> Packet:
    segments = tuple(
        Segment(start + 10 * i, start + 10 * i + 10, BASE + (second + i) * 1_000, BASE + (second + i + 1) * 1_000)
        for i in range(count)
    )
    return Packet(source=source, sources=sources, final=True, behind=behind, segments=segments)


def with_rows(packet: Packet, count: int) -> Packet:
    columns = {name: [0] * count for name in PACKET_TERMS} | {"term": [f"keyword:{n}" for n in range(count)]}
    lists: dict[str, list[list[int]]] = {name: [[]] * count for name in ("authors", "samples")}
    return replace(packet, terms=frames.to_bytes(pl.DataFrame(columns | lists, schema=PACKET_TERMS)))


def idle(source: int, start: int, idle_ms: int, clock_ms: int = NO_CLOCK_MS) -> Packet:
    return Packet(source=source, sources=2, final=False, idle_ms=idle_ms, segments=(Segment(start, start, clock_ms, clock_ms),))


def opened(source: int, start: int, end: int, second: int) -> Packet:
    return Packet(
        source=source, sources=2, final=False, segments=(Segment(start, end, BASE + second * 1_000, BASE + second * 1_000),)
    )


def run(*packets: Packet) -> list[Aligned]:
    state = AlignmentState()
    out = []
    for packet in packets:
        state = AlignmentState.restore(state.frozen().to_bytes())
        out.append(align(state, packet, PARAMS))
    return out


def places(out: list[Aligned]) -> list[list[tuple[int, int]]]:
    return [[(piece.source, piece.start) for piece in one.pieces] for one in out]


def test_nothing_is_handed_out_before_every_source_has_spoken() -> None:
    assert places(run(final(0, 0, 0), final(0, 10, 1))) == [[], []]


def test_segments_wait_for_the_slowest_source_and_come_in_order() -> None:
    out = run(final(0, 0, 0), final(0, 10, 1), final(1, 0, 0), final(1, 10, 1))
    assert places(out) == [[], [], [(0, 0), (1, 0)], [(0, 10), (1, 10)]]


def test_a_segment_seen_before_is_dropped_whatever_packet_it_comes_in() -> None:
    out = run(final(1, 0, 0), final(0, 0, 0), final(0, 0, 0), final(0, 0, 0, count=2))
    assert [one.replayed for one in out] == [0, 0, 1, 1]
    assert places(out) == [[], [(0, 0), (1, 0)], [], []]


def test_a_gap_stops_the_pipeline_and_names_the_offsets() -> None:
    with pytest.raises(BrokenLog, match="source 0: segment starts at offset 20, expected 10"):
        run(final(0, 0, 0), final(0, 20, 2))


def test_an_idle_source_holds_nobody_back() -> None:
    assert places(run(final(0, 0, 0), idle(1, 0, 2_500), final(0, 10, 5)))[1:] == [[(0, 0)], [(0, 10)]]


def test_what_an_idle_source_said_is_not_good_for_a_leap_of_the_others() -> None:
    leap = final(0, 10, 5_000), final(0, 20, 5_001), final(1, 0, 4_000, behind=True), final(1, 10, 5_002)
    out = run(final(0, 0, 0), idle(1, 0, 2_500), *leap)
    assert places(out)[2:] == [[], [], [(1, 0)], [(0, 10), (0, 20)]]
    assert places(run(final(0, 0, 0), final(0, 10, 5_000), idle(1, 0, 2_500)))[2] == [(0, 0), (0, 10)]


def test_a_source_that_trails_holds_the_others_only_while_it_has_something_to_read() -> None:
    trailing = final(1, 0, 0), final(0, 0, 100), final(1, 10, 1)
    assert places(run(*trailing))[1:] == [[(1, 0)], [(1, 10), (0, 0)]]
    assert places(run(*trailing[:2], final(1, 10, 1, behind=True)))[2] == [(1, 10)]


def test_the_open_segment_of_a_source_that_trails_is_handed_out_once_nobody_waits_for_it() -> None:
    told = opened(1, 10, 15, 1), opened(1, 10, 18, 1)
    out = run(final(1, 0, 0), final(0, 0, 5), told[0], final(0, 10, 100), told[0], told[1], final(1, 10, 1), final(1, 20, 200))
    assert places(out) == [[], [(1, 0)], [], [], [(1, 10), (0, 0), (0, 10)], [(1, 10)], [(1, 10)], []]
    ends = [[piece.end for piece in one.pieces if not piece.final] for one in out]
    assert ends[4:] == [[15], [18], [], []], "nothing while others waited for it; then as it grows, each length once"


def test_the_open_segment_of_a_source_that_is_behind_waits_with_it() -> None:
    behind = replace(opened(1, 10, 15, 1), behind=True)
    assert places(run(final(1, 0, 0), final(0, 0, 100), behind, behind))[2:] == [[], []]


def test_too_many_waiting_segments_are_let_go() -> None:
    out = run(final(1, 0, 0, behind=True), *(final(0, 10 * i, 100 + i) for i in range(8)))
    assert sum(len(one.pieces) for one in out) > 1
    marks = [one.watermark_ms for one in out]
    assert marks == sorted(marks)


@pytest.mark.parametrize("count", [1, 30])
def test_never_do_more_segments_wait_than_may_however_many_a_packet_holds(count: int) -> None:
    state, places = AlignmentState(), []
    align(state, final(1, 0, 0, behind=True), PARAMS)
    for i in range(8):
        out = align(state, final(0, 10 * count * i, 100 + count * i, count=count), PARAMS)
        places += [piece.place for piece in out.pieces]
        assert len(state.pending) <= PARAMS.max_pending
    assert places == sorted(places)
    assert len(places) == 8 * count + 1 - PARAMS.max_pending
    assert state.forced == len(places) - 1, "all but the one that nobody held back"


def test_never_do_more_rows_wait_than_may() -> None:
    params = AlignmentParams(max_pending=1_000, max_pending_rows=25)
    state = AlignmentState()
    align(state, final(1, 0, 0, behind=True), params)
    for i in range(8):
        align(state, with_rows(final(0, 10 * i, 100 + i), 10), params)
        assert state.pending_rows == min(10 * i + 10, 20)
    assert [piece.step_ms for piece in state.pending] == [BASE + 106_000, BASE + 107_000]
    assert state.forced == 6


def test_when_all_are_idle_time_goes_on_at_the_pace_they_report() -> None:
    clock = BASE + 1_000
    out = run(final(0, 0, 0), idle(0, 10, 3_000, clock), idle(1, 0, 3_000), idle(0, 10, 40_000, clock))
    assert [one.watermark_ms for one in out][2:] == [BASE + 4_000, BASE + 14_000]  # source 1 spoke when it was 4 s
    assert out[-1].all_idle


def test_the_watermark_never_goes_back() -> None:
    out = run(final(0, 0, 50), idle(1, 0, 2_500), final(1, 0, 3), final(1, 10, 60), final(0, 10, 61))
    marks = [one.watermark_ms for one in out]
    assert marks == sorted(marks)
