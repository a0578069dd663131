"""Brand moments that no count of all its posts shows: each with its own reason code, its numbers and a clause that says them.

| code             | when                                                                                             |
|------------------|--------------------------------------------------------------------------------------------------|
| mood_falls, _rises | the mean mood of the last 15 or 60 minutes is off the usual, beyond chance, whatever the volume |
| community, language, platform | one of them talks far more about the brand than its share of the usual, though all do not |
| share_of_voice   | of all that is said about watched brands, far more than usual is about this one                  |
| outsized_reach   | a post reaches far more people than any of the last days                                         |

A function of the pulses. A signal begins once and lasts at least LEAST_MS, then as long as a good half of what it took is there;
it says nothing before two hours of history. One brand alone has no share of voice. A call takes time for the brands it is about.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from schemas.candidates import SampleRef
from streams.pulse import BIN_MS, HOUR_BINS, Counts, Pulse, Pulses
from streams.tallies import TALLY_MS
from streams.wording import duration, number, signed

LEAST_MS = 600_000
_WINDOWS = (3, HOUR_BINS)  # bins: 15 min, 1 h
_PLACES = {"community": ("community", "in "), "lang": ("language", "in language "), "platform": ("platform", "on ")}
_LEAST_EXPECTED = 0.5  # events; a place never heard of is not impossible
_SPREAD = 0.5  # standard deviation of the mood of single posts; measured ones are 0.4 to 0.5
_KNOWN_MOOD = 500.0  # opinions at most that the usual mood is known by: it wanders
_CHANCE = 1.5  # people answer each other: counts vary more than independent ones
_SHARE_CHANCE = 3.0


@dataclass(frozen=True, slots=True)
class SignalParams:
    """What it takes for a brand with medium sensitivity; `lasts` of it keeps a signal."""

    known_bins: float = 12.0  # of the past
    known_opinions: float = 50.0
    opinions: float = 15.0
    mood: float = 0.3  # by which it is off
    mood_z: float = 5.0
    place_events: float = 10.0
    place_ratio: float = 3.0
    place_score: float = 6.0
    share_events: float = 30.0
    share_step: float = 0.15
    share_ratio: float = 1.5
    share_growth: float = 1.3  # of its own count: that others fell silent is no news of this brand
    share_z: float = 5.0
    reach: float = 50_000.0
    reach_ratio: float = 10.0
    lasts: float = 0.6

    def __post_init__(self) -> None:
        if not 0 < self.lasts <= 1 or min(self.mood, self.place_ratio - 1, self.share_ratio - 1, self.reach_ratio - 1) <= 0:
            raise ValueError("lasts must be above 0 and at most 1, mood above 0, ratios above 1")


class Signal(msgspec.Struct, frozen=True):
    """What is unusual about a brand, as it began."""

    term: str
    code: str
    clause: str
    began_ms: int
    scale_ms: int
    observed: int
    expected: float
    score: float
    place: str = ""  # facet that it is in
    opinions: int = 0
    mood: float = 0.0  # mean of the opinions
    usual_mood: float = 0.0
    reach: int = 0
    refs: tuple[SampleRef, ...] = ()

    @property
    def key(self) -> str:
        """One signal per brand, code and place at a time."""
        return f"{self.term} {self.code} {self.place}"


def detect_signals(
    pulses: Pulses,
    active: Mapping[str, Signal],
    terms: Collection[str],
    tick_ms: int,
    factors: Mapping[str, float],
    params: SignalParams,
) -> dict[str, Signal]:
    """All signals that are there now, by key; those of `active` that last stay as they began.

    `terms` have news, `factors` are what their sensitivity multiplies all it takes by.
    """
    total = _Total.of(pulses, params)
    found: dict[str, Signal] = {}
    for term in sorted({*terms, *(signal.term for signal in active.values())} & pulses.brands.keys()):
        look = _Look(term, pulses.brands[term], pulses, tick_ms, params)
        if look.pulse.past.bins < params.known_bins:
            continue
        now = {signal.key: signal for signal in _begins(look, total, factors.get(term, 1.0))}
        still = {signal.key for signal in _lasts(look, total, params.lasts)}
        found |= {key: active.get(key, signal) for key, signal in now.items()}
        found |= {
            key: signal
            for key, signal in active.items()
            if signal.term == term and (key in still or tick_ms - signal.began_ms < LEAST_MS)
        }
    return found


@dataclass(frozen=True, slots=True)
class _Total:
    """All brands together."""

    brands: int  # whose usual count is known
    events: float
    usual: float  # events per bin

    @classmethod
    def of(cls, pulses: Pulses, params: SignalParams) -> _Total:
        known = [one.past for one in pulses.brands.values() if one.past.bins >= params.known_bins]
        usual = sum(past.events / past.bins for past in known)
        return cls(len(known), sum(one.events for one in pulses.brands.values()), usual)


@dataclass(frozen=True, slots=True)
class _Look:
    """One brand at one time."""

    term: str
    pulse: Pulse
    pulses: Pulses
    tick_ms: int
    params: SignalParams

    def elapsed(self, bins: int) -> float:
        """How many bins long the present is: the full ones and the part of the newest that has passed."""
        return bins + min(max(self.tick_ms - self.pulses.bin_ms, 0) / BIN_MS, 1.0)

    def usual(self, bins: int) -> float:
        """Events expected in the present."""
        return self.pulse.past.events / self.pulse.past.bins * self.elapsed(bins)


def _begins(look: _Look, total: _Total, factor: float) -> Iterator[Signal]:
    yield from _lasts(look, total, factor)
    yield from _reach(look, factor)


def _lasts(look: _Look, total: _Total, factor: float) -> Iterator[Signal]:
    for bins in _WINDOWS:
        now = look.pulses.recent(look.term, bins)
        yield from _mood(look, now, bins, factor)
        yield from _places(look, now, bins, factor)
    yield from _share(look, total, factor)


def _signal(
    look: _Look, code: str, clause: str, observed: float, expected: float, score: float, minutes_ms: int, **more: Any
) -> Signal:
    return Signal(
        term=look.term,
        code=code,
        clause=clause,
        began_ms=look.tick_ms,
        scale_ms=minutes_ms,
        observed=max(round(observed), 1),
        expected=round(expected, 3),
        score=round(score, 2),
        refs=tuple(look.pulse.latest),
        **more,
    )


def _mood(look: _Look, now: Counts, bins: int, factor: float) -> Iterator[Signal]:
    past, params = look.pulse.past, look.params
    if now.opinions < params.opinions or past.opinions < params.known_opinions:
        return
    shift = now.mood - past.mood
    z = abs(shift) / (_SPREAD * math.sqrt(1 / now.opinions + 1 / min(past.opinions, _KNOWN_MOOD)))
    if abs(shift) < params.mood * min(factor, 1.0) or z < params.mood_z * factor:
        return
    usual, scale_ms = look.usual(bins), round(look.elapsed(bins)) * BIN_MS
    clause = (
        f"its mood {'fell' if shift < 0 else 'rose'} to {signed(now.mood)} from a usual {signed(past.mood)}, "
        f"with {now.events:.0f} posts in {duration(scale_ms)} where {number(usual)} are usual"
    )
    mood = {"opinions": round(now.opinions), "mood": now.mood, "usual_mood": past.mood, "reach": round(now.reach)}
    yield _signal(look, "mood_falls" if shift < 0 else "mood_rises", clause, now.events, usual, z, scale_ms, **mood)


def _places(look: _Look, now: Counts, bins: int, factor: float) -> Iterator[Signal]:
    past, params, scale_ms = look.pulse.past, look.params, round(look.elapsed(bins)) * BIN_MS
    growth = max(now.events / max(look.usual(bins), 1.0), 1.0)
    for place, count in sorted(now.places.items()):
        kind, _, name = place.partition(":")
        expected = max(past.places.get(place, 0.0) / past.bins * look.elapsed(bins) * growth, _LEAST_EXPECTED)
        if kind not in _PLACES or count < params.place_events * min(factor, 1.0) or count < params.place_ratio * expected:
            continue
        score = (count * math.log(count / expected) - count + expected) / math.log(10) / _CHANCE
        if score < params.place_score * factor:
            continue
        code, where = _PLACES[kind]
        usual = "almost none is" if expected <= _LEAST_EXPECTED else f"{number(expected)} are"
        clause = (
            f"{count:.0f} of its {now.events:.0f} posts in {duration(scale_ms)} are {where}{name}, "
            f"where {usual} usual, while all its posts are {_grown(now.events / max(look.usual(bins), 0.1))}"
        )
        yield _signal(look, code, clause, count, expected, score, scale_ms, place=place)


def _grown(ratio: float) -> str:
    return "about as many as usual" if 0.7 <= ratio <= 1.4 else f"{number(ratio)} times the usual"


def _share(look: _Look, total: _Total, factor: float) -> Iterator[Signal]:
    params, own, usual_own = look.params, look.pulse.events, look.usual(HOUR_BINS)
    if total.brands < 2 or own < params.share_events or own < params.share_growth * usual_own:
        return
    past = look.pulse.past
    share, usual = own / total.events, min(max(past.events / past.bins / total.usual, 0.02), 0.98)
    z = (share - usual) / math.sqrt(usual * (1 - usual) / total.events * _SHARE_CHANCE)
    if share < usual + params.share_step * min(factor, 1.0) or share < params.share_ratio * usual or z < params.share_z * factor:
        return
    clause = (
        f"{share:.0%} of the posts about {total.brands} watched brands are about it, against a usual {usual:.0%} "
        f"({own:.0f} of {total.events:.0f} in 1 h)"
    )
    yield _signal(look, "share_of_voice", clause, own, usual_own, z, HOUR_BINS * BIN_MS)


def _reach(look: _Look, factor: float) -> Iterator[Signal]:
    params, most, reached = look.params, max(look.pulse.most_reach, 1.0), look.pulse.tally_reach
    fresh = look.tick_ms - look.pulse.tally_ms < TALLY_MS
    if not fresh or reached < params.reach * min(factor, 1.0) or reached < params.reach_ratio * factor * most:
        return
    clause = f"it was named to {reached:,} followers at once, where {most:,.0f} were the most in the last days"
    now = look.pulses.recent(look.term, 0)
    score = 5 * math.log10(reached / most)
    yield _signal(look, "outsized_reach", clause, now.events, look.usual(0), score, BIN_MS, reach=reached)
