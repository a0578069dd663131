"""How grave a moment is, 1 to 10: never lower for more surprise, size, people, reach, a deeper fall in mood, or a brand named.

Points, each linear between the two ends on the scale given and flat beyond; severity = 1 + 0.9 x points, rounded, 1 to 10:

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

A hashtag of 12 people that nobody watches is a 3, a watched brand at 15 times its usual with 200 people in bad mood a 7, a hashtag
of 700 people a 7 too, a brand with 1,000 people and a fall in mood a 10. On recordings of small streams (a debate, the Boston and
West Texas explosions; no followers, no brands) 3 of 83 moments reached 7; brands, mood and reach lift the rest. A flood never
exceeds 5, nor 3 where no brand is named: it is to be known, not to be woken for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

MAX_INORGANIC = 5
MAX_UNWATCHED_INORGANIC = 3
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


def severity(weight: Weight) -> int:
    """1 to 10; monotone in every part of the weight."""
    points = (
        2.5 * _between(weight.score, 5, 100)
        + 2.0 * _between((weight.peak + 1) / (max(weight.expected, 0.0) + 1), 2, 100)
        + 3.0 * _between(weight.voices, 3, 1_000)
        + 1.0 * _between(weight.reach, 10_000, 100_000_000)
        + 1.5 * min(max(-(weight.sentiment_shift or 0.0), 0.0) / 0.8, 1.0)
        + (1.0 if weight.brand else -_LITTLE * (weight.lone + weight.echo))
    )
    most = 10 if weight.organic else MAX_INORGANIC if weight.brand else MAX_UNWATCHED_INORGANIC
    return min(max(1 + math.floor(0.9 * points + 0.5), 1), most)


def _between(value: float, low: float, high: float) -> float:
    """Where the value lies between the ends on a log scale, 0 to 1."""
    return (math.log(min(max(value, low), high)) - math.log(low)) / (math.log(high) - math.log(low))
