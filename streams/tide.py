"""How high a term stood in the last half day against how high it usually stands: a lasting surge lifts it, a spike does not.

The level is a discounted sum of closed hours; its mean and deviation are discounted too, with the half-life of the hour's baseline.
Hours of silence have a closed form, so a gap of any length is one step. State: three numbers a term.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from streams.compiled import compiled

LEVEL_HALF_LIFE_H = 8.0
"""An exponential window of eight hours' half-life weighs like the last twelve hours: of the time scales tried on public series
(2 h to 24 h) half a day told lasting surges from the daily peaks best, a whole day worst."""

_FALL = 2.0 ** (-1.0 / LEVEL_HALF_LIFE_H)


class Tide(NamedTuple):
    """Level, discounted sum of past levels, and of their squares."""

    level: float
    mean: float
    square: float


@compiled
def rise(tide: Tide, count: float, decay: float) -> Tide:
    """The tide after one more closed hour with this count; `decay` is what an hour leaves of the past."""
    level = tide.level * _FALL + count
    return Tide(level, tide.mean * decay + level, tide.square * decay + level**2)


@compiled
def ebb(tide: Tide, hours: int, decay: float) -> Tide:
    """The tide after so many closed hours of silence: as many times `rise` with a count of 0."""
    if hours <= 0:
        return tide
    level, left, fall = tide.level, decay**hours, _FALL**hours
    mean = tide.mean * left + level * _FALL * (left - fall) / (decay - _FALL)
    square = tide.square * left + level**2 * _FALL**2 * (left - fall**2) / (decay - _FALL**2)
    return Tide(level * fall, mean, square)


@compiled
def height(tide: Tide, running: float, part: float, exposure: float) -> float:
    """Deviations above the usual level, events of the `running` hour, of which this `part` has passed, included."""
    level = tide.level * math.pow(_FALL, part) + running
    mean = tide.mean / exposure
    deviation = math.sqrt(max(tide.square / exposure - mean**2, 0.0))
    return (level - mean - 1.0) / (deviation + 1.0)
