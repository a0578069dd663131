"""Planted moments of known size in over-dispersed noise with a daily season: how many are found, how late, and what noise brings.

All terms are watched and judged each as if alone. Everything is told in 10 s windows, with the waves of the day in three
time zones and quiet weekends. A term that surges when its plant begins is missed.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from schemas import frames
from schemas.candidates import Surge
from schemas.windows import WINDOW_MS
from streams.surge_params import SurgeParams
from streams.surges import SurgeState, detect_surges
from tests.benchmarks.moments.feed import alone

RATES_H = (2, 60, 600, 600_000)
AMPLITUDES = (2, 3, 5, 10, 20)
DURATIONS_S = (60, 600, 3_600, 21_600, 86_400)
START_MS = 1_700_006_400_000 // 86_400_000 * 86_400_000
DISPERSION = 0.1  # of the rate from minute to minute: variance in units of mean^2
DRIFT = 0.3  # and what lasts about an hour: deviation of its logarithm
DRIFT_HALF_LIFE_MS = 3_600_000
SEASON = 0.5  # the day's wave, ...
ZONES_H = (0, 3, 8)  # ... of terms in these time zones in turn
WEEKEND = 0.6  # of what working days bring, on the sixth and seventh day
_DAY_MS = 86_400_000

Floats = NDArray[np.float64]
_LISTS = [name for name, kind in frames.TERM_ROWS.items() if kind == pl.List]


@dataclass(slots=True)
class Talk:
    """Watched terms that are talked about at given rates, and what the detector says of them."""

    rates_h: Floats
    seed: int
    params: SurgeParams = field(default_factory=lambda: alone(SurgeParams()))
    now_ms: int = START_MS
    opened: list[tuple[int, int]] = field(default_factory=list)  # (term, log time)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)
        self.state = SurgeState(self.params)
        self.names = pl.Series([f"brand:{i}" for i in range(len(self.rates_h))])
        self.empty = pl.DataFrame({name: [[]] for name in _LISTS}, schema={name: frames.TERM_ROWS[name] for name in _LISTS})
        self.drift = np.zeros(len(self.rates_h))
        self.places = {f"brand:{i}": i for i in range(len(self.rates_h))}

    rng: np.random.Generator = field(init=False)
    state: SurgeState = field(init=False)
    names: pl.Series = field(init=False)
    empty: pl.DataFrame = field(init=False)
    places: dict[str, int] = field(init=False)
    drift: Floats = field(init=False)

    def go_on(self, length_ms: int, window_ms: int, factors: Floats | float = 1.0) -> None:
        """One tick after so much time, told in windows of this length."""
        left = float(np.exp2(-length_ms / DRIFT_HALF_LIFE_MS))
        self.drift = left * self.drift + np.sqrt(1 - left**2) * DRIFT * self.rng.standard_normal(len(self.rates_h))
        wave = self.rng.gamma(1 / DISPERSION, DISPERSION, len(self.rates_h)) * np.exp(self.drift - DRIFT**2 / 2)
        mean = self.rates_h * (window_ms / 3_600_000) * self._season() * wave * factors
        counts = self.rng.poisson(mean, (length_ms // window_ms, len(mean)))
        at, term = np.nonzero(counts)
        rows = self._rows(self.now_ms + at * window_ms, term, counts[at, term])
        self.now_ms += length_ms
        for surge in detect_surges(self.state, self.now_ms - 1_000, rows, self.params):
            self._note(surge)

    def _season(self) -> Floats:
        """Each term's share of its mean at this time of its day and week."""
        local_ms = self.now_ms - START_MS + 3_600_000 * np.resize(ZONES_H, len(self.rates_h))
        weekend = local_ms // _DAY_MS % 7 >= 5
        return np.asarray((1 + SEASON * np.sin(2 * np.pi * local_ms / _DAY_MS)) * np.where(weekend, WEEKEND, 1.0))

    def _note(self, surge: Surge) -> None:
        if surge.phase == "opened":
            self.opened.append((self.places[surge.term], self.now_ms))

    def _rows(self, starts_ms: NDArray[Any], terms: NDArray[Any], events: NDArray[Any]) -> pl.DataFrame:
        zeros = np.zeros(len(events), np.int64)
        columns = dict.fromkeys(frames.COUNTS, zeros) | {"events": events, "originals": events, "unknown_authors": events}
        table = pl.DataFrame({"window_start_ms": starts_ms, "term": self.names.gather(terms), **columns})
        lists = [self.empty[name].new_from_index(0, len(events)) for name in _LISTS]
        return table.with_columns(lists).select(list(frames.TERM_ROWS)).cast(dict(frames.TERM_ROWS))  # type: ignore[arg-type]


