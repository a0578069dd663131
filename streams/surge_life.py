"""The life of one surge: what every scale says about a term, when that opens a surge, keeps it open, is news, and ends it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from schemas.candidates import MAX_SAMPLES, Phase, Surge
from streams.baseline import MAX_SCORE, SCALES_MS, Floats, Ints, surprise
from streams.sketches import count_authors, merge_samples
from streams.surge_params import SurgeParams
from streams.term_records import Records
from streams.term_table import Hashes, TermTable
from streams.tracks import BACKGROUND_SAMPLES, Chunk, OpenSurge, Track, merge, split

# A surge stays open while any scale up to this one (5 min) or the one that opened it says so: its pauses are not its end.
_LASTING_SCALE = 2

_LONGEST = len(SCALES_MS) - 1

# A window belongs to a surge if it holds more than this many times what was expected.
_SINCE_RATIO = 2.0

# Counts per hour of all terms for which SurgeParams.score is meant.
_SCORE_VOLUME = 1000.0

# Enough opinions to call their mean usual.
_USUAL_MIN_EVENTS = 5


@dataclass(frozen=True, slots=True)
class Verdict:
    """What each scale (columns) says about each term (rows) that it may have something to say about."""

    places: Ints  # among the records that were judged
    keys: Hashes
    slots: Ints
    observed: Ints
    expected: Floats
    score: Floats
    volume: Ints  # events of all terms, per scale

    def may_open(self, params: SurgeParams, *, watched: bool, share: float = 1.0) -> NDArray[np.bool_]:
        """Terms that a scale has seen enough of for a surge, or `share` of it; what else it takes, `open_surge` knows."""
        enough = _enough(self.observed, self.expected, self.score, self.volume, params, watched=watched, share=share)
        return np.asarray(enough.any(axis=1))

    def of(self, row: int) -> TermVerdict:
        """The verdict on one term."""
        return TermVerdict(int(self.slots[row]), self.observed[row], self.expected[row], self.score[row], self.volume)


@dataclass(frozen=True, slots=True)
class TermVerdict:
    """What each scale says about one term."""

    slot: int
    observed: Ints
    expected: Floats
    score: Floats
    volume: Ints

    def best(self, scales: NDArray[np.bool_]) -> int:
        """Which of these scales says so most clearly; the shortest of equals."""
        return int(np.argmax(np.where(scales, self.score, -1.0)))


def judge(table: TermTable, slots: Ints, records: Records, surging: Ints, params: SurgeParams) -> Verdict:
    """Scores of the records, of which the last is the total of all, that may open a surge, get a track or have an open surge.

    A term that merely follows all others has no surge: what is expected of it grows with them.
    """
    counts = table.observed(records)
    volume = counts[-1]
    enough = (counts >= np.minimum(params.support, params.support_watched)).any(axis=1)
    enough |= counts[:, -1] >= params.warm_events
    enough[surging], enough[-1] = True, False
    places = np.flatnonzero(enough)
    observed, chosen = counts[places], np.append(places, len(records) - 1)
    if not len(places):
        nothing = np.zeros(observed.shape)
        return Verdict(places, records["hash"][places], slots[places], observed, nothing, nothing, volume)
    means, spreads = table.expected(records[chosen])
    mean, spread = means[:-1], spreads[:-1]
    others = volume - observed + params.growth_events
    growth = others / (np.maximum(means[-1] - mean, 0.0) + params.growth_events)
    expected = mean * np.clip(growth, 1.0, params.growth_cap)
    known = np.array([exposure >= params.min_bins for exposure in table.exposure])
    rare = (observed > expected) & known
    score = np.zeros_like(expected)
    score[rare] = surprise(observed[rare].astype(np.float64), expected[rare], spread[rare])
    heights = table.heights(records[places])
    if heights is not None:
        score *= np.where(heights < params.backing, params.unbacked, 1.0)[:, None]
        score[:, _LONGEST] = np.maximum(score[:, _LONGEST], _lasting(observed, expected, spread, heights, params))
    return Verdict(places, records["hash"][places], slots[places], observed, expected, score, volume)


def _lasting(observed: Ints, expected: Floats, spread: Floats, heights: Floats, params: SurgeParams) -> Floats:
    """A score for what stands out at every length from minutes to half a day: many terms burst, but few do all day."""
    deviations = (observed - expected - 1.0) / (np.sqrt(expected + spread * expected**2) + 1.0)
    together = np.maximum(deviations[:, _LASTING_SCALE], 0.0) * np.maximum(deviations[:, _LONGEST], 0.0) * np.maximum(heights, 0.0)
    return np.asarray(np.minimum(np.cbrt(together) * params.score_watched / params.lasting, MAX_SCORE))


def open_surge(track: Track, verdict: TermVerdict, table: TermTable, params: SurgeParams) -> list[Surge]:
    """The surge of a term that has none, if there is evidence, support and more than a few authors, or a flood by few."""
    now_ms = table.now_ms
    assert now_ms is not None
    if track.surge is not None or not track.chunks:
        return []
    if track.faded_ms is not None and now_ms < track.faded_ms + params.cooldown_ms:
        return []
    enough = _enough(verdict.observed, verdict.expected, verdict.score, verdict.volume, params, watched=track.watched)
    if track.faded_ms is not None and now_ms < track.faded_ms + params.rest_ms(track.last_scale) and track.last_peaks:
        enough &= verdict.observed >= params.again_ratio * np.array(track.last_peaks)
    if not enough.any():
        return []
    scale = verdict.best(enough)
    since_ms, counted = table.run(verdict.slot, scale, _SINCE_RATIO * float(verdict.expected[scale]))
    before, during = split(track, since_ms)
    total = merge(during, MAX_SAMPLES)
    _add_untracked(total, counted, since_ms)
    authors = count_authors(total.authors) + total.counts["unknown_authors"]
    support = _support(verdict.volume, params, watched=track.watched)
    if (
        authors < (params.authors_watched if track.watched else params.authors)
        and not (verdict.observed[enough] >= params.flood_factor * support[enough]).any()
    ):
        return []
    track.surge = _begin(track, scale, total, before, now_ms)
    track.chunks, track.background = [], ()
    return [_say(track, "opened", verdict, scale, now_ms)]


def follow(track: Track, verdict: TermVerdict, table: TermTable, params: SurgeParams) -> list[Surge]:
    """What is new about an open surge: it grew, it faded, or nothing."""
    now_ms, surge = table.now_ms, track.surge
    assert now_ms is not None and surge is not None
    above = (verdict.score >= params.exit_score) & (verdict.observed >= params.exit_ratio * verdict.expected)
    above[max(surge.scale, _LASTING_SCALE) + 1 :] = False
    surge.peaks = list(map(max, surge.peaks, verdict.observed.tolist()))
    if now_ms - surge.opened_ms >= params.lasting_ms and verdict.score[_LONGEST] >= least_score(
        verdict.volume, params, watched=track.watched
    ):
        surge.scale = _LONGEST
    if any(above.tolist()):
        surge.above_ms = now_ms
    elif now_ms - surge.above_ms >= params.fade_ms(surge.scale):
        said = _say(track, "faded", verdict, surge.scale, now_ms)
        track.surge, track.faded_ms = None, now_ms
        track.last_scale, track.last_peaks = surge.scale, surge.peaks
        track.background = merge_samples(surge.total.samples, surge.background, BACKGROUND_SAMPLES)
        table.mask(verdict.slot, now_ms)
        return [said]
    else:
        return []
    if not _is_news(surge, now_ms, params):
        return []
    return [_say(track, "grown", verdict, verdict.best(above), now_ms)]


def least_score(volume: Ints, params: SurgeParams, *, watched: bool) -> float:
    """The score that opens a surge in a stream of this `volume` per scale."""
    return params.score_watched if watched else params.score + math.log10(max(float(volume[-1]) / _SCORE_VOLUME, 1.0))


def _enough(
    observed: Ints, expected: Floats, score: Floats, volume: Ints, params: SurgeParams, *, watched: bool, share: float = 1.0
) -> NDArray[np.bool_]:
    """Where evidence, support and ratio suffice: of one term by scale, or of many by term and scale."""
    enough = score >= least_score(volume, params, watched=watched)
    if not enough.any():
        return np.asarray(enough)
    enough &= observed >= share * _support(volume, params, watched=watched)
    return np.asarray(enough & (observed >= np.array(params.ratios) * expected))


def _support(volume: Ints, params: SurgeParams, *, watched: bool) -> Floats:
    if watched:
        return np.array(params.support_watched, np.float64)
    return np.maximum(params.support, params.support_root * np.sqrt(np.maximum(volume, 0)))


def _begin(track: Track, scale: int, total: Chunk, before: list[Chunk], now_ms: int) -> OpenSurge:
    background = track.background
    usual_events, usual_milli = track.usual_events, track.usual_milli
    for chunk in before:
        background = merge_samples(background, chunk.samples, BACKGROUND_SAMPLES)
        usual_events += chunk.counts["sentiment_events"]
        usual_milli += chunk.counts["sentiment_milli"]
    return OpenSurge(
        opened_ms=now_ms,
        scale=scale,
        total=total,
        peaks=[0] * len(SCALES_MS),
        reported_peaks=[0] * len(SCALES_MS),
        reported_ms=now_ms,
        reported_events=0,
        above_ms=now_ms,
        usual_sentiment_milli=round(usual_milli / usual_events) if usual_events >= _USUAL_MIN_EVENTS else None,
        background=background,
    )


def _add_untracked(total: Chunk, counted: int, since_ms: int) -> None:
    """Rows from before the term got its track were counted, but not written down: events of unknown authors."""
    missing = counted - total.counts["events"]
    if missing > 0:
        total.counts["events"] += missing
        total.counts["unknown_authors"] += missing
        total.start_ms = min(total.start_ms, since_ms)


def _is_news(surge: OpenSurge, now_ms: int, params: SurgeParams) -> bool:
    if any(peak >= params.grown_ratio * told for peak, told in zip(surge.peaks, surge.reported_peaks, strict=True)):
        return True
    due = now_ms - surge.reported_ms >= params.refresh_ms
    return due and surge.total.counts["events"] >= params.refresh_ratio * surge.reported_events


def _say(track: Track, phase: Phase, verdict: TermVerdict, scale: int, now_ms: int) -> Surge:
    """State the open surge as of now, and remember what was said."""
    surge = track.surge
    assert surge is not None
    surge.peaks = np.maximum(surge.peaks, verdict.observed).tolist()
    total, counts = surge.total, {name: max(value, 0) for name, value in surge.total.counts.items()}
    surge.reported_ms, surge.reported_peaks, surge.reported_events = now_ms, list(surge.peaks), counts["events"]
    observed = int(verdict.observed[scale])
    return Surge(
        term=track.term,
        phase=phase,
        opened_ms=surge.opened_ms,
        tick_ms=now_ms,
        since_ms=total.start_ms,
        scale_ms=SCALES_MS[scale],
        observed=observed,
        expected=round(float(verdict.expected[scale]), 4),
        score=round(float(verdict.score[scale]), 2),
        peak=surge.peaks[scale],
        events=counts["events"],
        originals=counts["originals"],
        replies=counts["replies"],
        reposts=counts["reposts"],
        authors=count_authors(total.authors),
        unknown_authors=counts["unknown_authors"],
        sentiment_events=counts["sentiment_events"],
        sentiment_milli=total.counts["sentiment_milli"],
        usual_sentiment_milli=surge.usual_sentiment_milli,
        reach=counts["reach"],
        samples=total.samples,
        background=surge.background,
    )
