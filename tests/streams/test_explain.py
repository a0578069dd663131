"""What a moment is about comes out of its posts: telling words, places, samples that differ."""

from __future__ import annotations

from collections import Counter

from streams.explain import MAX_SAMPLES, MAX_TEXT, explain, representatives
from streams.log_odds import log_odds, phrases_first
from tests.streams.crowds import digests, post, talk

OWN = frozenset({"acme", "#acme"})


def test_distinguishing_words_hashtags_and_phrases_are_found() -> None:
    posts = talk("acme battery recall #acmefail", 12) + talk("acme recall again", 6, 100)
    told = [word.text for word in explain(digests(posts), OWN, {}, {}).words]
    assert set(told[:2]) == {"battery recall", "#acmefail"}
    assert not OWN & set(told)


def test_what_is_usually_said_with_the_term_distinguishes_nothing() -> None:
    posts = digests(talk("delivery, acme recall", 10))
    usual = {"delivery": 80.0, "acme": 90.0}
    told = [word.text for word in explain(posts, OWN, usual, {}).words]
    assert told[0] == "recall"
    assert "delivery" not in told


def test_what_everybody_says_distinguishes_nothing() -> None:
    posts = digests(talk("weekend, acme recall", 10))
    told = [word.text for word in explain(posts, OWN, {}, {"weekend": 400.0, "monday": 100.0}).words]
    assert "recall" in told
    assert "weekend" not in told


def test_a_post_reposted_a_hundred_times_does_not_speak_for_all() -> None:
    original = post(0, "buy umbrellas now, cheap umbrellas", "seller")
    reposts = [post(i, original.text, f"fan-{i}", kind="repost", target_id="0") for i in range(1, 25)]
    told = explain(digests([original, *reposts, *talk("acme flood bridge", 12, 100)]), OWN, {}, {})
    assert told.words[0].text in ("flood bridge", "flood", "bridge")
    assert told.cascade == 24


def test_samples_are_originals_that_differ() -> None:
    text = "acme recalls the battery of every phone sold since March, stop charging yours"
    reposts = [post(i, text, f"fan-{i}", kind="repost", target_id="0") for i in range(1, 10)]
    copies = [post(10 + i, f"{text} {'!' * i}", f"copy-{i}") for i in range(5)]
    others = talk("acme battery", 4, 100)
    chosen = [post.event for post in representatives(digests([*reposts, *copies, *others]), {"battery": 2.0})]
    assert len(chosen) == MAX_SAMPLES
    assert sum(event.text.startswith("acme recalls") for event in chosen) == 1
    assert all(event.kind == "post" for event in chosen)


def test_a_repost_is_shown_where_there_is_no_original_and_only_once() -> None:
    reposts = [post(i, "the pier is on fire", f"fan-{i}", kind="repost", target_id="0") for i in range(9)]
    assert [sample.text for sample in explain(digests(reposts), OWN, {}, {}).samples] == ["the pier is on fire"]


def test_samples_are_safe_to_show() -> None:
    hostile = post(0, "acme\u202e \x07 fire\n\n" + "x" * 500, "a", url="javascript:alert(1)")
    (sample,) = explain(digests([hostile]), OWN, {}, {}).samples
    assert sample.url == ""
    assert sample.text.startswith("acme fire xxx")
    assert len(sample.text) == MAX_TEXT


def test_samples_link_to_their_posts() -> None:
    told = explain(digests(talk("acme battery", 8)), OWN, {}, {})
    assert all(sample.url.startswith("https://social.example/") for sample in told.samples)


def test_places_are_counted_most_frequent_first_and_unknown_ones_left_out() -> None:
    posts = talk("acme", 3, lang="de", community="r/acme") + talk("acme", 5, 10, platform="bluesky") + talk("acme", 2, 20, lang="")
    told = explain(digests(posts), OWN, {}, {})
    assert list(told.platforms.items()) == [("bluesky", 5), ("mastodon", 5)]
    assert list(told.languages.items()) == [("en", 5), ("de", 3)]
    assert told.communities == {"r/acme": 3}


def test_nothing_to_read_is_nothing_to_tell() -> None:
    told = explain((), OWN, {}, {})
    assert (told.words, told.samples, told.platforms, told.posts) == ((), (), {}, 0)


def test_log_odds_are_as_computed_by_hand() -> None:
    # y = 10 of 20, y' = 1 of 21; priors 0.3 each, prior_sum = 500 + 0.6:
    # (log(10.3 / 510.3) - log(1.3 / 520.3)) / sqrt(1 / 10.3 + 1 / 1.3) = 2.0895 / 0.9308
    scores = log_odds({"fire": 10, "bridge": 10}, {"fire": 1, "sun": 20}, {})
    assert round(scores["fire"], 3) == 2.245


def test_log_odds_do_not_depend_on_the_order_of_words() -> None:
    words = {f"w{i}": 0.1 * i + 0.3 for i in range(1, 50)}
    backwards = dict(reversed(words.items()))
    assert log_odds(words, words, words) == log_odds(backwards, backwards, backwards)


def test_a_phrase_stands_for_the_words_that_seldom_come_without_it() -> None:
    posts = Counter({"finish": 9, "line": 9, "finish line": 9, "boston": 30, "boston finish": 2})
    scores = {"finish": 2.0, "line": 2.1, "finish line": 2.0, "boston": 3.0, "boston finish": 1.5}
    assert phrases_first(scores, posts) == [("boston", 3.0), ("finish line", 2.1)]
