"""What makes a count a surge: every tunable of the detector with its default and the reason for it."""

from __future__ import annotations

from dataclasses import dataclass, field

from streams.baseline import SCALES_MS, BaselineParams

PerScale = tuple[int, int, int, int]

SCORE_VOLUME = 1000.0
"""Counts per hour of all terms for which SurgeParams.score is meant."""


@dataclass(frozen=True, slots=True)
class SurgeParams:
    """Tunables of `detect_surges`. Tuples go by baseline.SCALES_MS: 10 s, 1 min, 5 min, 1 h.

    Watched terms are few and somebody cares, so little evidence will do; of the others there are very many.
    """

    baseline: BaselineParams = field(default_factory=BaselineParams)

    score_watched: float = 5.0  # -log10 p
    score: float = (
        6.0  # of others in a stream of 1,000 counts an hour; + 1 for every ten times as many, as there are more to be wrong about
    )
    lasting: float = 3.3  # deviations, geometric mean of 5 min, 1 h and half a day: as good as score_watched; see DECISIONS.md, 16
    backing: float = 1.0  # deviations of half a day: on less, a term that is known to burst ...
    unbacked: float = 0.3  # ... is believed only so much of a score

    min_ratio: float = 2.0  # below twice the expected count nobody acts, however significant
    lasting_ratio: float = 1.5  # the same for the scale of an hour: what lasts is smaller
    support_watched: PerScale = (3, 3, 3, 5)
    support: PerScale = (6, 6, 8, 8)
    support_root: float = 0.15  # other terms also need this x sqrt(counts of all terms): a big stream has many small things
    authors_watched: int = 2  # distinct known authors + events without author
    authors: int = 5
    flood_factor: float = 5.0  # at this x support the authors no longer matter: curate shall see floods by one account

    warmup_ms: int = 600_000  # of log before anything opens: a cold start is not a moment
    gap_ms: int = 3_600_000  # a longer silence of all terms is a hole in the log, not silence
    rewarm_ms: int = 300_000  # of log after a hole before anything opens
    min_bins: float = 4.0  # discounted bins of a scale before it has a say
    growth_cap: float = 3.0  # what is expected grows with all other terms, at most this much
    growth_events: float = 200.0  # pseudo-counts: the growth of a small stream is noise

    exit_score: float = 2.0  # hysteresis: little evidence keeps a surge open
    exit_ratio: float = 1.5
    fade_scales: float = 2.0  # it fades after so many lengths of the scale that opened it below the exit
    fade_min_ms: int = 60_000
    fade_max_ms: int = 900_000
    cooldown_ms: int = 600_000  # before a term can open again, and then only by events after it faded
    lasting_ms: int = 900_000  # a surge that is open for so long and clear at the scale of an hour is one of that scale
    cooldown_scales: float = 24.0  # and before it can so many lengths of the scale that opened it, unless it is ...
    again_ratio: float = 2.0  # ... so many times as high as the last one was
    grown_ratio: float = 1.5  # a new peak this much above the one last told is news
    refresh_ms: int = 60_000  # otherwise it is told again after this time if it got refresh_ratio x the events
    refresh_ratio: float = 1.1

    warm_score: float = 2.5  # at this, warm_events and a tenth of the support a term gets a track: authors, samples, sentiment
    warm_events: int = 3
    max_tracks: int = 4_096  # terms nobody watches in detail, some KB each, 100 KB at most
    max_watched: int = 10_000  # watched ones, those that left the watchlist within a week included
    max_terms: int = 200_000  # terms with exact counts, about 360 bytes each
    hashed_cells: int = 65_536  # pasts of evicted terms, 52 bytes each

    def __post_init__(self) -> None:
        if not 0 < self.exit_score <= min(self.score, self.score_watched):
            raise ValueError(
                "exit_score must be above 0 and not above score or score_watched, or surges would never end or never last"
            )
        if not 1.0 <= self.exit_ratio <= min(self.min_ratio, self.lasting_ratio):
            raise ValueError("exit_ratio must be between 1 and both min_ratio and lasting_ratio")
        if not (self.lasting > 0 and 0 < self.unbacked <= 1 and self.cooldown_scales >= 0 and self.again_ratio > 1):
            raise ValueError("lasting must be above 0, unbacked in (0, 1], cooldown_scales not below 0, again_ratio above 1")
        if any(len(s) != len(SCALES_MS) or min(s) < 1 for s in (self.support, self.support_watched)):
            raise ValueError(f"support must name {len(SCALES_MS)} counts of at least 1, one per scale")
        if not (self.growth_cap >= 1 and self.growth_events > 0 and self.grown_ratio > 1 and self.refresh_ratio > 1):
            raise ValueError("growth_cap must be at least 1, growth_events above 0, grown_ratio and refresh_ratio above 1")
        if min(self.warmup_ms, self.gap_ms, self.rewarm_ms, self.refresh_ms, self.fade_min_ms, self.cooldown_ms) <= 0:
            raise ValueError("durations must be above 0")
        if self.fade_max_ms < self.fade_min_ms or self.fade_scales <= 0:
            raise ValueError("fade_max_ms must be at least fade_min_ms, fade_scales above 0")
        if min(self.max_terms, self.max_tracks, self.max_watched, self.hashed_cells) < 1:
            raise ValueError("max_terms, max_tracks, max_watched and hashed_cells must be at least 1")

    @property
    def ratios(self) -> tuple[float, float, float, float]:
        """Times what is expected that each scale needs."""
        return self.min_ratio, self.min_ratio, self.min_ratio, self.lasting_ratio

    def rest_ms(self, scale: int) -> int:
        """How long after a surge of this scale has faded another of the term must be higher than it."""
        return int(max(self.cooldown_scales * SCALES_MS[scale], self.cooldown_ms))

    def fade_ms(self, scale: int) -> int:
        """How long a surge that this scale opened must stay below the exit before it has faded."""
        return int(min(max(self.fade_scales * SCALES_MS[scale], self.fade_min_ms), self.fade_max_ms))
