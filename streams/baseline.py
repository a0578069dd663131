"""What a term's own past leads one to expect at each time scale, and how surprising a count is against it.

The past is two discounted sums per scale over closed bins of that length that do not overlap: of count and of count x (count - 1).
With the discounted number of bins they give the mean and the over-dispersion of a negative binomial, the predictive distribution of
a Gamma-Poisson model. Silence is evidence too and costs nothing: a bin without events only decays the sums. Bins are clipped
softly before they are learnt, so a burst widens what is expected a little and a lasting change of level is learnt within hours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

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


def bin_of(time_ms: Ints | int, scale: int) -> Ints:
    """Index of the bin of this scale that holds the time."""
    return np.asarray(time_ms, np.int64) // SCALES_MS[scale]


def closed_bin(time_ms: Ints | int, scale: int, params: BaselineParams) -> Ints:
    """Index of the first bin of this scale that is still open at the time; all before it may be learnt."""
    return bin_of(np.asarray(time_ms, np.int64) - params.settle_ms, scale)


def decay(bins: Ints, scale: int, params: BaselineParams) -> Floats:
    """Weight that is left after so many bins of this scale; one step for any gap."""
    return np.asarray(np.exp2(-np.maximum(bins, 0) * (SCALES_MS[scale] / params.half_lives_ms[scale])))


def advance_exposure(exposure: float, bins: int, scale: int, observed: bool, params: BaselineParams) -> float:
    """Discounted number of bins after `bins` more of them, during which there was a log to observe or not."""
    left = float(decay(np.array(bins), scale, params))
    if not observed:
        return exposure * left
    one = float(decay(np.array(1), scale, params))
    return exposure * left + (1.0 - left) / (1.0 - one)


def decay_rates(params: BaselineParams) -> Floats:
    """Per scale: how many times a weight halves in one bin. See `decay`."""
    return np.asarray(np.array(SCALES_MS) / np.array(params.half_lives_ms), np.float64)


def predict(
    sums: Floats, pairs: Floats, exposure: Floats | float, prior: Floats | float, params: BaselineParams
) -> tuple[Floats, Floats]:
    """Mean and dispersion (variance = mean + dispersion x mean^2) of the next bin, given the discounted sums of the bins before.

    `prior` is the dispersion to assume while few bins were seen.
    """
    known, own = _known(sums, pairs, exposure, params)
    return known / (exposure + 1.0), _spread(known, own, exposure, prior, params)


def predict_scales(sums: Floats, pairs: Floats, exposure: Sequence[float], params: BaselineParams) -> tuple[Floats, Floats]:
    """`predict` for every scale (columns); what a scale does not know yet it takes from the next shorter one.

    Dispersion falls with the length of the scale if bins are independent and stays if they are not: the middle is assumed.
    """
    known, own = _known(sums, pairs, np.array(exposure), params)
    spreads = np.empty_like(known)
    prior: Floats | float = params.prior_dispersion
    for scale, bins in enumerate(exposure):
        if scale:
            prior = spreads[:, scale - 1] * np.sqrt(SCALES_MS[scale - 1] / SCALES_MS[scale])
        spreads[:, scale] = _spread(known[:, scale], own[:, scale], bins, prior, params)
    return known / (np.array(exposure) + 1.0), spreads


def _known(sums: Floats, pairs: Floats, exposure: Floats | float, params: BaselineParams) -> tuple[Floats, Floats]:
    """The sums with their prior, and the dispersion that they show."""
    own = np.maximum(pairs * exposure / np.maximum(sums, 1e-9) ** 2 - 1.0, 0.0)
    return sums + params.prior_events, np.maximum(own * sums / (sums + params.dispersion_weight), params.dispersion)


def _spread(known: Floats, own: Floats, exposure: Floats | float, prior: Floats | float, params: BaselineParams) -> Floats:
    spread = (exposure * own + params.prior_bins * prior) / (exposure + params.prior_bins)
    # Neither is the mean known better than its own error: 1 / events of chance, spread / bins of change.
    return spread + spread / (exposure + 1.0) + 1.0 / known


def clip(counts: Floats, mean: Floats, dispersion: Floats, params: BaselineParams) -> Floats:
    """The counts as the baseline learns them."""
    limit = mean + params.clip_sigmas * np.sqrt(mean + dispersion * mean**2) + params.clip_events
    counts = np.maximum(counts, 0.0)
    return np.where(counts > limit, limit + params.clip_leak * (counts - limit), counts)


def surprise(counts: Floats, mean: Floats, dispersion: Floats) -> Floats:
    """-log10 of the chance of at least `counts` events, between 0 and 999; never more than the exact value.

    The tail of the negative binomial is bounded by a geometric series from its first term, which is within a factor of two
    where it matters and needs no incomplete beta function.
    """
    shape = 1.0 / dispersion
    total, own, factorial = _log_gamma(np.stack([counts + shape, shape, counts + 1.0]))
    log_first = total - own - factorial
    log_first -= shape * np.log1p(mean * dispersion) + counts * np.log1p(shape / mean)
    success = mean / (mean + shape)
    ratio = np.maximum(success * (counts + shape) / (counts + 1.0), success)
    with np.errstate(invalid="ignore", divide="ignore"):
        log_tail = log_first - np.log1p(-ratio)
    return np.where(counts > mean, np.clip(-log_tail / np.log(10.0), 0.0, MAX_SCORE), 0.0)


def _log_gamma(x: Floats) -> Floats:
    """log Gamma(x) for x > 0 by Stirling's series at x + 7; absolute error below 1e-9 for x of ordinary size."""
    z = x + 7.0
    product = x * (x + 1.0) * (x + 2.0) * (x + 3.0) * (x + 4.0) * (x + 5.0) * (x + 6.0)
    series = 1.0 / (12.0 * z) - 1.0 / (360.0 * z**3) + 1.0 / (1260.0 * z**5)
    return np.asarray((z - 0.5) * np.log(z) - z + 0.5 * np.log(2.0 * np.pi) + series - np.log(product))
