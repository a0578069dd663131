"""Segments are a function of the log alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.segments import Cut, Cutter, SegmentParams, Stamp

BASE = 1_700_000_000_000
SMALL = SegmentParams(segment_records=7, segment_bytes=10_000, max_jump_ms=60_000, confirm_records=3)


def stamps(times: list[int], size: int = 10) -> list[Stamp]:
    return [Stamp(offset, time, size) for offset, time in enumerate(times)]


def cut_all(log: list[Stamp], params: SegmentParams = SMALL, start: int = 0, clock: int | None = None) -> list[Cut]:
    return Cutter(start, clock, params).push(log[start:])


def logs() -> st.SearchStrategy[list[Stamp]]:
    step = st.sampled_from([0, 0, 40, 300, 900, 2_500, 45_000])
    odd = st.one_of(st.none(), st.none(), st.none(), st.sampled_from([-1_700_000_000_000, 2_000_000_000_000, 3_600_000, -90_000]))

    def build(pairs: list[tuple[int, int | None]]) -> list[Stamp]:
        now, times = BASE, []
        for add, wrong in pairs:
            now += add
            times.append(now if wrong is None else max(now + wrong, 0))
        return stamps(times)

    return st.lists(st.tuples(step, odd), min_size=1, max_size=120).map(build)


@given(logs(), st.data())
def test_whoever_starts_at_a_cut_cuts_the_same_segments(log: list[Stamp], data: st.DataObject) -> None:
    cuts = cut_all(log)
    if not cuts:
        return
    chosen = data.draw(st.integers(0, len(cuts) - 1))
    resumed = cut_all(log, start=cuts[chosen].end, clock=cuts[chosen].clock_before_ms)
    assert resumed == cuts[chosen + 1 :]


@given(logs(), st.integers(1, 20))
def test_segments_do_not_depend_on_how_records_are_read(log: list[Stamp], size: int) -> None:
    cutter = Cutter(0, None, SMALL)
    pieces = [cut for at in range(0, len(log), size) for cut in cutter.push(log[at : at + size])]
    assert pieces == cut_all(log)


@given(logs(), st.sampled_from([SMALL, SegmentParams(segment_records=40, segment_bytes=95, max_jump_ms=60_000, confirm_records=2)]))
def test_runs_of_records_are_cut_as_single_ones_are(log: list[Stamp], params: SegmentParams) -> None:
    log = [Stamp(one.offset, one.log_ms, 7 + one.log_ms % 40) for one in log]
    one_by_one, by_runs = Cutter(0, None, params), Cutter(0, None, params)
    cuts: list[Cut] = []
    for stamp in log:
        one_by_one._one(stamp, cuts)
    assert by_runs.push(log) == cuts
    assert by_runs == one_by_one


@given(logs())
def test_segments_tile_the_log_and_stay_inside_one_second_and_the_caps(log: list[Stamp]) -> None:
    cuts = cut_all(log)
    assert [cut.start for cut in cuts[1:]] == [cut.end for cut in cuts[:-1]]
    for cut in cuts:
        assert cut.end - cut.start == cut.count
        assert 1 <= cut.count <= SMALL.segment_records
        assert cut.step_ms % 1_000 == 0
        assert cut.clock_ms >= cut.step_ms


@given(logs())
def test_the_log_clock_never_goes_back(log: list[Stamp]) -> None:
    clocks = [cut.clock_ms for cut in cut_all(log)]
    assert clocks == sorted(clocks)


@pytest.mark.parametrize("wrong", [4_070_908_800_000, BASE + 7_200_000])
def test_a_jump_that_nobody_confirms_moves_nothing_and_is_taken_for_the_clock(wrong: int) -> None:
    times = [BASE, BASE + 10, BASE + 20, wrong, BASE + 30, BASE + 1_500, BASE + 3_000]
    cuts = cut_all(stamps(times))
    assert [cut.times_ms for cut in cuts] == [(BASE, BASE + 10, BASE + 20, BASE + 20, BASE + 30), (BASE + 1_500,)]


def test_a_jump_that_is_confirmed_ends_the_segment_and_moves_the_clock() -> None:
    later = BASE + 30 * 86_400_000
    cuts = cut_all(stamps([BASE, BASE + 1, BASE + 2, later, later + 10, later + 20, later + 1_000]))
    assert [(cut.start, cut.end, cut.clock_ms) for cut in cuts] == [(0, 3, later), (3, 6, later + 1_000)]


def test_a_sparse_partition_keeps_its_times() -> None:
    times = [BASE + 90_000 * i for i in range(12)]
    cutter = Cutter(0, None, SMALL)
    cuts = cutter.push(stamps(times))
    assert [time for cut in cuts for time in cut.times_ms] + cutter.open_times(now_ms=times[-1]) == times


def test_a_timestamp_of_1970_is_no_witness_against_a_jump() -> None:
    later = BASE + 30 * 86_400_000
    cuts = cut_all(stamps([BASE, BASE, BASE, later, 0, later + 10, later + 20, later + 1_000]))
    assert [cut.times_ms for cut in cuts] == [(BASE, BASE, BASE), (later, later, later + 10, later + 20)]


def test_a_producer_whose_clock_stands_at_1970_is_not_held_for_ever() -> None:
    log = stamps([BASE, BASE, BASE, 4_070_908_800_000, *([0] * 100)], size=1_000)
    cutter, most = Cutter(0, None, SMALL), 0
    cuts = []
    for stamp in log:
        cuts += cutter.push([stamp])
        most = max(most, len(cutter.held), len(cutter.times))
    assert most == SMALL.segment_records
    assert cuts == cut_all(log)
    assert {time for cut in cuts for time in cut.times_ms} == {BASE}, "the jump is denied, all count at the log clock's time"


def test_the_first_record_alone_does_not_set_the_clock() -> None:
    cuts = cut_all(stamps([4_070_908_800_000, BASE, BASE + 1, BASE + 2, BASE + 1_001]))
    assert [cut.times_ms for cut in cuts] == [(BASE, BASE, BASE + 1, BASE + 2)]


def test_a_timestamp_of_1970_is_taken_for_the_clock() -> None:
    cuts = cut_all(stamps([BASE, BASE, BASE, 0, BASE + 1_000]))
    assert cuts[0].times_ms == (BASE, BASE, BASE, BASE)


def test_large_records_end_a_segment() -> None:
    cuts = cut_all(stamps([BASE] * 5, size=6_000))
    assert [cut.count for cut in cuts] == [1, 1, 1, 1]


def test_what_is_held_back_counts_in_the_open_segment_unless_it_is_ahead_of_now() -> None:
    cutter = Cutter(0, None, SMALL)
    cutter.push(stamps([BASE, 4_070_908_800_000]))
    assert cutter.open_times(now_ms=BASE + 50) == [BASE, BASE + 50]
    assert cutter.open_end() == 2


@pytest.mark.parametrize("field", ["segment_records", "segment_bytes", "max_jump_ms", "confirm_records"])
def test_parameters_below_one_are_refused(field: str) -> None:
    with pytest.raises(ValueError, match="must be 1 or more"):
        SegmentParams(**{field: 0})
