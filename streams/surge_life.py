"""The life of one surge: when a verdict opens it, keeps it open, is news, and ends it."""

from __future__ import annotations

import numpy as np

from schemas.candidates import MAX_SAMPLES, Phase, Surge
from streams.baseline import SCALES_MS
from streams.sketches import count_authors, merge_samples
from streams.surge_params import SurgeParams
from streams.term_table import TermTable
from streams.tracks import BACKGROUND_SAMPLES, Chunk, OpenSurge, Track, merge, split
from streams.verdict import LASTING_SCALE, LONGEST, TermVerdict

# A window belongs to a surge if it holds more than this many times what was expected.
_SINCE_RATIO = 2.0

# Enough opinions to call their mean usual.
_USUAL_MIN_EVENTS = 5


def open_surge(track: Track, verdict: TermVerdict, table: TermTable, params: SurgeParams) -> list[Surge]:
    """The surge of a term that has none, if there is evidence, support and more than a few authors, or a flood by few."""
    now_ms = table.now_ms
    assert now_ms is not None
    if track.surge is not None or not track.chunks:
        return []
    if track.faded_ms is not None and now_ms < track.faded_ms + params.cooldown_ms:
        return []
    found = verdict.enough[int(track.watched)]
    if track.faded_ms is not None and now_ms < track.faded_ms + params.rest_ms(track.last_scale) and track.last_peaks:
        found = found & (verdict.observed >= params.again_ratio * np.array(track.last_peaks))
    if not found.any():
        return []
    scale = verdict.best(found)
    since_ms, counted = table.run(verdict.slot, scale, _SINCE_RATIO * float(verdict.expected[scale]))
    before, during = split(track, since_ms)
    total = merge(during, MAX_SAMPLES)
    _add_untracked(total, counted, since_ms)
    authors = count_authors(total.authors) + total.counts["unknown_authors"]
    support = verdict.bar.support[int(track.watched)]
    if (
        authors < (params.authors_watched if track.watched else params.authors)
        and not (verdict.observed[found] >= params.flood_factor * support[found]).any()
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
    above[max(surge.scale, LASTING_SCALE) + 1 :] = False
    surge.peaks = list(map(max, surge.peaks, verdict.observed.tolist()))
    if now_ms - surge.opened_ms >= params.lasting_ms and verdict.score[LONGEST] >= verdict.bar.score[int(track.watched)]:
        surge.scale = LONGEST
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
