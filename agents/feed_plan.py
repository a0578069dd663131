"""What the feed planted, so that the demo's report can say what should have been found."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from agents.feed_scenarios import Flood, Scenario

# A planted moment goes 0 -> peak -> 0: nobody, then everybody, then they move on. A flood is there at once and stops at once.
RAMP_MS, HOLD_MS, FADE_MS = 12_000, 14_000, 8_000
FADES = 4  # fade constants until it counts as over: e^-4 of the peak is less than one post a second
FLOOD_MS = 25_000

FIRST_MS, EVERY_MS = 6_000, 28_000  # of live time: the first moment soon, then a pace at which one reads one card before the next
FLOOD_FIRST_MS, FLOOD_EVERY_MS = 20_000, 112_000  # between two moments, never on top of one
ROOM_MS = 24_000  # what is planted closer to the end could not show itself

_WORD = re.compile(r"\w{5,}")


@dataclass(frozen=True, slots=True)
class Planted:
    """One planted surge. `terms` are its own: brand, hashtags and words that ordinary talk does not hold."""

    name: str
    terms: tuple[str, ...]
    start_ms: int
    end_ms: int
    organic: bool
    lead: str  # the hashtag for people to look for


@dataclass(slots=True)
class Plan:
    """Everything planted so far; counts are of records that were handed out."""

    planted: list[Planted] = field(default_factory=list)
    records: int = 0
    duplicates: int = 0
    deletes: int = 0
    edits: int = 0
    dead_letters: Counter[str] = field(default_factory=Counter)


def moment_rate(age_ms: float, peak_per_s: float) -> float:
    """Posts per second of a planted moment `age_ms` after its start."""
    if age_ms < 0 or age_ms >= RAMP_MS + HOLD_MS + FADES * FADE_MS:
        return 0.0
    fading_ms = max(0.0, age_ms - RAMP_MS - HOLD_MS)
    return float(peak_per_s * min(1.0, age_ms / RAMP_MS) * 2.718281828 ** (-fading_ms / FADE_MS))


def flood_rate(age_ms: float, peak_per_s: float) -> float:
    """Posts per second of a flood `age_ms` after its start."""
    return peak_per_s if 0 <= age_ms < FLOOD_MS else 0.0


def planting_times(live_start_ms: int, live_ms: int | None) -> Iterator[tuple[int, bool]]:
    """(start_ms, organic) of what to plant in `live_ms` of live feed, in order of time; endless for None."""
    last = float("inf") if live_ms is None else live_ms - ROOM_MS
    moment, flood = FIRST_MS, FLOOD_FIRST_MS
    while min(moment, flood) <= last:
        if moment <= flood:
            yield live_start_ms + moment, True
            moment += EVERY_MS
        else:
            yield live_start_ms + flood, False
            flood += FLOOD_EVERY_MS


def plan_moment(scenario: Scenario, place: str, start_ms: int, usual: frozenset[str]) -> Planted:
    """What to expect of a scenario; `usual` are words that ordinary talk holds."""
    tags = scenario_tags(scenario, place)
    texts = " ".join(piece for parts in scenario.parts.values() for part in parts for piece in part) + " " + place
    end_ms = start_ms + RAMP_MS + HOLD_MS + FADES * FADE_MS
    return Planted(
        scenario.name, _terms(scenario.brand, tags, texts, usual), start_ms, end_ms, organic=True, lead=f"hashtag:{tags[0].lower()}"
    )


def plan_flood(flood: Flood, start_ms: int, usual: frozenset[str]) -> Planted:
    """What to expect of a flood."""
    terms = _terms(flood.brand, flood.tags, " ".join(flood.texts), usual)
    return Planted(flood.name, terms, start_ms, start_ms + FLOOD_MS, organic=False, lead=f"hashtag:{flood.tags[0].lower()}")


def scenario_tags(scenario: Scenario, place: str) -> tuple[str, ...]:
    """The scenario's hashtags at this place, without '#'."""
    return tuple(tag.format(place=place.replace(" ", "")) for tag in scenario.tags)


def words_of(text: str) -> frozenset[str]:
    """Words of five letters and more, in lower case."""
    return frozenset(_WORD.findall(text.lower()))


def _terms(brand: str, tags: tuple[str, ...], texts: str, usual: frozenset[str]) -> tuple[str, ...]:
    brands = [f"brand:{brand}"] if brand else []
    words = sorted(words_of(texts.replace("{place}", "").replace("{n}", "")) - usual)
    return (*brands, *(f"hashtag:{tag.lower()}" for tag in tags), *(f"keyword:{word}" for word in words))
