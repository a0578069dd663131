from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.baseline import SCALES_MS, BaselineParams, Weights, advance_exposure, clip, decay_rates, decayed, predict, surprise
from streams.term_table import TermTable, touch

PARAMS = BaselineParams()
WEIGHTS = Weights.of(PARAMS)


def exact_tail(count: int, mean: float, dispersion: float) -> float:
    """-log10 P(X >= count) of the negative binomial by adding up terms until they no longer matter."""
    shape = 1 / dispersion
    total, k = 0.0, count
    while True:
        log_term = math.lgamma(k + shape) - math.lgamma(shape) - math.lgamma(k + 1)
        log_term += -shape * math.log1p(mean / shape) - k * math.log1p(shape / mean)
        term = math.exp(log_term)
        total += term
        if k > mean and term < total * 1e-12:
            return -math.log10(total)
        k += 1


@pytest.mark.parametrize("mean", [0.003, 0.4, 5.0, 200.0])
@pytest.mark.parametrize("dispersion", [0.1, 1.0, 20.0])
@pytest.mark.parametrize("times", [2, 5, 20])
def test_surprise_is_at_most_the_exact_tail_and_close_to_it_where_it_matters(mean: float, dispersion: float, times: int) -> None:
    count = max(math.ceil(mean * times), 3)
    exact = exact_tail(count, mean, dispersion)
    score = surprise(float(count), mean, dispersion)
    assert score <= exact + 1e-6
    if exact > 3:
        assert score == pytest.approx(exact, abs=0.35)


def test_what_is_expected_or_less_is_no_surprise_and_the_score_has_a_cap() -> None:
    pairs = ((0.0, 1.0), (1.0, 1.0), (5.0, 5.0), (1e7, 1e-3))
    assert [surprise(count, mean, 0.1) for count, mean in pairs] == [0.0, 0.0, 0.0, 999.0]


@given(parts=st.lists(st.integers(0, 100_000), max_size=8), scale=st.integers(0, 3), start=st.floats(0, 1000))
def test_silence_costs_one_step_however_long_it_is(parts: list[int], scale: int, start: float) -> None:
    stepwise = start
    for bins in parts:
        stepwise = advance_exposure(stepwise, bins, scale, True, PARAMS)
    assert advance_exposure(start, sum(parts), scale, True, PARAMS) == pytest.approx(stepwise, rel=1e-6)
    assert advance_exposure(start, sum(parts), scale, False, PARAMS) <= start


def test_half_of_the_evidence_is_left_after_the_half_life() -> None:
    for scale, length_ms in enumerate(SCALES_MS):
        bins = PARAMS.half_lives_ms[scale] // length_ms
        assert decayed(1.0, bins, decay_rates(PARAMS)[scale]) == pytest.approx(0.5)


@pytest.mark.parametrize("late_ms", [-1, 0])
def test_a_bin_is_learnt_only_when_it_has_settled(late_ms: int) -> None:
    table, start_ms = TermTable(10, 16, PARAMS), 1_000 * SCALES_MS[1]
    table.advance(start_ms, True)
    slots = table.find(np.array([7], np.uint64))
    for events, tick_ms in ((5, start_ms), (0, start_ms + SCALES_MS[1] + PARAMS.settle_ms + late_ms)):
        table.advance(tick_ms, True)
        touch(table.slots, table.scratch, slots, np.array([start_ms]), np.array([events]), slots[:0], table.clock, table.weights)
    assert (table.slots["sums"][slots[0], 1] > 0) == (late_ms == 0)


def test_a_term_never_seen_is_expected_less_the_longer_it_was_not_seen() -> None:
    means = [predict(0.0, 0.0, exposure, 1.0, WEIGHTS)[0] for exposure in (1.0, 10.0, 100.0, 1_000.0)]
    assert means == sorted(means, reverse=True)
    assert means[-1] == pytest.approx(0.5 / 1001)


def test_the_dispersion_is_that_of_the_term_itself() -> None:
    rng = np.random.default_rng(5)
    for dispersion in (0.5, 3.0):
        counts = rng.poisson(20 * rng.gamma(1 / dispersion, dispersion, 20_000)).astype(float)
        _, found = predict(float(counts.sum()), float((counts * (counts - 1)).sum()), 20_000.0, 1.0, WEIGHTS)
        assert found == pytest.approx(dispersion, rel=0.15)


def test_a_burst_is_clipped_and_an_ordinary_count_is_not() -> None:
    learnt = [clip(count, 4.0, 0.1, WEIGHTS) for count in (6.0, 1_000.0, -2.0)]
    assert learnt[0] == 6.0
    assert 20 < learnt[1] < 150
    assert learnt[2] == 0.0


@pytest.mark.parametrize(
    "wrong",
    [
        {"half_lives_ms": (1, 1, 1, 1)},
        {"half_lives_ms": (7_200_000,)},
        {"prior_events": 0.0},
        {"clip_leak": 1.5},
        {"settle_ms": 60_000},
    ],
)
def test_parameters_that_cannot_work_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="must"):
        BaselineParams(**wrong)  # type: ignore[arg-type]  # wrong on purpose
