"""The unevenness of the demo feed: day and night, drift, over-dispersion, slow and wrong clocks; nothing surges by it."""

from __future__ import annotations

import math
from random import Random

_DAY_MS = 86_400_000
_LEVEL_SD, _LEVEL_S = 0.06, 60  # the whole level moves by some 6 % within a minute
_TOPIC_SD, _TOPIC_S = 0.12, 300  # a topic's share by some 12 % within five


class Drift:
    """Mean-reverting noise of the level and of each topic's share; `advance` it before every step."""

    def __init__(self, rng: Random, topics: int) -> None:
        self._rng = rng
        self._level = 0.0
        self._topics = [0.0] * topics
        self.topics = [1.0] * topics  # factor of each topic's share at the moment

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass."""
        self._level = self._reverted(self._level, _LEVEL_SD, math.exp(-seconds / _LEVEL_S))
        keep = math.exp(-seconds / _TOPIC_S)
        self._topics = [self._reverted(topic, _TOPIC_SD, keep) for topic in self._topics]
        self.topics = [math.exp(topic) for topic in self._topics]

    def level(self, now_ms: int) -> float:
        """Factor of the rate, with the time of the day in it."""
        return (1 + 0.25 * math.sin(2 * math.pi * (now_ms % _DAY_MS) / _DAY_MS)) * math.exp(self._level)

    def _reverted(self, value: float, spread: float, keep: float) -> float:
        return keep * value + math.sqrt(1 - keep**2) * self._rng.gauss(0, spread)


def poisson(rng: Random, mean: float) -> int:
    """A count with this mean: Knuth's method for small means, the normal approximation above."""
    if mean > 60:
        return max(0, round(rng.gauss(mean, math.sqrt(mean))))
    limit, product, count = math.exp(-mean), rng.random(), 0
    while product > limit:
        product *= rng.random()
        count += 1
    return count


def author_clock(rng: Random, at_ms: int) -> int:
    """What an author's clock said of a post the broker got at `at_ms`: mostly just before, sometimes minutes, seldom ahead."""
    chance = rng.random()
    if chance < 0.003:
        return at_ms + rng.randrange(1, 90_000)
    if chance < 0.01:
        return at_ms - rng.randrange(20_000, 200_000)
    if chance < 0.05:
        return at_ms - rng.randrange(1_000, 15_000)
    return at_ms - min(5_000, int(rng.lognormvariate(5.3, 0.7)))


def resend_delay_ms(rng: Random) -> int:
    """How long after a record its copy comes: within a second, or many later."""
    return int(rng.choice((rng.uniform(1, 900), rng.uniform(1_000, 20_000))))