def heat_map(repeats: int, seed: int = 1) -> str:
    """Share of the planted moments found while they lasted (or within a minute of the end), and the median delay."""
    plants = [plant for plant in product(RATES_H, DURATIONS_S, AMPLITUDES) for _ in range(repeats)]
    talk = Talk(np.array([float(rate) for rate, _, _ in plants]), seed)
    lasts, times = np.array([plant[1] for plant in plants]), np.array([float(plant[2]) for plant in plants])
    for _ in range(30 * 60):
        talk.go_on(60_000, WINDOW_MS)
    begin_ms = talk.now_ms
    false = sum(at_ms > begin_ms - 6 * 3_600_000 for _, at_ms in talk.opened)
    talk.opened.clear()
    while talk.now_ms < begin_ms + max(DURATIONS_S) * 1_000:
        length_ms = WINDOW_MS if talk.now_ms < begin_ms + 600_000 else 60_000
        talk.go_on(length_ms, WINDOW_MS, np.where(talk.now_ms < begin_ms + lasts * 1_000, times, 1.0))
    delays: dict[tuple[int, int, int], list[float]] = {}
    found: set[int] = set()
    for term, at_ms in talk.opened:
        if term not in found and at_ms <= begin_ms + lasts[term] * 1_000 + 60_000:
            found.add(term)
            delays.setdefault(plants[term], []).append((at_ms - begin_ms) / 1_000)
    lines = ["| posts/h | lasts | " + " | ".join(f"× {times}" for times in AMPLITUDES) + " |", "|---" * (2 + len(AMPLITUDES)) + "|"]
    for rate, seconds in product(RATES_H, DURATIONS_S):
        cells = [_cell(delays.get((rate, seconds, times), []), repeats) for times in AMPLITUDES]
        lines.append(f"| {rate:,} | {_span(seconds)} | " + " | ".join(cells) + " |")
    quiet = f"{false} surges opened in the {len(plants) / 4:.0f} term-days of noise before them, told in 10 s windows"
    return "\n".join([*lines, "", quiet]) + "\n"


def noise(days: int, repeats: int, seed: int = 2) -> str:
    """Surges that opened in noise, after the first two days: told every minute in 10 s windows."""
    talk = Talk(np.repeat(np.array(RATES_H, np.float64), repeats), seed)
    for _ in range(days * 24 * 60):
        talk.go_on(60_000, WINDOW_MS)
    lines = ["| posts/h | false alerts per term and day |", "|---|---|"]
    for number, rate in enumerate(RATES_H):
        known = [t for t, at_ms in talk.opened if t // repeats == number and at_ms > START_MS + 2 * _DAY_MS]
        lines.append(f"| {rate:,} | {len(known) / repeats / (days - 2):.3f} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Prints both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=30, help="of noise")
    parser.add_argument("--repeats", type=int, default=2, help="terms of each kind")
    args = parser.parse_args()
    sys.stdout.write(heat_map(args.repeats) + "\n" + noise(args.days, args.repeats))
    return 0


def _cell(delays: list[float], planted: int) -> str:
    return f"{100 * len(delays) // planted} % {_span(float(np.median(delays)))}" if delays else "–"


def _span(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min" if seconds < 5_400 else f"{seconds / 3_600:.0f} h"


if __name__ == "__main__":
    sys.exit(main())
