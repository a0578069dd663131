"""Signals about brands become moments, or part of the one that the brand has; a moment lasts while one of its signals does.

A signal that begins waits one call for its posts, so that they can be read back. It opens nothing while the brand cools down, is
muted or was just put on the watchlist; what it could not open it opens no more.
"""

from __future__ import annotations

from collections.abc import Sequence

from xxhash import xxh3_64_hexdigest

from schemas.candidates import Surge, Tally
from schemas.watchlist import Brand
from streams.comoving import Footprint, vocabulary
from streams.curate_state import MAX_REFS, NO_SURGE_MS, SENSITIVITY, CurateParams, CurateState, Member, OpenMoment
from streams.desk import Desk
from streams.following import is_muted_brand
from streams.newcomers import is_new
from streams.posts import Post, voices
from streams.pulse import listen
from streams.signals import Signal, detect_signals
from streams.statement import is_echo


def is_one_post(moment: OpenMoment) -> bool:
    """Whether most of what the signal is made of repeats one post: that is no turn of mood, and no community."""
    return is_echo(moment) and not any(signal.code == "outsized_reach" for signal in moment.signals.values())


def drop(state: CurateState, moment: OpenMoment) -> None:
    """Forgets a moment that signals opened and nobody heard of."""
    del state.moments[moment.moment_id]
    for term in moment.members:
        del state.home[term]


def hear_brands(state: CurateState, tallies: Sequence[Tally], brands: Sequence[Brand], params: CurateParams) -> None:
    """Counts the tallies; signals that begin wait in `state.rising` for the next call."""
    if not tallies:
        return
    factors = {f"brand:{brand.id}": SENSITIVITY[brand.sensitivity] for brand in brands}
    listen(state.pulses, tallies, factors.keys())
    heard = {tally.term for tally in tallies}
    signals = detect_signals(state.pulses, state.signals, heard, state.tick_ms, factors, params.signals)
    state.rising += [signal for key, signal in sorted(signals.items()) if key not in state.signals]
    state.signals = signals


def speak_up(state: CurateState, desk: Desk, params: CurateParams) -> list[OpenMoment]:
    """Gives the signals that wait to the moments of their brands, and returns those that had to be opened."""
    opened = []
    for signal in state.rising:
        moment = _moment_of(state, signal)
        if moment is None and _may_open(state, signal, desk, params):
            moment = _open(state, signal, desk.read(signal.refs))
            opened.append(moment)
        if moment is not None:
            moment.signals[signal.key] = signal
            moment.live.append(signal.key)
            moment.heard_ms, moment.changed = state.tick_ms, True
    state.rising = []
    for moment in state.moments.values():
        moment.live = [key for key in moment.live if key in state.signals]
    return opened


def _moment_of(state: CurateState, signal: Signal) -> OpenMoment | None:
    own = state.home.get(signal.term)
    about = (m for m in state.moments.values() if m.last is not None and signal.term[6:] in m.last.brands)
    return own or next(about, None)


def _may_open(state: CurateState, signal: Signal, desk: Desk, params: CurateParams) -> bool:
    if signal.term[6:] not in desk.watch or is_muted_brand(signal.term, desk.watch):
        return False
    if len(state.moments) >= params.max_open:
        state.given_way.open += 1
        return False
    cools = any(signal.term in cooling.footprint.terms for cooling in state.cooling)
    return not cools and not is_new(state.first_seen_ms, signal.term, state.tick_ms, params.new_brand_ms)


def _open(state: CurateState, signal: Signal, posts: list[Post]) -> OpenMoment:
    there = [post for post in posts if _is_there(post, signal.place)] or posts
    refs = [post.ref for post in there] or list(signal.refs)
    own = voices(there)
    moment = OpenMoment(
        moment_id=xxh3_64_hexdigest(f"{signal.key} {state.tick_ms}".encode()),
        opened_ms=state.tick_ms,
        footprint=Footprint([signal.term], sorted(ref.place_hash for ref in refs), vocabulary(own), len(own)),
        members={signal.term: Member.of(_as_surge(signal, state.tick_ms))},
        lead_refs=sorted(refs)[:MAX_REFS],
        other_refs=[],
        heard_ms=state.tick_ms,
        judged_ms=state.tick_ms,
    )
    state.moments[moment.moment_id] = moment
    state.home[signal.term] = moment
    state.waiting.pop(signal.term, None)
    return moment


def _is_there(post: Post, place: str) -> bool:
    kind, _, name = place.partition(":")
    here = {"community": post.event.community, "lang": post.event.lang, "platform": post.event.platform}
    return here.get(kind, name) == name


def _as_surge(signal: Signal, tick_ms: int) -> Surge:
    """The signal in the words of detect; a surge that has faded already, so that any real one takes its place."""
    return Surge(
        term=signal.term,
        phase="faded",
        opened_ms=NO_SURGE_MS,
        tick_ms=tick_ms,
        since_ms=signal.began_ms - signal.scale_ms,
        scale_ms=signal.scale_ms,
        observed=signal.observed,
        expected=signal.expected,
        score=signal.score,
        peak=signal.observed,
        events=signal.observed,
        unknown_authors=signal.observed,
        sentiment_events=signal.opinions,
        sentiment_milli=round(1000 * signal.mood * signal.opinions),
        usual_sentiment_milli=round(1000 * signal.usual_mood) if signal.opinions else None,
        reach=signal.reach,
    )
