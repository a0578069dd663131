"""How grave a moment is, 1 to 10: a rank among the moments of this stream, so that about one in ten is a 7 or more.

Points, each linear between the two ends on the scale given and flat beyond:

| what                                   | scale  | 0 points | full points | full at |
|----------------------------------------|--------|----------|-------------|---------|
| score (surprise, -log10 of the chance) | log10  | 5        | 2.5         | 100     |
| size: (peak + 1) / (expected + 1)      | log10  | 2        | 2.0         | 100     |
| people: distinct authors               | log10  | 3        | 3.0         | 1,000   |
| reach: followers in sum                | log10  | 10,000   | 1.0         | 100 M   |
| mood: fall of the mean sentiment       | linear | 0        | 1.5         | 0.8     |
| a watched brand is named               |        | no       | 1.0         | yes     |
| nobody watches it, and one word alone  |        | no       | −1.2        | yes     |
| nobody watches it, and it is one post, |        | no       | −1.2        | yes     |
| repeated                               |        |          |             |         |

More of anything is never less severe. Ranked are the highest points of the last MAX_PEERS moments and some of recorded evenings, so
that a new stream has a scale too: of the recorded moments 1 in 10 is a 7 or more, of the first twenty of a demo 1 in 5. No severity
is more than LIFT above 1 + 0.9 x points: where only little happens, little is not grave. A flood never exceeds 5, nor 3 where no
brand is named: it is to be known, not to be woken for. From 9 points on it is a 10 whatever the others are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

MAX_INORGANIC = 5
MAX_UNWATCHED_INORGANIC = 3
MAX_PEERS = 200
LIFT = 2
_RANKS = (0.1, 0.25, 0.45, 0.65, 0.8, 0.9, 0.95, 0.98, 0.995)
"""From which rank on a moment is a 2, 3, ... 10."""

PRIOR: tuple[float, ...] = (0.6, 0.8, 1.3, 1.6, 2.0, 2.0, 2.3, 2.5, 2.6, 2.7, 2.8, 2.8, 3.1, 3.5, 3.6, 3.8, 4.0, 4.6, 5.5, 6.4)
"""Every twentieth of the points of 78 moments of recorded evenings: six crises, a debate."""

_PRIOR_WEIGHT = 5.0  # moments

_UTMOST = 9.0  # points of 11
_LITTLE = 1.2  # points; a little more than one degree


@dataclass(frozen=True, slots=True)
class Weight:
    """What severity is made of, all as known when the statement is made."""

    score: float
    peak: int
    expected: float
    voices: int  # distinct known authors plus events of unknown ones
    reach: int = 0
    sentiment_shift: float | None = None  # negative: the mood fell
    brand: bool = False
    organic: bool = True
    lone: bool = False  # one term, nothing else rises with it
    echo: bool = False  # most of it repeats one post


class Scale(msgspec.Struct):
    """Points of the moments that ended last; a plain value, owned by the caller."""

    peers: list[float] = []  # msgspec copies it

    def add(self, points: float) -> None:
        """One more moment has ended."""
        self.peers = [*self.peers, round(points, 3)][-MAX_PEERS:]

    def rank(self, points: float) -> float:
        """Share of the others that have fewer, 0 to 1; equals count half."""
        return (_PRIOR_WEIGHT * _below(points, PRIOR) / len(PRIOR) + _below(points, self.peers)) / (_PRIOR_WEIGHT + len(self.peers))


def points_of(weight: Weight) -> float:
    """Monotone in every part of the weight."""
    return (
        2.5 * _between(weight.score, 5, 100)
        + 2.0 * _between((weight.peak + 1) / (max(weight.expected, 0.0) + 1), 2, 100)
        + 3.0 * _between(weight.voices, 3, 1_000)
        + 1.0 * _between(weight.reach, 10_000, 100_000_000)
        + 1.5 * min(max(-(weight.sentiment_shift or 0.0), 0.0) / 0.8, 1.0)
        + (1.0 if weight.brand else -_LITTLE * (weight.lone + weight.echo))
    )


def severity(weight: Weight, scale: Scale) -> int:
    """1 to 10; monotone in every part of the weight."""
    points = round(points_of(weight), 3)
    most = min(10, 1 + math.floor(0.9 * points + 0.5) + LIFT)
    rank = 1.0 if points >= _UTMOST else scale.rank(points)
    if not weight.organic:
        most = min(most, MAX_INORGANIC if weight.brand else MAX_UNWATCHED_INORGANIC)
    return max(min(1 + sum(rank >= limit for limit in _RANKS), most), 1)


def _below(points: float, others: Sequence[float]) -> float:
    return sum(1.0 if other < points else 0.5 if other == points else 0.0 for other in others)


def _between(value: float, low: float, high: float) -> float:
    """Where the value lies between the ends on a log scale, 0 to 1."""
    return (math.log(min(max(value, low), high)) - math.log(low)) / (math.log(high) - math.log(low))
