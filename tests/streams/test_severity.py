"""Severity is a rank among the moments of the stream, and never lower for more of anything."""

from __future__ import annotations

import dataclasses
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.severity import MAX_INORGANIC, MAX_PEERS, MAX_UNWATCHED_INORGANIC, PRIOR, Scale, Weight, points_of
from streams.severity import severity as ranked

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


scales = st.builds(Scale, peers=st.lists(st.floats(-1.4, 11.0), max_size=40))
NEW = Scale()


def severity(weight: Weight) -> int:
    """Of a stream of which nothing is known yet."""
    return ranked(weight, NEW)


@pytest.mark.parametrize(
    ("points", "weight"),
    [
        (-0.0, Weight(score=0, peak=0, expected=0, voices=0)),
        (2.05, SMALL),
        (6.69, BAD_MOOD),
        (7.13, CROWD),
        (10.75, HUGE),
        (0.85, dataclasses.replace(SMALL, lone=True)),
        (-0.35, dataclasses.replace(SMALL, lone=True, echo=True)),
        (6.69, dataclasses.replace(BAD_MOOD, lone=True, echo=True)),
    ],
)
def test_points_are_as_documented(points: float, weight: Weight) -> None:
    assert points_of(weight) == pytest.approx(points, abs=0.06)


def test_a_flood_is_to_be_known_not_to_be_woken_for() -> None:
    assert severity(HUGE) == 10
    assert severity(dataclasses.replace(HUGE, organic=False, brand=False)) == MAX_UNWATCHED_INORGANIC
    assert severity(dataclasses.replace(HUGE, organic=False)) == MAX_INORGANIC


@pytest.mark.parametrize("size", [0.1, 0.3, 1.0])
def test_one_moment_in_ten_is_a_seven_whatever_the_stream(size: float) -> None:
    chance, scale, grave = random.Random(7), Scale(), list[bool]()
    for _ in range(1_000):
        crowd = round(10 + 200 * size * chance.paretovariate(1.5))
        weight = Weight(score=10 + crowd / 10, peak=crowd, expected=1.0, voices=crowd // 2)
        grave.append(ranked(weight, scale) >= 7)
        scale.add(points_of(weight))
    assert 0.06 <= sum(grave[200:]) / 800 <= 0.14
    assert len(scale.peers) == MAX_PEERS


def test_a_new_stream_is_ranked_among_recorded_evenings() -> None:
    assert list(PRIOR) == sorted(PRIOR)
    assert severity(SMALL) < severity(BAD_MOOD)
    assert severity(CROWD) >= 7


def test_little_is_not_grave_though_it_is_the_most_there_is() -> None:
    quiet = Scale(peers=[0.1] * MAX_PEERS)
    assert ranked(SMALL, quiet) == 5


@given(weights, scales)
def test_severity_lies_between_1_and_10(weight: Weight, scale: Scale) -> None:
    assert 1 <= ranked(weight, scale) <= 10


@given(weights, weights, scales)
def test_more_of_one_thing_is_never_less_severe(one: Weight, other: Weight, scale: Scale) -> None:
    def severity(weight: Weight) -> int:
        return ranked(weight, scale)

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
