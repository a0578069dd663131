"""What is said about an open moment now: the body of the alert, from its members, its verdict and its explanation."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from schemas.candidates import Surge
from schemas.moments import Moment, Status
from schemas.watchlist import Brand
from streams.curate_state import OpenMoment
from streams.severity import Scale, Weight, points_of, severity
from streams.wording import Story, counted, title_of, why

_MIN_OPINIONS = 5  # sentiments before a mood is told
_MOOD_CHANGE = 0.3
_BRAND_SHARE = 0.3  # of the posts that name the lead term: then the moment is about the brand too
_CRISIS, _PRAISE, _CLEARLY = -0.2, 0.35, 0.15  # mean mood, and how far from the usual
_MIN_CASCADE, _CASCADE_SHARE = 5, 0.5

TURNS = frozenset({"mood_falls", "mood_rises", "community", "language", "platform", "share_of_voice", "outsized_reach", "crisis"})
"""Reasons that are news when they come up in the life of a moment."""


def state_moment(moment: OpenMoment, status: Status, tick_ms: int, watch: Mapping[str, Brand], scale: Scale) -> Moment:
    """The next statement in the moment's life; numbers are those of the lead term, or of the strongest that still rises."""
    voice = moment.members[_voice(moment)]
    said = _numbers(voice.crest if status == "closed" else voice.surge, voice.surge)
    last = moment.last
    sentiment, shift = mood(moment)
    brands = brands_of(moment, watch)
    organic = moment.verdict.organic
    peak = voice.peaks[said.scale_ms]
    weight = Weight(
        score=said.score,
        peak=peak,
        expected=said.expected,
        voices=said.authors + said.unknown_authors,
        reach=said.reach,
        sentiment_shift=shift,
        brand=bool(brands),
        organic=organic,
        lone=is_lone(moment),
        echo=is_echo(moment),
    )
    moment.points = max(moment.points, points_of(weight))
    grave = severity(weight, scale)
    body = Moment(
        moment_id=moment.moment_id,
        sequence=0 if last is None else last.sequence + 1,
        status=status,
        organic=organic,
        lead_term=moment.lead,
        terms=tuple(moment.footprint.terms),
        brands=brands,
        severity=max(grave, last.severity) if last and last.organic == organic else grave,
        score=round(said.score, 2),
        reasons=_reasons(moment, brands, sentiment, shift),
        opened_ms=moment.opened_ms,
        since_ms=said.since_ms,
        updated_ms=tick_ms,
        closed_ms=tick_ms if status == "closed" else None,
        lead_time_ms=moment.opened_ms - said.since_ms,
        scale_ms=said.scale_ms,
        observed=said.observed,
        expected=round(said.expected, 3),
        peak=peak,
        events=said.events,
        authors=said.authors,
        unknown_authors=said.unknown_authors,
        organic_share=moment.verdict.share,
        sentiment=sentiment,
        sentiment_shift=shift,
        originals=said.originals,
        replies=said.replies,
        reposts=said.reposts,
        reach=said.reach,
        platforms=moment.explanation.platforms,
        languages=moment.explanation.languages,
        communities=moment.explanation.communities,
        words=moment.explanation.words,
        samples=moment.explanation.samples,
        why="",
        title=moment.explanation.phrase or title_of(moment.lead, watch),
    )
    clauses = [signal.clause for _, signal in sorted(moment.signals.items())]
    story = Story(_voice(moment), moment.verdict.evidence, _remark(moment), clauses, surges=moment.surges)
    return msgspec.structs.replace(body, why=why(body, story, watch))


def is_lone(moment: OpenMoment) -> bool:
    """Whether nothing else rises with its one term."""
    return len(moment.members) == 1


def brands_of(moment: OpenMoment, watch: Mapping[str, Brand]) -> tuple[str, ...]:
    """Brands whose terms rise with the moment, and those that a good part of its posts name; of these, who is watched."""
    rising = {term[6:] for term in moment.footprint.terms if term.startswith("brand:")}
    named = {t[6:] for t, n in moment.footprint.vocabulary.items() if t.startswith("brand:") and n > 1}
    return tuple(sorted(rising | {b for b in named & watch.keys() if moment.footprint.share(f"brand:{b}") >= _BRAND_SHARE}))


def mood(moment: OpenMoment) -> tuple[float | None, float | None]:
    """Mean sentiment of the moment and its shift against before: of the first member with enough opinions, brands first."""
    surges = [moment.members[term].surge for term in sorted(moment.members, key=lambda t: (t != moment.lead, t[:6] != "brand:", t))]
    told = next((surge for surge in surges if surge.sentiment_events >= _MIN_OPINIONS), None)
    if told is None:
        return None, None
    mean = told.sentiment_milli / told.sentiment_events / 1000
    usual = told.usual_sentiment_milli
    return round(mean, 3), None if usual is None else round(mean - usual / 1000, 3)


def _voice(moment: OpenMoment) -> str:
    """The term that speaks for the moment: the lead while it rises, else the one with the highest score that does."""
    if moment.members[moment.lead].active:
        return moment.lead
    rising = [(member.surge.score, term) for term, member in moment.members.items() if member.active]
    return max(rising)[1] if rising else moment.lead


def _numbers(shown: Surge, latest: Surge) -> Surge:
    """The surge to show with the totals of the latest statement."""
    totals = ("events", "originals", "replies", "reposts", "authors", "unknown_authors", "reach")
    return msgspec.structs.replace(shown, **{name: getattr(latest, name) for name in totals})


def _reasons(moment: OpenMoment, brands: tuple[str, ...], sentiment: float | None, shift: float | None) -> tuple[str, ...]:
    reasons = ["surge"] if moment.surges else []
    reasons += moment.verdict.reasons
    if is_echo(moment):
        reasons.append("cascade")
    if shift is not None and abs(shift) >= _MOOD_CHANGE:
        reasons.append("mood_falls" if shift < 0 else "mood_rises")
    if brands and sentiment is not None and moment.verdict.organic:
        if sentiment <= _CRISIS and (shift is None or shift <= -_CLEARLY):
            reasons.append("crisis")
        elif sentiment >= _PRAISE and (shift is None or shift >= _CLEARLY):
            reasons.append("praise")
    return tuple(dict.fromkeys([*reasons, *(signal.code for _, signal in sorted(moment.signals.items()))]))


def is_echo(moment: OpenMoment) -> bool:
    """Whether most of it repeats one post, which is a cascade and no flood."""
    told = moment.explanation
    return told.cascade >= max(_MIN_CASCADE, _CASCADE_SHARE * told.posts)


def _remark(moment: OpenMoment) -> str:
    """What makes it less than it looks."""
    told = moment.explanation
    if is_echo(moment):
        return f"{told.cascade} of {counted(told.posts, 'sampled post')} repeat one post" + (
            f", “{told.echo}”" if told.echo else ""
        )
    return "nothing else rises with it" if moment.surges and is_lone(moment) and moment.lead[:6] != "brand:" else ""
