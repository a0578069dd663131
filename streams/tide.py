"""How high a term stood in the last half day against how high it usually stands: a lasting surge lifts it, a spike does not.

The level is a discounted sum of closed hours; its mean and deviation are discounted too, with the half-life of the hour's baseline.
Hours of silence have a closed form, so a gap of any length is one step. State: three numbers a term.
"""

from __future__ import annotations

import numpy as np

from streams.baseline import Floats, Ints

LEVEL_HALF_LIFE_H = 8.0
"""An exponential window of eight hours' half-life weighs like the last twelve hours: of the time scales tried on public series
(2 h to 24 h) half a day told lasting surges from the daily peaks best, a whole day worst."""

_FALL = float(np.exp2(-1.0 / LEVEL_HALF_LIFE_H))

LEVEL, MEAN, SQUARE = 0, 1, 2
"""Columns of a tide: level, discounted sum of past levels, of their squares."""


def rise(tide: Floats, counts: Floats, decay: float) -> Floats:
    """The tide after one more closed hour with these counts; `decay` is what an hour leaves of the past."""
    level = tide[..., LEVEL] * _FALL + counts
    return np.stack([level, tide[..., MEAN] * decay + level, tide[..., SQUARE] * decay + level**2], axis=-1)


def ebb(tide: Floats, hours: Ints, decay: float) -> Floats:
    """The tide after so many closed hours of silence: the sum of `rise` with counts of 0."""
    level, left, fall = tide[..., LEVEL], decay**hours, _FALL**hours
    mean = tide[..., MEAN] * left + level * _FALL * (left - fall) / (decay - _FALL)
    square = tide[..., SQUARE] * left + level**2 * _FALL**2 * (left - fall**2) / (decay - _FALL**2)
    return np.stack([level * fall, mean, square], axis=-1)


def height(tide: Floats, running: Floats, part: float, exposure: float) -> Floats:
    """Deviations above the usual level, events of the `running` hour, of which this `part` has passed, included."""
    level = tide[..., LEVEL] * _FALL**part + running
    mean = tide[..., MEAN] / exposure
    deviation = np.sqrt(np.maximum(tide[..., SQUARE] / exposure - mean**2, 0.0))
    return np.asarray((level - mean - 1.0) / (deviation + 1.0))
