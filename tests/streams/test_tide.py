"""The level of half a day: silence costs one step, and it decides which bursts of a restless term are believed."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from schemas import frames
from schemas.candidates import Surge
from streams.surge_params import SurgeParams
from streams.surges import SurgeState, detect_surges
from streams.tide import Tide, ebb, height, rise

HOUR_LEFT = float(np.exp2(-1 / 72))
LOW = Tide(0.0, 0.0, 0.0)
BIN_MS, DAY_MS = 300_000, 86_400_000
START_MS = 1_700_006_400_000 // DAY_MS * DAY_MS
PARAMS = SurgeParams()


@given(counts=st.lists(st.integers(0, 10_000), max_size=5), hours=st.integers(0, 300))
def test_silence_is_one_step_however_long_it_is(counts: list[int], hours: int) -> None:
    tide = LOW
    for count in counts:
        tide = rise(tide, float(count), HOUR_LEFT)
    stepwise = tide
    for _ in range(hours):
        stepwise = rise(stepwise, 0.0, HOUR_LEFT)
    assert tuple(ebb(tide, hours, HOUR_LEFT)) == pytest.approx(tuple(stepwise), rel=1e-6, abs=1e-6)


def test_a_steady_term_stands_at_its_usual_level_and_one_that_doubles_for_hours_well_above() -> None:
    tide, exposure = LOW, 0.0
    for _ in range(400):
        tide, exposure = rise(tide, 100.0, HOUR_LEFT), exposure * HOUR_LEFT + 1
    assert abs(height(tide, 0.0, 0.0, exposure)) < 3
    for _ in range(3):
        tide, exposure = rise(tide, 200.0, HOUR_LEFT), exposure * HOUR_LEFT + 1
    assert height(tide, 0.0, 0.0, exposure) > 3


def restless(days: int, seed: int) -> NDArray[np.int64]:
    """Counts per 5 minutes of a brand that is loud by day and has a burst of one bin now and then."""
    rng = np.random.default_rng(seed)
    bins = np.arange(days * 288)
    mean = 40 * (1 + 0.5 * np.sin(2 * np.pi * bins / 288)) * rng.gamma(10, 0.1, len(bins))
    return rng.poisson(mean * np.where(rng.random(len(bins)) < 0.01, 4, 1))


def play(state: SurgeState, counts: NDArray[np.int64], first: int = 0) -> list[Surge]:
    """Every bin in its first window, told at its end; only the surges that opened."""
    surges = []
    zero: dict[str, Any] = dict.fromkeys(frames.COUNTS, 0) | {
        name: [] for name, kind in frames.TERM_ROWS.items() if kind == pl.List
    }
    for number, count in enumerate(counts.tolist(), first):
        start_ms = START_MS + number * BIN_MS
        own = {"window_start_ms": start_ms, "term": "brand:acme", "events": count, "unknown_authors": count}
        rows = pl.DataFrame([zero | own], schema=frames.TERM_ROWS)
        surges += detect_surges(state, start_ms + BIN_MS - 1_000, rows, PARAMS)
    return [surge for surge in surges if surge.phase == "opened"]


def test_a_restless_brand_wakes_nobody_until_something_lasts_and_then_once_a_day_unless_it_doubles() -> None:
    state, counts = SurgeState(PARAMS), restless(6, seed=4)
    settled = play(state, counts)
    assert len([surge for surge in settled if surge.opened_ms > START_MS + 2 * DAY_MS]) <= 1
    lasting = restless(1, seed=5)
    lasting[120:150] *= 5
    lasting[190:215] *= 5
    first = play(SurgeState.restore(state.snapshot(), PARAMS), lasting, len(counts))
    opened = [(surge.opened_ms - START_MS) // BIN_MS - len(counts) for surge in first]
    assert len(opened) == 1
    assert 120 <= opened[0] <= 126
