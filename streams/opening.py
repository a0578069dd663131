"""How waiting surges become moments: they join the open moment of their event, or open one if it may be told.

Within a tick brands come first, then hashtags, then the most surprising words, of equally surprising ones names: the first of an
event leads it for ever.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from xxhash import xxh3_64_hexdigest

from schemas.candidates import MAX_SAMPLES, SampleRef, Surge
from schemas.moments import Moment
from schemas.watchlist import Brand
from streams.comoving import Footprint, link, vocabulary
from streams.curate_state import SENSITIVITY, CurateParams, CurateState, Member, OpenMoment, Waiting
from streams.desk import Desk
from streams.explain import count_words
from streams.following import is_muted, is_muted_brand, look_at, open_up
from streams.newcomers import is_new, pace
from streams.posts import Post, voices
from streams.statement import brands_of, is_echo
from streams.talk import hear

_KINDS = {"brand": 0, "hashtag": 1, "keyword": 2, "mention": 3, "domain": 4}
_SHORTENERS = frozenset(
    f"domain:{host}"
    for host in ("t.co", "bit.ly", "ow.ly", "goo.gl", "tinyurl.com", "buff.ly", "dlvr.it", "fb.me", "is.gd", "lnkd.in")
)  # say nothing about where a link leads

_TIERS = 4  # per tenfold score: words whose scores differ by less than a half are as surprising as each other


def may_lead(term: str) -> bool:
    """Whether the term is a topic; `all:posts` and link shorteners are none."""
    return term.partition(":")[0] in _KINDS and term not in _SHORTENERS


def kind_rank(term: str) -> int:
    """Lower kinds lead higher ones."""
    return _KINDS[term.partition(":")[0]]


def lead_order(surge: Surge, watch: Mapping[str, Brand] = MappingProxyType({})) -> tuple[int, bool, float, int, str]:
    """Sorts the surge first that should lead; of brands those that are not muted."""
    return kind_rank(surge.term), is_muted_brand(surge.term, watch), -surge.score, -surge.observed, surge.term


def is_ready(waiting: Waiting, tick_ms: int, threshold: float, params: CurateParams) -> bool:
    """Whether the surge may become part of a moment at this tick."""
    return not waiting.settled and tick_ms - waiting.arrived_ms >= params.gather_ms and waiting.surge.score >= threshold


def threshold_of(term: str, brand: Brand | None, params: CurateParams) -> float:
    """Score that a surge of the term needs."""
    return params.min_score * SENSITIVITY[brand.sensitivity if brand else "medium"] if kind_rank(term) == 0 else 0.0


def admit(state: CurateState, desk: Desk, params: CurateParams) -> list[Moment]:
    """Gives every surge that is ready a moment if it may have one, and tells of those that opened."""
    opened = []
    for waiting in _ready(state, desk, params):
        waiting.settled = True
        term, posts = waiting.surge.term, desk.read(waiting.surge.samples)
        hashes = [ref.place_hash for ref in waiting.surge.samples]
        heard = term.startswith("brand:") and not is_muted_brand(term, desk.watch)  # by no silent moment is it to be swallowed
        homes = [moment for moment in state.moments.values() if not (heard and moment.silent)]
        home = _home(state, homes, waiting.surge, posts, params)
        if home is not None:
            _join(state, home, waiting, params)
        elif len(state.moments) >= params.max_open:
            state.given_way.open += 1
        elif _is_known(state, waiting, params) and not _cools(state, term, posts, hashes, params):
            opened.append((_open(state, waiting, posts), waiting))
    for moment, _ in opened:
        _call(state, moment, params)
    return [told for moment, first in opened for told in _tell(state, moment, first, desk, params)]


def _call(state: CurateState, moment: OpenMoment, params: CurateParams) -> None:
    """Terms that rose before it and were too little for a moment of their own join it; their posts are not read again."""
    for term, waiting in list(state.waiting.items()):
        hashes = [ref.place_hash for ref in waiting.surge.samples]
        if waiting.settled and kind_rank(term) > 0 and link(term, (), hashes, moment.footprint, params.comoving) > 0:
            _join(state, moment, waiting, params)


def merge_refs(*samples: Sequence[SampleRef]) -> list[SampleRef]:
    """The bottom-k of the posts, each once."""
    return sorted({ref for refs in samples for ref in refs})[:MAX_SAMPLES]


def _ready(state: CurateState, desk: Desk, params: CurateParams) -> list[Waiting]:
    ready = [
        waiting
        for term, waiting in state.waiting.items()
        if is_ready(waiting, state.tick_ms, threshold_of(term, desk.watch.get(term.partition(":")[2]), params), params)
    ]
    return sorted(ready, key=lambda waiting: _first(waiting.surge, desk))


def _first(surge: Surge, desk: Desk) -> tuple[int, bool, int, float, tuple[int, bool, float, int, str]]:
    """As `lead_order`, but of words about as surprising as each other first those that people write as names."""
    order = lead_order(surge, desk.watch)
    if not surge.term.startswith("keyword:"):
        return *order[:2], 0, 0.0, order
    posts = voices(post for post in desk.read(surge.samples) if post.holds(surge.term))
    named = sum(surge.term[8:] in post.names for post in posts) / len(posts) if posts else 0.0
    return *order[:2], -round(_TIERS * math.log10(max(surge.score, 1.0))), -round(named, 3), order


def _is_near(moment: OpenMoment, surge: Surge, params: CurateParams) -> bool:
    """Whether the surge began soon after the moment opened, on the time scale of both."""
    scale_ms = max(surge.scale_ms, moment.members[moment.lead].crest.scale_ms)
    return surge.opened_ms - moment.opened_ms <= max(params.near_ms, 2 * scale_ms)


def _home(
    state: CurateState, moments: list[OpenMoment], surge: Surge, posts: list[Post], params: CurateParams
) -> OpenMoment | None:
    """The open moment that the term belongs to, the oldest of equals."""
    hashes, talk = [ref.place_hash for ref in surge.samples], state.usual.everything
    links = [
        (
            link(surge.term, posts, hashes, m.footprint, params.comoving, talk if _is_near(m, surge, params) else None),
            -m.opened_ms,
            m.moment_id,
            m,
        )
        for m in moments
    ]
    strength, _, _, moment = max(links, key=lambda one: one[:3], default=(0.0, 0, "", None))
    return moment if strength > 0 else None


def _is_known(state: CurateState, waiting: Waiting, params: CurateParams) -> bool:
    """Whether the past of the term is known, or it grew beyond what it had while it was not."""
    if is_new(state.first_seen_ms, waiting.surge.term, state.tick_ms, params.new_brand_ms):
        return False
    return not waiting.usual_pace or pace(waiting.surge) > params.growth * waiting.usual_pace


def _cools(state: CurateState, term: str, posts: list[Post], hashes: list[int], params: CurateParams) -> bool:
    footprints = (cooling.footprint for cooling in state.cooling)
    return any(term in footprint.terms or link(term, posts, hashes, footprint, params.comoving) > 0 for footprint in footprints)


def _open(state: CurateState, waiting: Waiting, posts: list[Post]) -> OpenMoment:
    surge = waiting.surge
    own = voices(post for post in posts if post.holds(surge.term))
    moment = OpenMoment(
        moment_id=xxh3_64_hexdigest(f"{surge.term} {state.tick_ms}".encode()),
        opened_ms=state.tick_ms,
        footprint=Footprint([surge.term], [ref.place_hash for ref in surge.samples], vocabulary(own), len(own)),
        members={surge.term: Member.of(surge)},
        lead_refs=merge_refs(surge.samples),
        other_refs=[],
        heard_ms=state.tick_ms,
        judged_ms=state.tick_ms,
    )
    state.moments[moment.moment_id] = moment
    state.home[surge.term] = moment
    del state.waiting[surge.term]
    return moment


def _join(state: CurateState, moment: OpenMoment, waiting: Waiting, params: CurateParams) -> None:
    surge = waiting.surge
    if len(moment.members) >= params.max_members:
        return  # it keeps waiting, settled: it may neither open a second moment nor grow this one without bound
    moment.members[surge.term] = Member.of(surge)
    moment.footprint.terms.append(surge.term)
    moment.other_refs = merge_refs(moment.other_refs, surge.samples)
    moment.heard_ms, moment.changed = state.tick_ms, True
    state.home[surge.term] = moment
    del state.waiting[surge.term]


def _tell(state: CurateState, moment: OpenMoment, first: Waiting, desk: Desk, params: CurateParams) -> Iterator[Moment]:
    before = voices(desk.read(first.surge.background))
    hear(state.usual, (moment.lead,), count_words(before), len(before), state.tick_ms)
    look_at(state, moment, desk, params)
    moment.changed = False
    brands = [desk.watch[brand] for brand in brands_of(moment, desk.watch) if brand in desk.watch]
    if not _is_enough(moment, brands, params):
        _dissolve(state, moment, first)
        return
    moment.silent = is_muted(moment, desk.watch)
    if not moment.silent:
        yield from open_up(state, moment, desk, params)


def _is_enough(moment: OpenMoment, brands: list[Brand], params: CurateParams) -> bool:
    """What nobody watches needs more if it is alone or one repeated post; so does a hashtag about a brand of low sensitivity."""
    best = max(member.surge.score for member in moment.members.values())
    if any(kind_rank(term) == 0 for term in moment.members):
        return True
    if not brands:
        alone = params.lone_score if len(moment.members) == 1 else 0.0
        return best >= max(params.echo_score if is_echo(moment) else 0.0, alone)
    return best >= params.min_score * min(SENSITIVITY[brand.sensitivity] for brand in brands)


def _dissolve(state: CurateState, moment: OpenMoment, first: Waiting) -> None:
    """Its terms wait again, settled; the others' samples come with their next statement."""
    del state.moments[moment.moment_id]
    for term, member in moment.members.items():
        del state.home[term]
        state.waiting[term] = first if term == moment.lead else Waiting(member.surge, state.tick_ms, settled=True)
