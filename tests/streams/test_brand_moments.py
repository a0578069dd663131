"""A signal about a brand is a moment of its own, or part of the one the brand has; told once, closed once."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import orjson
import pytest

from schemas.candidates import Surge
from schemas.events import Event
from schemas.moments import Moment
from schemas.watchlist import Brand
from streams.curate import CurateParams, curate, needed_posts
from streams.pipeline import Pipeline, PipelineParams
from streams.records import Record
from tests.streams.brand_talk import MINUTE_MS, Talk, evening
from tests.streams.crowds import START_MS, ref_of, talk
from tests.streams.test_curate import Stage, at, statuses

HISTORY = 240  # minutes
ACME = Brand(id="acme", name="Acme")
GLOBEX = Brand(id="globex", name="Globex")
SAD = Talk(mood=-0.45)
SAD_FOR_AN_HOUR = range(HISTORY, HISTORY + 60)


def told(
    talks: Callable[[int], Sequence[Talk]],
    minutes: int,
    surges: Callable[[int], Sequence[Surge]] = lambda _: (),
    brands: Sequence[Brand] = (ACME, GLOBEX),
    posts: Sequence[Event] = (),
    *,
    crash: bool = False,
    **params: Any,
) -> list[Moment]:
    """What curate says, minute after minute."""
    stage = Stage(brands, CurateParams(**params))
    stage.keep(posts)
    for tick_ms, tallies in evening(talks, minutes):
        said = surges((tick_ms - START_MS) // MINUTE_MS)
        refs = needed_posts(stage.state, said, stage.params, tick_ms)
        read = {ref: stage.archive[ref] for ref in refs if ref in stage.archive}
        stage.told += curate(stage.state, tick_ms, said, read, brands, stage.params, tallies)
        if crash:
            stage.restart()
    return stage.told


def sad(minute: int) -> list[Talk]:
    return [SAD if minute in SAD_FOR_AN_HOUR else Talk(), Talk("globex", 4.0)]


def test_a_turn_of_mood_at_flat_volume_is_one_moment_that_opens_and_closes() -> None:
    found = told(sad, HISTORY + 300)
    assert statuses(found) == [(0, "opened"), (1, "closed")]
    opened, closed = found
    assert (opened.lead_term, opened.brands, opened.terms) == ("brand:acme", ("acme",), ("brand:acme",))
    assert opened.reasons == ("mood_falls", "crisis")
    assert opened.sentiment is not None and opened.sentiment < -0.2
    assert opened.sentiment_shift is not None and opened.sentiment_shift < -0.3
    assert opened.why.startswith("“Acme”: its mood fell to −0.")
    assert "posts in 15 min where" in opened.why or "posts in 20 min where" in opened.why
    assert closed.why.startswith("“Acme” is over after")
    assert opened.opened_ms < START_MS + (HISTORY + 60) * MINUTE_MS


def test_a_restart_changes_nothing() -> None:
    assert told(sad, HISTORY + 300, crash=True) == told(sad, HISTORY + 300)


def test_a_surge_inside_one_community_shows_posts_of_it() -> None:
    posts = [*talk("acme", 6, community="r/kitchen"), *talk("acme", 20, 100)]
    kitchen = Talk(rate=2.4, places={"lang:en": 0.75, "community:r/kitchen": 0.3}, samples=tuple(sorted(map(ref_of, posts))))
    found = told(lambda minute: [kitchen if minute >= HISTORY else Talk(), Talk("globex", 4.0)], HISTORY + 60, posts=posts)
    assert found[0].reasons == ("community",)
    assert found[0].communities == {"r/kitchen": 6}
    assert "are in r/kitchen, where almost none is usual, while all its posts are about as many as usual" in found[0].why


def test_a_signal_joins_the_moment_that_its_brand_has_and_is_news() -> None:
    posts = talk("acme recall", 12)
    opened_s = (HISTORY - 2) * 60

    def surges(minute: int) -> Sequence[Surge]:
        return [at(opened_s, "brand:acme", posts)] if minute == HISTORY - 2 else ()

    found = told(sad, HISTORY + 60, surges, posts=posts)
    assert statuses(found) == [(0, "opened"), (1, "updated")]
    assert "mood_falls" in found[1].reasons
    assert "; its mood fell to" in found[1].why


def test_a_surge_takes_the_place_of_the_signal_and_the_moment_goes_on() -> None:
    posts = talk("acme recall", 12)

    def surges(minute: int) -> Sequence[Surge]:
        if minute == HISTORY + 50:
            return [at(minute * 60, "brand:acme", posts, observed=90)]
        return [at(minute * 60, "brand:acme", posts, "faded", began=(HISTORY + 50) * 60)] if minute == HISTORY + 80 else ()

    found = told(sad, HISTORY + 400, surges, posts=posts)
    assert len({moment.moment_id for moment in found}) == 1
    assert statuses(found)[-1][1] == "closed"
    assert "surge" in found[-1].reasons and "surge" not in found[0].reasons


@pytest.mark.parametrize("brand", [Brand(id="acme", muted=True), Brand(id="other")])
def test_muted_and_unwatched_brands_say_nothing(brand: Brand) -> None:
    assert told(sad, HISTORY + 300, brands=(brand, GLOBEX)) == []


def test_less_sensitive_brands_need_more() -> None:
    mild = Talk(mood=-0.35)
    count = {
        sensitivity: len(
            told(
                lambda minute: [mild if minute >= HISTORY else Talk(), Talk("globex", 4.0)],
                HISTORY + 40,
                brands=(Brand(id="acme", sensitivity=sensitivity), GLOBEX),
            )
        )
        for sensitivity in ("low", "medium")
    }
    assert count == {"low": 0, "medium": 1}


def test_from_posts_to_the_moment() -> None:
    chance = random.Random(3)
    glad, sorry = ("great", "awesome", "love"), ("terrible", "awful", "hate")
    records = []
    for number, event in enumerate(talk("acme kettle", 240 * 3)):
        at_ms = START_MS + number * 20_000 + chance.randrange(20_000)
        word = chance.choice((*glad, *sorry) if number < 210 * 3 else sorry)
        body = {"platform": "x", "id": event.id, "author": event.author, "lang": "en", "created_ms": at_ms}
        records.append(Record(number, at_ms, orjson.dumps({**body, "text": f"{word} {event.text}"})))
    pipeline = Pipeline(PipelineParams(), (ACME,))
    opened = [moment for moment in [*pipeline.feed(records).moments, *pipeline.finish().moments] if moment.status == "opened"]
    (moment,) = [moment for moment in opened if moment.lead_term == "brand:acme"]
    assert moment.reasons[:2] == ("mood_falls", "crisis")
    assert moment.opened_ms >= START_MS + 210 * MINUTE_MS
    assert moment.samples
