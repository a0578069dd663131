"""Surges of single terms become moments: terms of one event are one moment, told once, updated when it matters, closed once.

Statements about a moment are numbered without gap from 0 (opened) to the last (closed). The output depends on the calls so far
only: `curate` must see every tick of the candidates log in order, those without surges too, with the posts that `needed_posts`
names. Posts that cannot be read any more weaken the explanation, never the life cycle.

A moment that is found inorganic keeps its id and its life: an update says `organic=False` with the evidence, and another takes it
back if more people join. Terms of a closed moment open nothing during the cool-down; a surge that outlasts it opens a moment when
detect next says that it grows. So does a single term that nobody watches, with little surprise and no company.
A moment that is only about muted brands lives silently, and its other terms with it. One that opens in the quiet hours of its
brands is told after them, if it lasts, or once it is grave.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from schemas.candidates import SampleRef, Surge, Tally
from schemas.events import Event
from schemas.moments import Moment
from schemas.watchlist import Brand
from streams.brand_moments import drop, hear_brands, is_one_post, speak_up
from streams.curate_state import CurateParams, CurateState, OpenMoment, Waiting
from streams.desk import Desk
from streams.following import follow, is_due, look_at, open_up
from streams.newcomers import greet, is_new, pace
from streams.opening import admit, is_ready, lead_order, may_lead, merge_refs, threshold_of

__all__ = ["CurateParams", "CurateState", "curate", "needed_posts"]

_KEENEST = Brand(id="any", sensitivity="high")
_PHASES = {"opened": 0, "grown": 1, "faded": 2}
_TICK_MS = 1_000  # by how much the next tick is later at least, where it is not said
_WITH_BACKGROUND = 8  # surges per call whose posts from before are read too: only leads need them


def needed_posts(state: CurateState, surges: Sequence[Surge], params: CurateParams, tick_ms: int | None = None) -> list[SampleRef]:
    """Posts to read back before `curate` is called with the same surges and tick, at most `max_posts`; changes nothing."""
    tick = tick_ms or max((surge.tick_ms for surge in surges), default=state.tick_ms + _TICK_MS)
    said = _in_order(surges)
    wanted: list[SampleRef] = []
    for at, surge in enumerate(_may_open(state, said, tick, params)):
        wanted += [*surge.samples, *(surge.background if at < _WITH_BACKGROUND else ())]
    for moment in state.moments.values():
        news = [surge for surge in said if state.home.get(surge.term) is moment]
        if _ends(moment, news) or ((moment.changed or news) and is_due(moment, tick, params)):
            wanted += [*moment.refs, *(ref for surge in news for ref in surge.samples)]
    wanted += [ref for signal in state.rising for ref in signal.refs]
    return sorted(list(dict.fromkeys(wanted))[: params.max_posts])


def curate(
    state: CurateState,
    tick_ms: int,
    surges: Sequence[Surge],
    posts: Mapping[SampleRef, Event],
    brands: Sequence[Brand],
    params: CurateParams,
    tallies: Sequence[Tally] = (),
) -> list[Moment]:
    """What is to be told at this tick, by moment id; `surges` and `tallies` are all of the tick, of all detect partitions."""
    state.tick_ms = max(state.tick_ms, tick_ms)
    state.cooling = [cooling for cooling in state.cooling if cooling.until_ms > state.tick_ms]
    state.first_seen_ms = greet(state.first_seen_ms, brands, state.tick_ms)
    desk = Desk(posts, brands)
    for surge in _in_order(surges):
        _note(state, surge, params)
    _bound(state, params)
    fresh = len(state.moments)
    told = admit(state, desk, params)
    for moment in speak_up(state, desk, params):
        look_at(state, moment, desk, params)
        if is_one_post(moment):
            drop(state, moment)
        else:
            told += open_up(state, moment, desk, params)
    for moment in list(state.moments.values())[:fresh]:
        told += follow(state, moment, desk, params)
    hear_brands(state, tallies, brands, params)
    return sorted(told, key=lambda moment: moment.moment_id)


def _in_order(surges: Sequence[Surge]) -> list[Surge]:
    """The statements of a tick as they happened, whatever order they came in."""
    return sorted(surges, key=lambda surge: (surge.term, surge.opened_ms, _PHASES[surge.phase]))


def _note(state: CurateState, surge: Surge, params: CurateParams) -> None:
    """Writes the statement to the moment of its term, or lets it wait for one."""
    moment = state.home.get(surge.term)
    waiting = state.waiting.get(surge.term)
    if moment is not None:
        _note_member(state, moment, surge)
    elif waiting is not None and surge.opened_ms < waiting.surge.opened_ms:
        return
    elif surge.phase == "faded":
        state.waiting.pop(surge.term, None)
    elif may_lead(surge.term):
        new = is_new(state.first_seen_ms, surge.term, state.tick_ms, params.new_brand_ms)
        state.waiting[surge.term] = _still_waiting(surge, waiting, state.tick_ms, new=new)


def _still_waiting(surge: Surge, before: Waiting | None, tick_ms: int, *, new: bool = False) -> Waiting:
    usual = before.usual_pace if before is not None else 0.0
    return Waiting(surge, before.arrived_ms if before else tick_ms, usual_pace=max(usual, pace(surge)) if new else usual)


def _note_member(state: CurateState, moment: OpenMoment, surge: Surge) -> None:
    member = moment.members[surge.term]
    if surge.opened_ms < member.surge.opened_ms:
        return
    member.note(surge)
    moment.heard_ms, moment.changed = state.tick_ms, True
    if surge.term == moment.lead:
        moment.lead_refs = merge_refs(moment.lead_refs, surge.samples)
        moment.footprint.hashes = [ref.place_hash for ref in moment.lead_refs]
    else:
        moment.other_refs = merge_refs(moment.other_refs, surge.samples)


def _bound(state: CurateState, params: CurateParams) -> None:
    """Forgets surges that detect has not spoken of for long, and the least surprising of too many."""
    alive = [w for w in state.waiting.values() if state.tick_ms - w.surge.tick_ms < params.quiet_ms]
    if len(alive) > params.max_waiting:
        state.given_way.waiting += len(alive) - params.max_waiting
        alive = sorted(alive, key=lambda w: (-w.surge.score, w.surge.term))[: params.max_waiting]
    if len(alive) < len(state.waiting):
        state.waiting = {waiting.surge.term: waiting for waiting in alive}


def _may_open(state: CurateState, said: list[Surge], tick_ms: int, params: CurateParams) -> list[Surge]:
    """Surges that may become part of a moment at this tick, if brands are as sensitive as can be."""
    after = dict(state.waiting)
    for surge in said:
        if surge.phase == "faded":
            after.pop(surge.term, None)
        elif surge.term not in state.home and may_lead(surge.term):
            after[surge.term] = _still_waiting(surge, after.get(surge.term), tick_ms)
    lowest = {term: threshold_of(term, _KEENEST, params) for term in after}
    ready = [waiting.surge for term, waiting in after.items() if is_ready(waiting, tick_ms, lowest[term], params)]
    return sorted(ready, key=lead_order)


def _ends(moment: OpenMoment, news: list[Surge]) -> bool:
    """Whether the statements leave no term of the moment rising."""
    active = {term for term, member in moment.members.items() if member.active}
    return not moment.live and active <= {surge.term for surge in news if surge.phase == "faded"}
