"""One event is one moment, told once, updated when it matters and closed once, whatever detect says and in whatever tick."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.candidates import SampleRef, Surge
from schemas.events import Event
from schemas.moments import Moment, decode_moment, encode_moment
from schemas.watchlist import Brand
from streams.curate import CurateParams, CurateState, curate, needed_posts
from tests.streams.crowds import START_MS, post, ref_of, surge, talk

ACME = Brand(id="acme", name="Acme")
SECOND_MS = 1_000


class Stage:
    """Runs curate as its agent does: asks for posts, reads those it has, hands them over."""

    def __init__(self, brands: Sequence[Brand] = (ACME,), params: CurateParams | None = None) -> None:
        self.params = params or CurateParams()
        self.state = CurateState()
        self.brands = brands
        self.archive: dict[SampleRef, Event] = {}
        self.told: list[Moment] = []

    def keep(self, posts: Sequence[Event]) -> Sequence[Event]:
        """Posts that can be read back."""
        self.archive |= {ref_of(event): event for event in posts}
        return posts

    def tick(self, second: float, *surges: Surge) -> list[Moment]:
        """What is told at so many seconds after the start."""
        tick_ms = START_MS + int(second * SECOND_MS)
        refs = needed_posts(self.state, surges, self.params, tick_ms)
        posts = {ref: self.archive[ref] for ref in refs if ref in self.archive}
        told = curate(self.state, tick_ms, surges, posts, self.brands, self.params)
        self.told += told
        return told

    def restart(self) -> None:
        """Goes on from a snapshot."""
        self.state = CurateState.restore(self.state.snapshot(), self.params)


def at(
    second: float, term: str, posts: Sequence[Event] = (), phase: str = "opened", began: float | None = None, **fields: Any
) -> Surge:
    """A statement of detect at so many seconds after the start."""
    opened_ms = START_MS + int((second if began is None else began) * SECOND_MS)
    return surge(term, posts, START_MS + int(second * SECOND_MS), phase, opened_ms=opened_ms, **fields)


def statuses(told: Sequence[Moment]) -> list[tuple[int, str]]:
    """Sequence and status of the statements."""
    return [(moment.sequence, moment.status) for moment in told]


def stage_with(posts: Sequence[Event]) -> Stage:
    """A stage that can read these posts back."""
    stage = Stage()
    stage.keep(posts)
    return stage


# --- co-moving terms


def test_terms_of_one_event_are_one_moment_led_by_the_brand() -> None:
    stage = Stage()
    posts = stage.keep(talk("acme battery recall #acmefail", 20))
    terms = ("brand:acme", "hashtag:acmefail", "keyword:battery", "keyword:recall")
    (moment,) = stage.tick(0, *(at(0, term, posts, score=30 + i) for i, term in enumerate(terms)))
    assert moment.lead_term == "brand:acme"
    assert sorted(moment.terms) == sorted(terms)
    assert moment.brands == ("acme",)
    assert {"#acmefail", "battery recall"} <= {word.text for word in moment.words}
    assert moment.why.startswith(
        "“Acme” is at 20 posts in 1 min where 2.1 are usual (score 30), rising for 40 s, 20 authors, with "
    )
    assert len(moment.samples) == 5


@pytest.mark.parametrize(
    ("lead", "terms"),
    [
        ("hashtag:fire", ("keyword:harbour", "hashtag:fire", "domain:news.example")),
        ("keyword:harbour", ("keyword:harbour", "mention:mayor", "keyword:smoke")),
        ("keyword:smoke", ("keyword:harbour", "keyword:smoke")),
    ],
)
def test_the_lead_is_a_hashtag_before_words_and_the_most_surprising_word_before_others(lead: str, terms: Sequence[str]) -> None:
    stage = Stage()
    posts = stage.keep(talk("smoke harbour #fire @mayor https://news.example/a", 12))
    score = {"keyword:harbour": 30.0, "keyword:smoke": 30.0 if lead == "keyword:harbour" else 40.0, "mention:mayor": 90.0}
    observed = {"keyword:harbour": 50}
    (moment,) = stage.tick(0, *(at(0, term, posts, score=score.get(term, 20), observed=observed.get(term, 12)) for term in terms))
    assert moment.lead_term == moment.terms[0] == lead


def test_two_events_at_the_same_time_are_two_moments_even_with_a_word_in_common() -> None:
    stage = Stage()
    fire, goal = stage.keep(talk("breaking #harbourfire smoke", 16)), stage.keep(talk("breaking #cupfinal penalty", 16, 100))
    told = stage.tick(
        0,
        at(0, "hashtag:harbourfire", fire),
        at(0, "keyword:smoke", fire),
        at(0, "hashtag:cupfinal", goal),
        at(0, "keyword:penalty", goal),
        at(0, "keyword:breaking", [*fire, *goal], score=99),
    )
    assert sorted(moment.lead_term for moment in told) == ["hashtag:cupfinal", "hashtag:harbourfire"]
    assert sum("keyword:breaking" in moment.terms for moment in told) == 1


def test_a_common_word_that_rose_first_does_not_chain_a_later_event() -> None:
    stage = Stage()
    fire, goal = stage.keep(talk("breaking #harbourfire", 16)), stage.keep(talk("breaking #cupfinal", 16, 100))
    stage.tick(0, at(0, "hashtag:harbourfire", fire), at(0, "keyword:breaking", [*fire, *goal]))
    (later,) = stage.tick(5, at(5, "hashtag:cupfinal", goal))
    assert later.lead_term == "hashtag:cupfinal"


def test_a_later_surge_of_the_same_event_joins_the_open_moment() -> None:
    stage = Stage()
    posts = stage.keep(talk("#harbourfire smoke", 12))
    stage.tick(0, at(0, "hashtag:harbourfire", posts))
    assert stage.tick(3, at(3, "keyword:smoke", posts)) == []
    assert next(iter(stage.state.moments.values())).footprint.terms == ["hashtag:harbourfire", "keyword:smoke"]


@pytest.mark.parametrize(("same", "second", "scale_ms"), [(True, 60, 10_000), (False, 200, 10_000), (True, 200, 300_000)])
def test_a_second_hashtag_joins_by_what_is_said_with_it_if_it_comes_soon(same: bool, second: float, scale_ms: int) -> None:
    stage = Stage()
    first, later = (
        stage.keep(talk("meteor northgate #meteornorthgate", 16)),
        stage.keep(talk("meteor northgate #fireball", 16, 100)),
    )
    terms = ("hashtag:meteornorthgate", "keyword:meteor", "keyword:northgate")
    stage.tick(0, *(at(0, term, first, scale_ms=scale_ms) for term in terms))
    assert bool(stage.tick(second, at(second, "hashtag:fireball", later, scale_ms=scale_ms))) != same


def test_terms_are_joined_by_their_references_alone_if_no_post_can_be_read() -> None:
    stage = Stage()
    posts = talk("#harbourfire smoke", 12)
    (moment,) = stage.tick(0, at(0, "hashtag:harbourfire", posts), at(0, "keyword:smoke", posts))
    assert moment.terms == ("hashtag:harbourfire", "keyword:smoke")
    assert (moment.words, moment.samples) == ((), ())
    assert moment.organic
    assert moment.why.startswith("#harbourfire is at 12 posts")


def test_a_group_that_gathers_waits_for_its_lead() -> None:
    stage = Stage(params=CurateParams(gather_ms=1_000))
    posts = stage.keep(talk("#harbourfire smoke", 12))
    assert stage.tick(0, at(0, "keyword:smoke", posts, score=20)) == []
    (moment,) = stage.tick(1, at(1, "hashtag:harbourfire", posts)) or stage.tick(2)
    assert moment.lead_term in ("hashtag:harbourfire", "keyword:smoke")
    assert moment.opened_ms <= START_MS + 2_000


def test_the_total_of_all_posts_and_link_shorteners_are_no_topics() -> None:
    stage = Stage()
    posts = stage.keep(talk("hello https://t.co/x", 12))
    assert stage.tick(0, at(0, "all:posts", posts), at(0, "domain:t.co", posts)) == []
    assert stage.state.waiting == {}


# --- life cycle


def test_a_moment_opens_grows_and_closes_with_numbers_without_a_gap() -> None:
    stage = Stage()
    posts = stage.keep(talk("acme recall", 30))
    stage.tick(0, at(0, "brand:acme", posts[:10]))
    stage.tick(20, at(20, "brand:acme", posts, "grown", began=0, observed=30))
    (closed,) = stage.tick(300, at(300, "brand:acme", posts, "faded", began=0, observed=1, peak=30, score=0.1))
    assert statuses(stage.told) == [(0, "opened"), (1, "updated"), (2, "closed")]
    assert len({moment.moment_id for moment in stage.told}) == 1
    assert closed.closed_ms == closed.updated_ms == START_MS + 300_000
    assert (closed.peak, closed.score) == (30, 35.0)
    assert "is over after 5.7 min: 30 posts in 1 min at the peak" in closed.why
    assert stage.state.moments == stage.state.home == {}


@pytest.mark.parametrize(
    "fields", [{"observed": 14, "peak": 14}, {"observed": 3, "peak": 10, "score": 2.0}, {"sentiment_events": 4}]
)
def test_what_did_not_change_materially_is_not_told(fields: dict[str, Any]) -> None:
    stage = Stage()
    posts = stage.keep(talk("acme recall", 10))
    stage.tick(0, at(0, "brand:acme", posts))
    assert stage.tick(60, at(60, "brand:acme", posts, "grown", began=0, **fields)) == []


@pytest.mark.parametrize(
    "fields",
    [
        {"observed": 15},
        {"reach": 10**8, "authors": 900, "score": 400.0},
        {"sentiment_events": 20, "sentiment_milli": -9_000, "usual_sentiment_milli": 100},
    ],
)
def test_growth_severity_and_a_turn_of_mood_are_told(fields: dict[str, Any]) -> None:
    stage = Stage()
    posts = stage.keep(talk("acme recall", 10))
    stage.tick(0, at(0, "brand:acme", posts))
    (update,) = stage.tick(60, at(60, "brand:acme", posts, "grown", began=0, **fields))
    assert (update.sequence, update.status) == (1, "updated")


def test_a_peak_is_told_with_the_scale_it_was_reached_at() -> None:
    stage = Stage()
    posts = stage.keep(talk("acme recall", 30))
    stage.tick(0, at(0, "brand:acme", posts, observed=30))
    stage.tick(9, at(9, "brand:acme", posts, "grown", began=0, observed=60, score=20))
    (closed,) = stage.tick(300, at(300, "brand:acme", posts, "faded", began=0, observed=0, peak=900, score=0, scale_ms=3_600_000))
    assert (closed.peak, closed.scale_ms) == (60, 60_000)


def test_a_fall_in_mood_is_given_as_reason_and_in_the_sentence() -> None:
    stage = Stage()
    posts = stage.keep(talk("acme recall", 10))
    moods: dict[str, Any] = {"sentiment_events": 10, "sentiment_milli": -6_200, "usual_sentiment_milli": 100}
    (moment,) = stage.tick(0, at(0, "brand:acme", posts, **moods))
    assert (moment.sentiment, moment.sentiment_shift) == (-0.62, -0.72)
    assert "mood_falls" in moment.reasons
    assert moment.why.endswith("; mood −0.62 against +0.10 before.")


def test_a_brand_that_joins_is_told_but_another_word_is_not() -> None:
    stage = Stage()
    posts = stage.keep(talk("acme smoke #harbourfire", 12))
    stage.brands = ()
    stage.tick(0, at(0, "hashtag:harbourfire", posts))
    assert stage.tick(20, at(20, "keyword:smoke", posts)) == []
    stage.brands = (ACME,)
    (update,) = stage.tick(40, at(40, "brand:acme", posts))
    assert (update.lead_term, update.brands) == ("hashtag:harbourfire", ("acme",))


def test_updates_keep_their_distance_and_are_made_up_for() -> None:
    stage = Stage()
    posts = stage.keep(talk("acme recall", 30))
    stage.tick(0, at(0, "brand:acme", posts[:10]))
    assert stage.tick(14, at(14, "brand:acme", posts, "grown", began=0, observed=30)) == []
    (update,) = stage.tick(15)
    assert (update.observed, update.updated_ms) == (30, START_MS + 15_000)
    assert stage.tick(40) == []


def test_a_moment_is_open_until_the_last_of_its_terms_faded() -> None:
    stage = Stage()
    posts = stage.keep(talk("acme recall", 12))
    stage.tick(0, at(0, "brand:acme", posts), at(0, "keyword:recall", posts))
    assert stage.tick(100, at(100, "brand:acme", posts, "faded", began=0)) == []
    (closed,) = stage.tick(200, at(200, "keyword:recall", posts, "faded", began=0))
    assert closed.status == "closed"
    assert stage.tick(300, at(300, "keyword:recall", posts, "faded", began=0)) == []


def test_a_moment_of_which_detect_never_speaks_again_closes_by_time() -> None:
    stage = Stage(params=CurateParams(quiet_ms=3_600_000))
    stage.tick(0, at(0, "brand:acme", stage.keep(talk("acme recall", 12))))
    assert stage.tick(3_599) == []
    assert statuses(stage.tick(3_600)) == [(1, "closed")]


def test_within_the_cool_down_the_same_terms_and_their_event_tell_nothing() -> None:
    stage = Stage()
    posts = stage.keep(talk("acme recall #acmefail", 12))
    stage.tick(0, at(0, "brand:acme", posts), at(0, "keyword:recall", posts))
    stage.tick(100, at(100, "brand:acme", posts, "faded", began=0), at(100, "keyword:recall", posts, "faded", began=0))
    for term in ("brand:acme", "keyword:recall", "hashtag:acmefail"):
        assert stage.tick(200, at(200, term, posts)) == []
        assert stage.tick(300, at(300, term, posts, "grown", began=200, observed=90)) == []
        assert stage.tick(400, at(400, term, posts, "faded", began=200)) == []
    assert len(stage.tick(701, at(701, "brand:acme", posts))) == 1


def test_a_surge_that_outlasts_the_cool_down_opens_when_it_grows() -> None:
    stage = Stage()
    posts = stage.keep(talk("acme recall", 12))
    stage.tick(0, at(0, "brand:acme", posts))
    stage.tick(100, at(100, "brand:acme", posts, "faded", began=0))
    stage.tick(600, at(600, "brand:acme", posts))
    assert stage.tick(710) == []
    assert statuses(stage.tick(720, at(720, "brand:acme", posts, "grown", began=600))) == [(0, "opened")]


def test_statements_of_one_tick_are_taken_in_the_order_they_happened() -> None:
    stage = Stage()
    posts = stage.keep(talk("acme recall", 12))
    surges = (at(0, "brand:acme", posts, "grown", observed=50), at(0, "brand:acme", posts))
    (moment,) = stage.tick(0, *surges, at(0, "keyword:gone", posts), at(0, "keyword:gone", posts, "faded"))
    assert moment.terms == ("brand:acme",)
    assert moment.observed == 50


# --- brands


def test_muted_brands_and_their_hashtags_are_never_alerted() -> None:
    stage = Stage(brands=[Brand(id="acme", muted=True)])
    posts = stage.keep(talk("acme recall #acmefail", 12))
    stage.tick(0, at(0, "brand:acme", posts), at(0, "hashtag:acmefail", posts))
    stage.tick(5, at(5, "keyword:recall", posts))
    stage.tick(60, at(60, "brand:acme", posts, "grown", began=0, observed=90))
    for term, began in (("brand:acme", 0), ("hashtag:acmefail", 0), ("keyword:recall", 5)):
        stage.tick(100, at(100, term, posts, "faded", began=began))
    assert stage.told == []
    assert stage.state.moments == {}


def test_a_brand_muted_while_its_moment_is_open_is_told_its_end_only() -> None:
    stage = Stage()
    posts = stage.keep(talk("acme recall", 12))
    stage.tick(0, at(0, "brand:acme", posts))
    stage.brands = [Brand(id="acme", muted=True)]
    stage.tick(60, at(60, "brand:acme", posts, "grown", began=0, observed=90))
    stage.tick(100, at(100, "brand:acme", posts, "faded", began=0))
    assert statuses(stage.told) == [(0, "opened"), (1, "closed")]


@pytest.mark.parametrize(
    ("alerted", "sensitivity", "score"),
    [(True, "high", 5.0), (False, "medium", 5.9), (True, "medium", 6.0), (False, "low", 11.9), (True, "low", 12.0)],
)
def test_sensitivity_scales_the_score_that_a_brand_needs(alerted: bool, sensitivity: Any, score: float) -> None:
    stage = Stage(brands=[Brand(id="acme", sensitivity=sensitivity)])
    posts = stage.keep(talk("acme recall", 12))
    assert bool(stage.tick(0, at(0, "brand:acme", posts, score=score))) == alerted


def test_a_brand_below_its_threshold_is_alerted_once_it_grows_above() -> None:
    stage = Stage(brands=[Brand(id="acme", sensitivity="low")])
    posts = stage.keep(talk("acme recall", 12))
    assert stage.tick(0, at(0, "brand:acme", posts, score=6)) == []
    (moment,) = stage.tick(9, at(9, "brand:acme", posts, "grown", began=0, score=12))
    assert (moment.status, moment.opened_ms) == ("opened", START_MS + 9_000)


def test_a_hashtag_about_a_brand_with_low_sensitivity_needs_as_much_as_the_brand() -> None:
    stage = Stage(brands=[Brand(id="acme", sensitivity="low")])
    posts = stage.keep(talk("acme recall #acmefail", 12))
    assert stage.tick(0, at(0, "hashtag:acmefail", posts, score=9)) == []
    (moment,) = stage.tick(9, at(9, "hashtag:acmefail", posts, "grown", began=0, score=12))
    assert moment.brands == ("acme",)


def test_an_unmuted_brand_is_alerted_even_if_its_posts_name_a_muted_one_that_rose_first() -> None:
    stage = Stage(brands=[ACME, Brand(id="globex", muted=True)])
    posts = stage.keep(talk("acme globex merger", 12))
    assert stage.tick(0, at(0, "brand:globex", posts)) == []
    (moment,) = stage.tick(5, at(5, "brand:acme", posts))
    assert moment.lead_term == "brand:acme"


# --- worth an alert


@pytest.mark.parametrize("term", ["keyword:smoke", "mention:mayor", "domain:news.example", "hashtag:fire"])
@pytest.mark.parametrize(("alerted", "score"), [(False, 6.9), (True, 7.0)])
def test_a_single_term_that_nobody_watches_needs_some_surprise(alerted: bool, term: str, score: float) -> None:
    stage = Stage()
    posts = stage.keep(talk("smoke #fire @mayor https://news.example/a", 12))
    assert bool(stage.tick(0, at(0, term, posts, score=score))) == alerted
    assert bool(stage.state.moments) == alerted


def test_a_single_term_is_alerted_once_it_surprises() -> None:
    stage = Stage()
    posts = stage.keep(talk("smoke", 12))
    assert stage.tick(0, at(0, "keyword:smoke", posts, score=6)) == []
    (moment,) = stage.tick(60, at(60, "keyword:smoke", posts, "grown", began=0, score=9))
    assert (moment.status, moment.severity) == ("opened", 1)
    assert moment.why.endswith("; nothing else rises with it.")


def test_two_terms_of_one_event_are_enough_however_little_each_surprises() -> None:
    posts = talk("smoke harbour", 12)
    surges = (at(0, "keyword:smoke", posts, score=6), at(0, "keyword:harbour", posts, score=6))
    (moment,) = stage_with(posts).tick(0, *surges)
    assert sorted(moment.terms) == ["keyword:harbour", "keyword:smoke"]
    assert "nothing else rises" not in moment.why


def test_a_term_that_was_too_little_alone_joins_the_one_that_comes_later() -> None:
    posts = talk("smoke harbour", 12)
    stage = stage_with(posts)
    assert stage.tick(0, at(0, "keyword:smoke", posts, score=6)) == []
    stage.restart()
    (moment,) = stage.tick(40, at(40, "keyword:harbour", posts, score=6))
    assert moment.terms == ("keyword:harbour", "keyword:smoke")


def test_two_events_of_one_term_each_are_no_company() -> None:
    stage = Stage()
    fire, goal = stage.keep(talk("smoke", 12)), stage.keep(talk("penalty", 12, 100))
    assert stage.tick(0, at(0, "keyword:smoke", fire, score=6), at(0, "keyword:penalty", goal, score=6)) == []


def test_a_brand_is_alerted_alone_and_a_word_about_it_too() -> None:
    stage = Stage()
    posts = stage.keep(talk("acme recall", 12))
    (moment,) = stage.tick(0, at(0, "keyword:recall", posts, score=6.5))
    assert moment.brands == ("acme",)
    (other,) = stage_with(posts).tick(0, at(0, "brand:acme", posts, score=6.5))
    assert "nothing else rises" not in other.why


def test_one_post_that_many_repeat_is_quoted_and_counts_less() -> None:
    words = "the mayor calls everybody to the harbour at nine tonight"
    reposts = [post(9 + i, f"RT @mayor: {words}", f"reader-{i}", kind="repost", target_id="0") for i in range(12)]
    echo, fire = [post(0, words, "mayor"), *reposts], talk("harbour mayor", 13)
    (repeated,) = stage_with(echo).tick(0, *(at(0, f"keyword:{word}", echo) for word in ("harbour", "mayor")))
    (many,) = stage_with(fire).tick(0, *(at(0, f"keyword:{word}", fire) for word in ("harbour", "mayor")))
    assert repeated.severity < many.severity
    assert repeated.why.endswith(f"; 12 of 13 sampled posts repeat one post, “{words}”.")


def test_one_repeated_post_about_nothing_watched_needs_more() -> None:
    reposts = [post(i, "RT @mayor: all to the harbour at nine", f"reader-{i}", kind="repost", target_id="0") for i in range(12)]
    for score, count in ((19, 0), (20, 1)):
        terms = (at(0, f"keyword:{word}", reposts, score=score) for word in ("harbour", "nine"))
        assert len(stage_with(reposts).tick(0, *terms)) == count


def test_of_words_about_as_surprising_a_name_leads_and_the_phrase_it_stands_in_is_the_title() -> None:
    posts = talk("why does Chris Wallace ask about finances", 12)
    terms = (at(0, f"keyword:{word}", posts, score=score) for word, score in (("finances", 35.0), ("wallace", 33.0)))
    (moment,) = stage_with(posts).tick(0, *terms)
    assert (moment.lead_term, moment.title) == ("keyword:wallace", "chris wallace")
    assert moment.why.startswith("“chris wallace” is at 12 posts")


# --- brands that were just added


def test_a_brand_that_was_just_added_opens_nothing_by_its_steady_traffic() -> None:
    stage = Stage(brands=())
    posts = stage.keep(talk("acme delivery", 12))
    stage.tick(0)
    stage.brands = (ACME,)
    stage.tick(10)
    for second in range(20, 1_200, 60):
        stage.restart()
        assert stage.tick(second, at(second, "brand:acme", posts, "grown" if second > 20 else "opened", began=20)) == []


@pytest.mark.parametrize(("alerted", "second", "observed"), [(False, 599, 40), (False, 700, 17), (True, 700, 40)])
def test_it_is_alerted_once_it_grows_beyond_what_it_had_when_new(alerted: bool, second: float, observed: int) -> None:
    stage = Stage(brands=())
    posts = stage.keep(talk("acme delivery", 12))
    stage.tick(-1)
    stage.brands = (ACME,)
    stage.tick(0, at(0, "brand:acme", posts, observed=12))
    assert bool(stage.tick(second, at(second, "brand:acme", posts, "grown", began=0, observed=observed))) == alerted


def test_a_surge_that_began_later_is_judged_as_any_other() -> None:
    stage = Stage(brands=())
    posts = stage.keep(talk("acme delivery", 12))
    stage.tick(-1)
    stage.brands = (ACME,)
    stage.tick(0, at(0, "brand:acme", posts, observed=90))
    stage.tick(300, at(300, "brand:acme", posts, "faded", began=0))
    assert len(stage.tick(700, at(700, "brand:acme", posts, observed=12))) == 1


def test_a_brand_added_before_anything_ever_surged_is_new() -> None:
    stage = Stage()
    stage.state = CurateState.fresh([])
    assert stage.tick(0, at(0, "brand:acme", stage.keep(talk("acme delivery", 12)))) == []


def test_a_brand_that_left_the_watchlist_is_new_when_it_comes_back() -> None:
    stage = Stage()
    posts = stage.keep(talk("acme delivery", 12))
    stage.tick(0)
    stage.brands = ()
    stage.tick(5)
    stage.brands = (ACME,)
    assert stage.tick(10, at(10, "brand:acme", posts)) == []


def test_brands_that_are_there_when_curate_starts_are_old_and_stay_so() -> None:
    stage = Stage()
    posts = stage.keep(talk("acme delivery", 12))
    stage.tick(0)
    stage.restart()
    assert len(stage.tick(1, at(1, "brand:acme", posts))) == 1


def test_a_state_from_before_brands_were_remembered_takes_them_for_old() -> None:
    sections = CurateState().snapshot()
    del sections["brands"]
    stage = Stage()
    stage.state = CurateState.restore(sections, stage.params)
    assert len(stage.tick(1, at(1, "brand:acme", stage.keep(talk("acme delivery", 12))))) == 1


def test_a_new_brand_may_join_the_moment_of_its_event() -> None:
    stage = Stage(brands=())
    posts = stage.keep(talk("acme smoke #harbourfire", 12))
    stage.tick(0, at(0, "hashtag:harbourfire", posts))
    stage.brands = (ACME,)
    (update,) = stage.tick(20, at(20, "brand:acme", posts))
    assert update.brands == ("acme",)


# --- organic or not


def bots(count: int, first_id: int = 0) -> list[Event]:
    """One text by many accounts."""
    return [post(first_id + i, f"#win a free phone from the megashop giveaway tonight {i}", f"bot-{i}") for i in range(count)]


def test_a_flood_is_reported_as_inorganic_with_its_evidence() -> None:
    stage = Stage()
    (moment,) = stage.tick(0, at(0, "hashtag:win", stage.keep(bots(20))))
    assert not moment.organic
    assert moment.reasons == ("surge", "flood_copies")
    assert moment.severity <= 5
    assert "20 of 20 sampled posts are near-identical copies" in moment.why
    assert moment.organic_share == 0.0


def test_that_a_flood_goes_on_is_no_news() -> None:
    stage = Stage()
    flood = stage.keep(bots(60))
    stage.tick(0, at(0, "hashtag:win", flood[:20]))
    assert stage.tick(60, at(60, "hashtag:win", flood, "grown", began=0)) == []


def test_a_flood_that_people_join_keeps_its_id_and_turns_organic() -> None:
    stage = Stage()
    flood, people = stage.keep(bots(16)), stage.keep(talk("#win", 64, 100))
    stage.tick(0, at(0, "hashtag:win", flood))
    (turned,) = stage.tick(60, at(60, "hashtag:win", [*flood, *people], "grown", began=0, observed=17))
    assert (turned.status, turned.sequence, turned.organic) == ("updated", 1, True)
    assert turned.moment_id == stage.told[0].moment_id


def test_a_moment_that_turns_into_a_flood_says_so() -> None:
    stage = Stage()
    people, flood = stage.keep(talk("#win", 8, 100)), stage.keep(bots(200, 1_000))
    stage.tick(0, at(0, "hashtag:win", people))
    (turned,) = stage.tick(60, at(60, "hashtag:win", flood, "grown", began=0, observed=9))
    assert not turned.organic
    assert "flood_copies" in turned.reasons


# --- bounds and laws


def test_state_is_bounded_whatever_detect_says() -> None:
    params = CurateParams(max_open=5, max_waiting=20, max_members=3, max_posts=50)
    stage = Stage(params=params)
    for number in range(60):
        posts = stage.keep(talk(f"#event{number}", 6, number * 100))
        stage.tick(number, at(number, f"hashtag:event{number}", posts), at(number, f"brand:low{number}", posts, score=1))
    shared = stage.keep(talk("#event0 " + " ".join(f"word{i}x" for i in range(9)), 12, 9_000))
    stage.tick(90, *(at(90, f"keyword:word{i}x", shared, score=50) for i in range(9)))
    assert len(stage.state.moments) == 5
    assert len(stage.state.waiting) <= 20
    assert stage.state.given_way.open > 0
    assert stage.state.given_way.waiting > 0
    assert max(len(moment.members) for moment in stage.state.moments.values()) == 3
    assert len(needed_posts(stage.state, [at(99, "keyword:big", talk("big", 200))], params)) <= 50


def test_what_needed_posts_names_is_sorted_and_each_once_and_changes_nothing() -> None:
    stage = Stage()
    posts = stage.keep(talk("acme recall", 12))
    before = stage.state.snapshot()
    surges = [at(0, "brand:acme", posts, background=tuple(ref_of(p) for p in talk("acme", 4, 500))), at(0, "keyword:recall", posts)]
    refs = needed_posts(stage.state, surges, stage.params)
    assert refs == sorted(set(refs))
    assert len(refs) == 16
    assert stage.state.snapshot() == before


def test_sections_of_a_snapshot_that_did_not_change_keep_their_bytes() -> None:
    stage = Stage()
    stage.tick(0, at(0, "brand:acme", stage.keep(talk("acme recall", 12))))
    before = stage.state.snapshot()
    stage.tick(1)
    after = stage.state.snapshot()
    assert [name for name in before if before[name] != after[name]] == ["meta"]


def test_a_snapshot_of_another_format_is_refused() -> None:
    sections = CurateState().snapshot() | {"meta": msgspec.msgpack.encode({"format": 99, "tick_ms": 0})}
    with pytest.raises(ValueError, match="format 99, expected 1"):
        CurateState.restore(sections, CurateParams())


def test_moments_travel_unchanged() -> None:
    stage = Stage()
    (moment,) = stage.tick(0, at(0, "brand:acme", stage.keep(talk("acme recall #acmefail", 12))))
    assert decode_moment(encode_moment(moment)) == moment


@pytest.mark.parametrize("fields", [{"gather_ms": 5_000}, {"min_score": 0}, {"growth": 1.0}, {"max_open": 0}, {"update_ms": 0}])
def test_impossible_parameters_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        CurateParams(**fields)


TERMS = ("brand:acme", "brand:quiet", "hashtag:acmefail", "hashtag:cupfinal", "keyword:recall", "keyword:penalty", "all:posts")
POSTS = {
    0: talk("acme recall #acmefail", 14),
    1: talk("penalty #cupfinal", 14, 100),
    2: bots(12, 200),
    3: talk("quiet recall", 9, 300),
}
BRANDS = (ACME, Brand(id="quiet", muted=True))
steps = st.lists(
    st.tuples(
        st.sampled_from((1, 1, 2, 10, 60, 400)),  # seconds to the tick before
        st.lists(
            st.tuples(
                st.sampled_from(TERMS),
                st.sampled_from(("opened", "grown", "grown", "faded")),
                st.sampled_from(tuple(POSTS)),
                st.integers(1, 80),
                st.floats(1, 200).map(lambda score: round(score, 1)),
            ),
            max_size=4,
            unique_by=lambda said: said[0],
        ),
    ),
    max_size=25,
)


def play(script: list[Any], readable: float, restart_every: int = 0) -> Stage:
    """Runs the script; of the posts, every so many cannot be read."""
    stage = Stage(BRANDS)
    for posts in POSTS.values():
        stage.keep([event for event in posts if int(event.id) % 10 < readable * 10])
    second, began = 0, dict.fromkeys(TERMS, 0)
    for number, (gap, said) in enumerate(script):
        second += gap
        surges = []
        for term, phase, posts_of, observed, score in said:
            began[term] = second if phase == "opened" else began[term]
            surges.append(at(second, term, POSTS[posts_of], phase, began[term], observed=observed, score=score))
        stage.tick(second, *surges)
        if restart_every and number % restart_every == 0:
            stage.restart()
    for _ in range(3):
        second += 30_000
        stage.tick(second)
    return stage


@settings(max_examples=60, deadline=None)
@given(steps, st.sampled_from((0.0, 0.5, 1.0)))
def test_every_moment_is_numbered_without_gap_opened_once_and_closed_once(script: list[Any], readable: float) -> None:
    stage = play(script, readable)
    lives: dict[str, list[Moment]] = {}
    for moment in stage.told:
        lives.setdefault(moment.moment_id, []).append(moment)
    for life in lives.values():
        assert [moment.sequence for moment in life] == list(range(len(life)))
        assert [moment.status for moment in life] == ["opened", *["updated"] * (len(life) - 2), "closed"]
        assert len({(moment.lead_term, moment.opened_ms) for moment in life}) == 1
        times = [moment.updated_ms for moment in life]
        assert all(later - earlier >= 15_000 for earlier, later in pairwise(times[:-1]))
        assert not any("quiet" in moment.lead_term for moment in life)
    assert stage.state.moments == stage.state.home == {}


@settings(max_examples=60, deadline=None)
@given(steps, st.integers(1, 4), st.sampled_from((0.5, 1.0)))
def test_restored_and_continued_equals_uninterrupted(script: list[Any], restart_every: int, readable: float) -> None:
    undisturbed, restarted = play(script, readable), play(script, readable, restart_every)
    assert [encode_moment(moment) for moment in restarted.told] == [encode_moment(moment) for moment in undisturbed.told]
    assert restarted.state.snapshot() == undisturbed.state.snapshot()
