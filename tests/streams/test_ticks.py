"""Quiet ticks are the same however the watermark moves."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from streams.ticks import quiet_ticks

DATA = 1_700_000_003_000
END = DATA + 10**9


@given(st.lists(st.integers(DATA, DATA + 12_000_000), max_size=8))
def test_stops_on_the_way_change_no_tick(stops: list[int]) -> None:
    way = [DATA, *sorted(stops), END]
    ticks = [tick for after, until in pairwise(way) for tick in quiet_ticks(DATA, after, until)]
    assert ticks == list(quiet_ticks(DATA, DATA, END))


def test_ticks_rise_and_end_after_three_hours() -> None:
    ticks = list(quiet_ticks(DATA, DATA, END))
    assert ticks == sorted(set(ticks))
    assert ticks[:3] == [DATA + 1_000, DATA + 2_000, 1_700_000_010_000]
    assert len(ticks) < 260
    assert DATA + 3 * 3_600_000 - 60_000 < ticks[-1] <= DATA + 3 * 3_600_000
