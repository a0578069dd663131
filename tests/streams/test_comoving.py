"""Terms of one event are linked, by whatever shows it first; terms of two events are not."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from schemas.events import Event
from schemas.watchlist import Brand
from streams.comoving import ComovingParams, Footprint, link, vocabulary
from streams.talk import Talk
from tests.streams.crowds import digests, post, ref_of, talk

PARAMS = ComovingParams()
FIRE = talk("#harbourfire smoke", 32)


def footprint(posts: Sequence[Event], *terms: str) -> Footprint:
    """The footprint of a moment with these terms and posts."""
    return Footprint(list(terms), sorted(ref_of(p).place_hash for p in posts), vocabulary(digests(posts)), len(posts))


def linked(term: str, posts: Sequence[Event], moment: Footprint, *, readable: bool = True) -> bool:
    """Whether a surge of these posts belongs to the moment."""
    return link(term, digests(posts) if readable else [], [ref_of(p).place_hash for p in posts], moment, PARAMS, Talk()) > 0


@pytest.mark.parametrize(
    ("expected", "about", "lead_posts"),
    [
        (True, "bridge closed #harbourfire", FIRE),  # other posts, that name the lead
        (True, "bridge closed", talk("#harbourfire bridge", 32)),  # posts of the lead name the term
        (False, "bridge closed", FIRE),
    ],
)
def test_terms_are_linked_by_posts_that_name_each_other(expected: bool, about: str, lead_posts: list[Event]) -> None:
    assert linked("keyword:bridge", talk(about, 20, 500), footprint(lead_posts, "hashtag:harbourfire")) == expected


def test_terms_are_linked_by_the_same_references() -> None:
    moment = Footprint(["hashtag:harbourfire"], sorted(ref_of(p).place_hash for p in FIRE))
    assert linked("keyword:smoke", FIRE[:16], moment, readable=False)
    assert not linked("keyword:smoke", talk("smoke", 16, 900), moment, readable=False)


def test_a_single_post_links_two_terms_only_if_it_is_all_that_one_of_them_has() -> None:
    moment = Footprint(["hashtag:harbourfire"], sorted(ref_of(p).place_hash for p in FIRE[:9]))
    assert linked("keyword:smoke", FIRE[:1], moment, readable=False)
    assert not linked("keyword:smoke", [*FIRE[:1], *talk("smoke", 2, 900)], moment, readable=False)


def test_a_member_links_a_term_only_if_the_lead_is_named_too() -> None:
    moment = footprint(FIRE, "hashtag:harbourfire", "keyword:smoke")
    assert not linked("keyword:barbecue", talk("barbecue smoke", 20, 500), moment)
    mixed = talk("barbecue smoke", 17, 500) + talk("barbecue smoke #harbourfire", 3, 600)
    assert linked("keyword:barbecue", mixed, moment)


def test_different_words_for_one_event_are_linked_by_what_both_are_about() -> None:
    about = "west texas fertilizer plant"
    moment = footprint(talk(f"{about} explosion", 20), "keyword:explosion")
    assert linked("keyword:mayor", talk(f"mayor of {about}", 9, 500), moment)
    assert not linked("keyword:mayor", talk("mayor of west texas", 9, 500), moment)


def test_what_a_whole_stream_is_about_links_nothing() -> None:
    moment = footprint(talk("#gopdebate tonight makeup", 20), "keyword:makeup")
    assert not linked("keyword:pimps", talk("#gopdebate tonight pimps", 20, 500), moment)


METEOR = [
    *talk("huge meteor over northgate #meteornorthgate", 8, 300),
    *talk("meteor northgate car alarms #meteornorthgate", 8, 400),
]


@pytest.mark.parametrize(
    ("expected", "about"),
    [
        (True, "huge meteor, northgate #fireball"),
        (False, "huge discount #fireball"),  # a word that rises with the event, said of something else
        (False, "huge meteor over easthaven observatory telescope picture #fireball"),  # a like event somewhere else
    ],
)
def test_a_second_hashtag_of_an_event_is_linked_by_what_is_said_with_it(expected: bool, about: str) -> None:
    moment = footprint(METEOR, "hashtag:meteornorthgate", "keyword:meteor", "keyword:northgate")
    assert linked("hashtag:fireball", talk(about, 16, 500), moment) == expected


def test_a_hashtag_is_linked_to_where_its_word_rises() -> None:
    moment = footprint(METEOR, "hashtag:meteornorthgate", "keyword:meteor", "keyword:northgate", "keyword:fireball")
    posts = [*talk("meteor northgate #fireball", 5, 500), *talk("feuerkugel himmel fenster #fireball", 10, 600)]
    assert linked("hashtag:fireball", posts, moment)
    assert not linked("hashtag:fireball", talk("whisky with cinnamon #fireball", 15, 700), moment)


def test_a_second_hashtag_is_not_linked_by_words_that_do_not_rise() -> None:
    assert not linked("hashtag:fireball", talk("meteor northgate #fireball", 16, 500), footprint(METEOR, "hashtag:meteornorthgate"))


def test_a_few_posts_that_name_the_lead_link_what_is_said_alike() -> None:
    posts = [*talk("meteor northgate #fireball", 13, 500), *talk("#meteornorthgate meteor northgate #fireball", 3, 600)]
    assert linked("hashtag:fireball", posts, footprint(METEOR, "hashtag:meteornorthgate"))


def test_one_post_reposted_by_many_does_not_hide_that_the_others_name_the_lead() -> None:
    reposts = [post(510 + i, "smoke over the bridge", f"person-{i}", kind="repost", target_id="500") for i in range(12)]
    assert linked("keyword:bridge", [*reposts, *talk("bridge #harbourfire", 4, 600)], footprint(FIRE, "hashtag:harbourfire"))


def test_two_things_said_of_one_brand_at_once_are_one_moment_unless_they_share_nothing_else() -> None:
    acme = [Brand(id="acme")]
    read = digests(talk("acme flight cancelled #acmedown", 16), acme)
    moment = Footprint(["hashtag:acmedown"], [], vocabulary(read), len(read))
    for expected, about in ((True, "acme flight delayed"), (False, "acme gives every customer free phones today, claim yours")):
        posts = digests(talk(about, 16, 500), acme)
        assert (link("keyword:queue", posts, [], moment, PARAMS, Talk()) > 0) == expected
    usual = Talk(words={"acme": 1_000.0, "flight": 1_000.0}, posts=1_000.0)
    assert not link("keyword:queue", digests(talk("acme flight delayed", 16, 500), acme), [], moment, PARAMS, usual)


def test_one_post_that_names_two_events_links_nothing() -> None:
    posts = [*talk("#cupfinal", 4, 500), *talk("#cupfinal #harbourfire", 1, 600)]
    assert not linked("hashtag:cupfinal", posts, footprint(FIRE, "hashtag:harbourfire"))


def test_a_vocabulary_is_bounded_and_most_frequent_first() -> None:
    counts = vocabulary(digests([*FIRE, *talk(" ".join(f"word{i}x" for i in range(500)), 1, 900)]))
    assert len(counts) == 200
    assert next(iter(counts.items())) == ("hashtag:harbourfire", 32)


def test_impossible_shares_are_refused() -> None:
    with pytest.raises(ValueError, match="bridge_share <= lead_share"):
        ComovingParams(lead_share=0.1, bridge_share=0.2)
