"""What a term's own past leads one to expect at each time scale, and how surprising a count is against it.

The past is two discounted sums per scale over closed bins of that length that do not overlap: of count and of count x (count - 1).
With the discounted number of bins they give the mean and the over-dispersion of a negative binomial, the predictive distribution of
a Gamma-Poisson model. Silence is evidence too and costs nothing: a bin without events only decays the sums. Bins are clipped
softly before they are learnt, so a burst widens what is expected a little and a lasting change of level is learnt within hours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from streams.compiled import compiled

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

SCALES_MS = (10_000, 60_000, 300_000, 3_600_000)
"""Scales at which counts are judged: a goal or a power cut shows in 10 s, a slow crisis in an hour."""

MAX_SCORE = 999.0


@dataclass(frozen=True, slots=True)
class BaselineParams:
    """How the past is weighed.

    The half-life of a scale is some hundred of its bins: enough to know the spread, short enough to follow the hours of the day
    on the short scales and the days of the week on the long ones.
    """

    half_lives_ms: tuple[int, int, int, int] = (7_200_000, 14_400_000, 86_400_000, 259_200_000)  # of SCALES_MS, in that order
    prior_events: float = 0.5  # Jeffreys: a term never seen is expected half an event in the whole time observed
    dispersion: float = 0.1  # variance beyond Poisson in units of mean^2 that every term has: people answer each other
    dispersion_weight: float = 2.0  # events a term must have shown before its own dispersion counts half
    prior_dispersion: float = 1.0  # assumed at the shortest scale ...
    prior_bins: float = 10.0  # ... as if it had been seen in so many bins
    clip_sigmas: float = 8.0  # a closed bin above mean + this many deviations + clip_events ...
    clip_events: float = 3.0
    clip_leak: float = 0.1  # ... teaches only this share of what is above: a burst is not learnt, a new level is
    tide_hours: float = 24.0  # discounted hours before the level of half a day (streams.tide) has a say
    settle_ms: int = 30_000  # how long after its end a bin still waits for events that are on time

    def __post_init__(self) -> None:
        if len(self.half_lives_ms) != len(SCALES_MS) or any(h < s for h, s in zip(self.half_lives_ms, SCALES_MS, strict=True)):
            raise ValueError(f"half_lives_ms must name one half-life per scale, none shorter than its scale: {self.half_lives_ms}")
        if not (self.prior_events > 0 and self.dispersion > 0 and self.dispersion_weight > 0 and self.clip_events > 0):
            raise ValueError("prior_events, dispersion, dispersion_weight and clip_events must be above 0")
        if not (self.prior_dispersion > 0 and self.prior_bins > 0):
            raise ValueError("prior_dispersion and prior_bins must be above 0")
        if not (self.clip_sigmas > 0 and 0 <= self.clip_leak <= 1):
            raise ValueError("clip_sigmas must be above 0 and clip_leak between 0 and 1")
        if not 0 <= self.settle_ms <= 50_000:
            raise ValueError(f"settle_ms must be at most 50,000, the reach of the 10 s counts: {self.settle_ms}")


class Weights(NamedTuple):
    """The parameters as compiled functions take them."""

    prior_events: float
    dispersion: float
    dispersion_weight: float
    prior_dispersion: float
    prior_bins: float
    clip_sigmas: float
    clip_events: float
    clip_leak: float
    settle_ms: int

    @classmethod
    def of(cls, params: BaselineParams) -> Weights:
        """Those of these parameters."""
        return cls(*(getattr(params, name) for name in cls._fields))


def advance_exposure(exposure: float, bins: int, scale: int, observed: bool, params: BaselineParams) -> float:
    """Discounted number of bins after `bins` more of them, during which there was a log to observe or not."""
    rate = SCALES_MS[scale] / params.half_lives_ms[scale]
    left = math.pow(2.0, -bins * rate)
    if not observed:
        return exposure * left
    return exposure * left + (1.0 - left) / (1.0 - math.pow(2.0, -rate))


def decay_rates(params: BaselineParams) -> tuple[float, float, float, float]:
    """Per scale: how many times a weight halves in one bin."""
    one, two, three, four = (scale / half_life for scale, half_life in zip(SCALES_MS, params.half_lives_ms, strict=True))
    return one, two, three, four


@compiled
def decayed(value: float, bins: int, rate: float) -> float:
    """What is left of a value after so many bins; one step for any gap."""
    return value * math.pow(2.0, -bins * rate) if bins > 0 else value


@compiled
def predict(sums: float, pairs: float, exposure: float, prior: float, weights: Weights) -> tuple[float, float]:
    """Mean and dispersion (variance = mean + dispersion x mean^2) of the next bin, given the discounted sums of the bins before.

    `prior` is the dispersion to assume while few bins were seen.
    """
    own = max(pairs * exposure / max(sums, 1e-9) ** 2 - 1.0, 0.0)
    known = sums + weights.prior_events
    own = max(own * sums / (sums + weights.dispersion_weight), weights.dispersion)
    spread = (exposure * own + weights.prior_bins * prior) / (exposure + weights.prior_bins)
    # Neither is the mean known better than its own error: 1 / events of chance, spread / bins of change.
    return known / (exposure + 1.0), spread + spread / (exposure + 1.0) + 1.0 / known


@compiled
def clip(count: float, mean: float, dispersion: float, weights: Weights) -> float:
    """The count as the baseline learns it."""
    limit = mean + weights.clip_sigmas * math.sqrt(mean + dispersion * mean**2) + weights.clip_events
    count = max(count, 0.0)
    return limit + weights.clip_leak * (count - limit) if count > limit else count


@compiled
def surprise(count: float, mean: float, dispersion: float) -> float:
    """-log10 of the chance of at least `count` events, between 0 and 999; never more than the exact value.

    The tail of the negative binomial is bounded by a geometric series from its first term, which is within a factor of two
    where it matters and needs no incomplete beta function.
    """
    if count <= mean:
        return 0.0
    shape = 1.0 / dispersion
    log_first = math.lgamma(count + shape) - math.lgamma(shape) - math.lgamma(count + 1.0)
    log_first -= shape * math.log1p(mean * dispersion) + count * math.log1p(shape / mean)
    success = mean / (mean + shape)
    ratio = max(success * (count + shape) / (count + 1.0), success)
    log_tail = log_first - math.log1p(-ratio)
    return min(max(-log_tail / math.log(10.0), 0.0), MAX_SCORE)
