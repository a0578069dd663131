"""How a brand is usually talked about, by its tallies: how much, in which mood, where, and to how many people.

Counts go into bins of BIN_MS; those of the last hour are the present, older ones fade into the past with a half-life of a day.
A function of the tallies so far. Bounded: one pulse per brand on the watchlist, MAX_PLACES places in its past and
MAX_FACETS a tally in its present, MAX_LATEST references. A brand of which nothing was said for days is forgotten.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import msgspec

from schemas.candidates import SampleRef, Tally

BIN_MS = 300_000
HOUR_BINS = 12
MAX_PLACES = 100
MAX_BIN_PLACES = 100
MAX_LATEST = 64
_KEPT_PER_BIN = 0.5 ** (BIN_MS / 86_400_000)
_NEGLIGIBLE = 0.05


class Counts(msgspec.Struct):
    """Sums over some bins, or discounted ones over the past."""

    bins: float = 0.0
    events: float = 0.0
    opinions: float = 0.0
    mood_milli: float = 0.0
    reach: float = 0.0
    places: dict[str, float] = {}  # by facet; msgspec copies it

    @property
    def mood(self) -> float:
        """Mean sentiment, -1..1; 0.0 without opinions."""
        return self.mood_milli / self.opinions / 1000 if self.opinions else 0.0


class Pulse(msgspec.Struct):
    """One brand."""

    present: dict[int, Counts] = {}  # by start of bin
    past: Counts = msgspec.field(default_factory=Counts)
    most_reach: float = 0.0  # of one tally, fading with the past
    tally_reach: int = 0  # of the newest tally, ...
    tally_ms: int = -1  # ... and when it ended
    latest: list[SampleRef] = []  # posts of the newest tallies

    @property
    def events(self) -> float:
        """Events of the present hour."""
        return sum(counts.events for counts in self.present.values())


class Pulses(msgspec.Struct):
    """All brands; a plain value, so encoding it is its snapshot."""

    bin_ms: int = -1  # start of the newest bin
    brands: dict[str, Pulse] = {}  # by term

    def recent(self, term: str, bins: int) -> Counts:
        """The last so many bins of a brand, the unfinished one beside them."""
        pulse = self.brands.get(term)
        found = [] if pulse is None else [c for start, c in pulse.present.items() if start >= self.bin_ms - bins * BIN_MS]
        return _sum(found)


def listen(pulses: Pulses, tallies: Sequence[Tally], watched: Collection[str]) -> None:
    """Counts the tallies of brands that are watched, `watched` are their terms."""
    for tally in tallies:
        _advance(pulses, tally.end_ms // BIN_MS * BIN_MS, watched)
        if tally.term in watched:
            _count(pulses, tally)


def _advance(pulses: Pulses, bin_ms: int, watched: Collection[str]) -> None:
    if bin_ms <= pulses.bin_ms:
        return
    passed = 1 if pulses.bin_ms < 0 else (bin_ms - pulses.bin_ms) // BIN_MS
    pulses.bin_ms = bin_ms
    for term, pulse in list(pulses.brands.items()):
        _fade(pulse, bin_ms, passed)
        if term not in watched or (not pulse.present and pulse.past.events < _NEGLIGIBLE):
            del pulses.brands[term]


def _fade(pulse: Pulse, bin_ms: int, passed: int) -> None:
    kept, past = _KEPT_PER_BIN**passed, pulse.past
    gone = [start for start in pulse.present if start < bin_ms - HOUR_BINS * BIN_MS]
    old = _sum([pulse.present.pop(start) for start in sorted(gone)])
    # a bin without events is a bin too, once there is a past
    new_bins = float(passed) if past.bins else float(bool(gone))
    for name in ("events", "opinions", "mood_milli", "reach"):
        setattr(past, name, getattr(past, name) * kept + getattr(old, name))
    past.bins = past.bins * kept + new_bins
    places = {place: count * kept for place, count in past.places.items() if count * kept >= _NEGLIGIBLE}
    for place, count in old.places.items():
        places[place] = places.get(place, 0.0) + count
    past.places = _most(places, MAX_PLACES)
    pulse.most_reach *= kept


def _count(pulses: Pulses, tally: Tally) -> None:
    pulse = pulses.brands.setdefault(tally.term, Pulse())
    now = pulse.present.setdefault(pulses.bin_ms, Counts(bins=1.0))
    now.events += tally.events
    now.opinions += tally.sentiment_events
    now.mood_milli += tally.sentiment_milli
    now.reach += tally.reach
    for place, count in tally.facets.items():
        now.places[place] = now.places.get(place, 0.0) + count
    now.places = _most(now.places, MAX_BIN_PLACES)
    pulse.most_reach = max(pulse.most_reach, pulse.tally_reach)
    pulse.tally_reach, pulse.tally_ms = tally.reach, tally.end_ms
    pulse.latest = [*tally.samples, *(ref for ref in pulse.latest if ref not in tally.samples)][:MAX_LATEST]


def _sum(parts: Sequence[Counts]) -> Counts:
    total = Counts()
    for part in parts:
        for name in ("bins", "events", "opinions", "mood_milli", "reach"):
            setattr(total, name, getattr(total, name) + getattr(part, name))
        for place, count in part.places.items():
            total.places[place] = total.places.get(place, 0.0) + count
    return total


def _most(places: Mapping[str, float], limit: int) -> dict[str, float]:
    if len(places) <= limit:
        return dict(places)
    return dict(sorted(places.items(), key=lambda one: (-one[1], one[0]))[:limit])
