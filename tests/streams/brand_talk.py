"""Tallies of watched brands by the minute: ordinary talk with its ups and downs, and what a test puts on top."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from schemas.candidates import SampleRef, Tally
from tests.streams.crowds import START_MS

MINUTE_MS = 60_000


@dataclass(frozen=True)
class Talk:
    """How a brand is talked about: posts a minute, mood of -1..1, followers of an author, shares of the places."""

    brand: str = "acme"
    rate: float = 2.0
    mood: float = 0.1
    followers: float = 300.0
    places: dict[str, float] = field(default_factory=lambda: {"lang:en": 0.9, "lang:de": 0.1})
    samples: tuple[SampleRef, ...] = ()


def minute(talk: Talk, number: int, chance: random.Random) -> Tally | None:
    """The talk of one minute; None if nothing was said. Counts are over-dispersed, opinions three in four posts."""
    busy = chance.gammavariate(4.0, 0.25)
    events = sum(chance.expovariate(1.0) < talk.rate * busy / 20 for _ in range(20)) if talk.rate < 10 else round(talk.rate * busy)
    if not events:
        return None
    opinions = sum(chance.random() < 0.75 for _ in range(events))
    said = [max(min(chance.gauss(talk.mood, 0.45), 1.0), -1.0) for _ in range(opinions)]
    reach = sum(round(chance.lognormvariate(0.0, 1.2) * talk.followers) for _ in range(events))
    where = chance.choices(list(talk.places), weights=list(talk.places.values()), k=events)
    return Tally(
        term=f"brand:{talk.brand}",
        end_ms=START_MS + number * MINUTE_MS,
        events=events,
        sentiment_events=opinions,
        sentiment_milli=round(1000 * sum(said)),
        reach=reach,
        facets={place: where.count(place) for place in sorted(set(where))},
        samples=talk.samples,
    )


def evening(talks: Callable[[int], Sequence[Talk]], minutes: int, seed: int = 1) -> Iterator[tuple[int, list[Tally]]]:
    """Minute after minute, with what `talks` says of it."""
    chance = random.Random(seed)
    for number in range(minutes):
        found = (minute(talk, number, chance) for talk in talks(number))
        yield START_MS + number * MINUTE_MS, [tally for tally in found if tally is not None]
