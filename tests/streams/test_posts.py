"""A digest of a post says what it names, with the terms that ingest counts, and what it repeats."""

from __future__ import annotations

import pytest

from schemas.watchlist import Brand
from tests.streams.crowds import digests, post, talk


@pytest.mark.parametrize(
    ("expected", "term"),
    [
        (True, "hashtag:acmefail"),
        (True, "mention:mayor"),
        (True, "domain:news.example"),
        (True, "keyword:battery"),
        (True, "keyword:battery fire"),
        (True, "brand:acme"),
        (False, "keyword:fire battery"),
        (False, "keyword:batter"),
        (False, "hashtag:acme"),
        (False, "brand:globex"),
    ],
)
def test_a_post_holds_its_terms_and_the_phrases_in_it(expected: bool, term: str) -> None:
    text = "ACME Battery fire! #AcmeFail @Mayor https://www.news.example/a?b"
    (found,) = digests([post(1, text)], [Brand(id="acme"), Brand(id="globex")])
    assert found.holds(term) == expected


def test_what_the_platform_sent_beside_the_text_counts_too() -> None:
    (found,) = digests([post(1, "hello", tags=("AcmeFail",), mentions=("mayor",), links=("https://news.example/x",))])
    assert {"hashtag:acmefail", "mention:mayor", "domain:news.example"} <= found.terms


def test_phrases_do_not_reach_over_punctuation_stop_words_or_links() -> None:
    (found,) = digests([post(1, "smoke, harbour of fire https://a.example bridge")])
    assert {word for word in found.words if " " in word} == set()


@pytest.mark.parametrize(
    ("expected", "fields"),
    [
        ("", {}),
        ("", {"kind": "reply", "target_id": "7"}),
        ("7", {"kind": "repost", "target_id": "7"}),
    ],
)
def test_only_a_repost_is_part_of_a_cascade(expected: str, fields: dict[str, str]) -> None:
    (found,) = digests([post(1, "smoke over the harbour", **fields)])
    assert found.cascade == expected


def test_reposts_by_hand_are_of_one_cascade() -> None:
    one, other = digests([post(1, "RT @a: smoke over the harbour"), post(2, "rt @a smoke over the harbour https://x.example")])
    assert one.cascade == other.cascade != ""


def test_a_very_long_text_is_looked_at_only_so_far() -> None:
    (found,) = digests([post(1, "smoke " * 5_000 + "#late")])
    assert "hashtag:late" not in found.terms


def test_crowds_of_the_tests_are_no_copies_of_each_other() -> None:
    posts = digests(talk("#harbourfire", 30))
    assert len({found.shingles for found in posts}) == 30
