"""The life of an open moment: looked at when detect says something new, told when it is news, closed when all its terms faded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from schemas.moments import Moment, Status
from schemas.watchlist import Brand
from streams.comoving import vocabulary
from streams.curate_state import MAX_WORDS, Cooling, CurateParams, CurateState, OpenMoment
from streams.desk import Desk
from streams.explain import count_words, explain, phrase_of
from streams.organic import Crowd, judge
from streams.posts import Post, voices
from streams.quiet_hours import all_quiet
from streams.statement import TURNS, brands_of, state_moment
from streams.talk import hear, talk_of


def is_over(moment: OpenMoment, tick_ms: int, params: CurateParams) -> bool:
    """Whether no term of it rises any more, as far as detect said."""
    rises = any(member.active for member in moment.members.values())
    return not (rises or moment.live) or tick_ms - moment.heard_ms >= params.quiet_ms


def is_due(moment: OpenMoment, tick_ms: int, params: CurateParams) -> bool:
    """Whether it is time to look whether there is news."""
    return not moment.silent and tick_ms - moment.judged_ms >= params.update_ms


def follow(state: CurateState, moment: OpenMoment, desk: Desk, params: CurateParams) -> Iterator[Moment]:
    """What is to be told about the moment now: its end, news, or nothing."""
    if is_over(moment, state.tick_ms, params):
        yield from _close(state, moment, desk, params)
    elif moment.held and is_due(moment, state.tick_ms, params):
        moment.judged_ms = state.tick_ms
        if moment.changed:
            moment.changed = False
            look_at(state, moment, desk, params)
        yield from open_up(state, moment, desk, params)
    elif moment.changed and is_due(moment, state.tick_ms, params):
        moment.changed, moment.judged_ms = False, state.tick_ms
        look_at(state, moment, desk, params)
        told, now = moment.last, state_moment(moment, "updated", state.tick_ms, desk.watch, state.scale)
        if told is not None and is_news(told, now, params) and not is_muted(moment, desk.watch):
            yield tell(state, moment, "updated", desk)


def look_at(state: CurateState, moment: OpenMoment, desk: Desk, params: CurateParams) -> None:
    """Renews verdict and explanation from the posts that can be read; without any, those of before stay."""
    read = desk.read(moment.refs)
    posts = [post for post in read if _is_about(post, moment)] or read
    if not posts:
        return
    naming = voices([post for post in posts if post.holds(moment.lead)] or posts)
    moment.footprint.vocabulary, moment.footprint.posts = vocabulary(naming), len(naming)
    lead = moment.members[moment.lead].surge
    crowd = Crowd(lead.events, lead.authors, lead.unknown_authors)
    moment.verdict = judge(posts, crowd, params.organic, blamed=not moment.verdict.organic)
    usual = state.usual
    told = explain(posts, desk.own_words(moment.lead), talk_of(usual, moment.lead), usual.everything.words)
    moment.explanation = msgspec.structs.replace(told, phrase=phrase_of(naming, moment.lead))
    counts = sorted(count_words(posts).items(), key=lambda item: (-item[1], item[0]))
    moment.words, moment.voices = dict(counts[:MAX_WORDS]), len(voices(posts))


def tell(state: CurateState, moment: OpenMoment, status: Status, desk: Desk) -> Moment:
    """The statement, remembered as the last one told."""
    moment.last = state_moment(moment, status, state.tick_ms, desk.watch, state.scale)
    return moment.last


def open_up(state: CurateState, moment: OpenMoment, desk: Desk, params: CurateParams) -> Iterator[Moment]:
    """Tells of the moment for the first time, unless it can wait for the end of quiet hours."""
    opened = state_moment(moment, "opened", state.tick_ms, desk.watch, state.scale)
    brands = [desk.watch[brand] for brand in opened.brands if brand in desk.watch]
    can_wait = opened.severity < params.quiet_severity and all_quiet(brands, state.tick_ms)
    moment.held = can_wait or is_muted(moment, desk.watch)
    if not moment.held:
        moment.last = opened
        yield opened


def is_news(told: Moment, now: Moment, params: CurateParams) -> bool:
    """Whether something changed that the person on duty would want to know."""
    return (
        now.organic != told.organic
        or (now.organic and now.peak >= params.growth * told.peak)  # that a flood goes on is no news
        or now.severity >= told.severity + params.severity_step
        or not set(now.brands) <= set(told.brands)
        or not set(now.reasons) & TURNS <= set(told.reasons)
        or _best_kind(now) < _best_kind(told)
        or abs((now.sentiment or 0.0) - (told.sentiment or 0.0)) >= params.sentiment_turn
    )


def is_muted(moment: OpenMoment, watch: Mapping[str, Brand]) -> bool:
    """Whether a muted brand leads the moment, or it is about muted brands only."""
    brands = [watch[brand] for brand in brands_of(moment, watch) if brand in watch]
    return is_muted_brand(moment.lead, watch) or (bool(brands) and all(brand.muted for brand in brands))


def is_muted_brand(term: str, watch: Mapping[str, Brand]) -> bool:
    """Whether the term is a brand that nobody wants to be alerted about."""
    kind, _, brand = term.partition(":")
    return kind == "brand" and brand in watch and watch[brand].muted


def _best_kind(moment: Moment) -> int:
    """0 with a brand, 1 with a hashtag, 2 with words, mentions and links only."""
    kinds = {term.partition(":")[0] for term in moment.terms}
    return 0 if "brand" in kinds else 1 if "hashtag" in kinds else 2


def _is_about(post: Post, moment: OpenMoment) -> bool:
    """A post that holds one common word of the moment only may be about something else."""
    return post.holds(moment.lead) or sum(post.holds(term) for term in moment.footprint.terms[1:]) > 1


def _close(state: CurateState, moment: OpenMoment, desk: Desk, params: CurateParams) -> Iterator[Moment]:
    look_at(state, moment, desk, params)
    if moment.last is not None:
        yield tell(state, moment, "closed", desk)
        if moment.verdict.organic:
            state.scale.add(moment.points)
    del state.moments[moment.moment_id]
    for term in moment.members:
        del state.home[term]
    state.given_way.cooling += len(state.cooling) >= params.max_open
    state.cooling = [*state.cooling, Cooling(moment.footprint, state.tick_ms + params.cooldown_ms)][-params.max_open :]
    heard_with = [moment.lead, *(term for term in moment.footprint.terms[1:] if term.startswith("brand:"))]
    hear(state.usual, tuple(heard_with), moment.words, moment.voices, state.tick_ms)
