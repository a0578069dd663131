"""The parts of the delay measurement that can be wrong without a broker."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from schemas.packets import decode_packet
from streams.detect import DetectParams, DetectState, detect
from tests.benchmarks import drumbeat, history, latency
from tests.benchmarks.corpus import load_corpus
from tests.benchmarks.feed import Record


def test_delays_are_told_by_rank() -> None:
    told = latency.percentiles(list(range(1_001)))
    assert told == pytest.approx({"n": 1_001, "p50": 500, "p99": 990, "p99.9": 999, "max": 1_000})
    assert latency.percentiles([]) == {"n": 0}


def test_surges_follow_each_other_last_as_long_and_begin_anywhere_within_a_second() -> None:
    rate, seconds, found = 1_000, 40, dict[int, list[float]]()
    for number in range(rate * seconds):
        surge = latency.surge_of(number % latency.SURGE_EVERY, number / rate, seconds)
        if surge is not None:
            found.setdefault(surge, []).append(number / rate)
    assert list(found) == list(range(seconds - latency.SURGE_S - 2 - latency.FIRST_SURGE_S))
    for surge, at in found.items():
        assert len(at) == pytest.approx(rate * latency.SURGE_S / latency.SURGE_EVERY, abs=1)
        assert latency.FIRST_SURGE_S + surge <= at[0] < latency.FIRST_SURGE_S + surge + 1 + latency.SURGE_EVERY / rate
    assert {int(at[0] % 1 * 4) for at in found.values()} == {0, 1, 2, 3}


def test_a_surge_crosses_with_the_record_that_completes_the_threshold() -> None:
    values = [b'{"text":"a #surgeaaab"}', b'{"text":"b"}', b'{"text":"c #surgeaaab"}', b'{"text":"d #surgeaaab"}']
    records = [Record(0, at_ms, b"", value) for at_ms, value in enumerate(values, start=100)]
    assert latency._crossings(records, 2) == {"hashtag:surgeaaab": 102}
    assert latency._crossings(records, 4) == {}


def test_a_record_counts_when_the_last_partition_has_it() -> None:
    records = [Record(0, at_ms, b"", b"") for at_ms in (1_000, 1_500)]
    first = history.WINDOWS
    seen = latency.Seen(counted=[(0, 0, first + 2, 2_000.0), (1, 0, first + 1, 2_100.0), (1, 0, first + 2, 2_600.0)])
    for partition in (1, 2, 3):
        seen.counted += [(q, partition, first, 0.0) for q in range(drumbeat.PARTIALS)]
    assert latency._counting(records, seen) == pytest.approx(np.array([1_100.0, 1_100.0]))


def test_detect_takes_the_past_without_a_gap_and_is_ready_to_speak() -> None:
    params, end_ms, surges = DetectParams(), 1_700_000_000_000, 0
    state = DetectState.fresh(params)
    for offset, (_, packet) in enumerate(history.past(load_corpus(Path("/nowhere")), 2_000, end_ms, 1, 50, sample=4_000)):
        found = detect(state, decode_packet(packet), offset, params)
        surges += sum(len(batch.surges) for batch in found.candidates)
    assert state.surges.ready_ms <= end_ms
    assert {source.next for source in state.alignment.sources.values()} == {history.WINDOWS}
    assert surges == 0
