"""Severity is what its table says, and never lower for more of anything."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.severity import MAX_INORGANIC, MAX_UNWATCHED_INORGANIC, Weight, severity

SMALL = Weight(score=12, peak=12, expected=1.0, voices=12)
BAD_MOOD = Weight(score=30, peak=100, expected=5, voices=200, sentiment_shift=-0.5, brand=True)
CROWD = Weight(score=80, peak=300, expected=0.1, voices=700)
HUGE = Weight(score=999, peak=9_000, expected=5, voices=10_000, reach=10_000_000, sentiment_shift=-0.9, brand=True)

weights = st.builds(
    Weight,
    score=st.floats(0, 999),
    peak=st.integers(0, 10**7),
    expected=st.floats(0, 10**6),
    voices=st.integers(0, 10**7),
    reach=st.integers(0, 10**10),
    sentiment_shift=st.none() | st.floats(-2, 2),
    brand=st.booleans(),
    organic=st.booleans(),
    lone=st.booleans(),
    echo=st.booleans(),
)


@pytest.mark.parametrize(
    ("expected", "weight"),
    [
        (1, Weight(score=0, peak=0, expected=0, voices=0)),
        (3, SMALL),
        (7, BAD_MOOD),
        (7, CROWD),
        (10, HUGE),
        (2, dataclasses.replace(SMALL, lone=True)),
        (1, dataclasses.replace(SMALL, lone=True, echo=True)),
        (7, dataclasses.replace(BAD_MOOD, lone=True, echo=True)),
        (MAX_UNWATCHED_INORGANIC, dataclasses.replace(HUGE, organic=False, brand=False)),
        (MAX_INORGANIC, dataclasses.replace(HUGE, organic=False)),
    ],
)
def test_severity_is_as_documented(expected: int, weight: Weight) -> None:
    assert severity(weight) == expected


@given(weights)
def test_severity_lies_between_1_and_10(weight: Weight) -> None:
    assert 1 <= severity(weight) <= 10


@given(weights, weights)
def test_more_of_one_thing_is_never_less_severe(one: Weight, other: Weight) -> None:
    for name in ("score", "peak", "voices", "reach", "brand", "organic"):
        low, high = sorted((getattr(one, name), getattr(other, name)))
        assert severity(_with(one, name, low)) <= severity(_with(one, name, high)), name
    for name in ("expected", "lone", "echo"):
        low, high = sorted((getattr(one, name), getattr(other, name)))
        assert severity(_with(one, name, high)) <= severity(_with(one, name, low)), name


@given(weights, st.floats(-2, 0), st.floats(-2, 0))
def test_a_deeper_fall_in_mood_is_never_less_severe(weight: Weight, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert severity(_with(weight, "sentiment_shift", low)) >= severity(_with(weight, "sentiment_shift", high))


@given(weights, st.floats(0, 2))
def test_a_better_mood_changes_nothing(weight: Weight, shift: float) -> None:
    assert severity(_with(weight, "sentiment_shift", shift)) == severity(_with(weight, "sentiment_shift", None))


def _with(weight: Weight, name: str, value: Any) -> Weight:
    return dataclasses.replace(weight, **{name: value})
