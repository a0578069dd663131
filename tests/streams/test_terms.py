"""Terms by example: what counts as hashtag, mention, domain and keyword, and what a crowded post keeps."""

from __future__ import annotations

import time

import polars as pl
import pytest

from streams.brands import BRANDS
from streams.stopwords import STOP_WORDS
from streams.terms import TERMS, find_terms, post_terms
from streams.text import normalise, read_texts

NO_BRANDS = pl.DataFrame(schema=BRANDS)


def terms(*texts: str, max_terms: int = 64, brands: pl.DataFrame = NO_BRANDS) -> list[str]:
    table = post_terms(find_terms(read_texts(pl.Series(texts, dtype=pl.String)), 64), brands, max_terms).frame()
    assert table.schema == TERMS
    return table["term"].to_list()


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        ("", "RT @: the and of http https"),
        ("hashtag:superbowl", "#SuperBowl #superbowl"),
        ("hashtag:a hashtag:b keyword:word", "#a,#b word#tag #a#tag"),
        ("hashtag:c", "_#no &#39; x&#no ##c"),
        ("hashtag:2020a", "#2020 #２０２０a"),
        ("hashtag:日本 hashtag:été", "#日本 #été"),
        ("mention:user", "@User: .@user @user…"),
        ("mention:a.b-c mention:u@mastodon.social", "@a.b-c. @U@Mastodon.Social, &@no"),
        ("keyword:foo", "foo@mail.com"),
        ("mention:user", "@userさん @josé"),
        ("domain:nytimes.com", "https://www.NYTimes.com/a/boston#x http://user:pw@nytimes.com.:80?q=boston http://localhost/"),
        ("domain:t.co keyword:地震", "地震https://t.co/abcです"),
        ("domain:xn--exmple-cua.com domain:exämple.com", "http://xn--exmple-cua.com http://exämple.com"),
        ("keyword:boston keyword:marathon", "Boston's marathon, 2013 12-of x1 it's don't"),
        ("keyword:covid19 keyword:east keyword:middle", "COVID19 middle_east"),
        ("keyword:homme keyword:société", "l’homme société"),
        ("keyword:지진", "지진 서"),
        ("keyword:トランプ keyword:大統 keyword:統領", "トランプ大統領です"),
        ("keyword:ดินไ keyword:นไหว keyword:ินไห", "ดินไหว"),
        ("keyword:explosion", "Explo\u00adsion ex\u200bplosion"),
    ],
)
def test_terms_of_a_text(expected: str, text: str) -> None:
    assert terms(text)[1:] == sorted(expected.split())


def test_more_distinct_terms_than_the_table_first_has_room_for_are_all_found() -> None:
    found = find_terms(read_texts(pl.Series([f"w{n}x w{n + 1}x #w{n}x" for n in range(20_000)])), 64)
    assert len(found.vocabulary) == 40_001
    assert found.vocabulary.gather(found.codes[-3:]).to_list() == ["keyword:w19999x", "keyword:w20000x", "hashtag:w19999x"]


def test_every_post_has_the_term_of_all_posts() -> None:
    assert terms("", "boston", "") == ["all:posts", "all:posts", "keyword:boston", "all:posts"]


def test_a_value_at_the_limit_is_a_term_and_one_above_is_not() -> None:
    for sign, kind in (("", "keyword"), ("#", "hashtag"), ("@", "mention")):
        assert terms(f"{sign}{'a' * 64} {sign}{'b' * 65}")[1:] == [f"{kind}:{'a' * 64}"]
    assert terms(f"http://{'a' * 61}.de http://{'b' * 62}.de")[1:] == [f"domain:{'a' * 61}.de"]


def test_a_crowded_post_keeps_terms_by_kind_then_place() -> None:
    text = "zebra yak http://x.de @zoe @amy #z #y #z lion zebra"
    brands = pl.DataFrame({"row": [0], "brand": ["yak"]}, schema=BRANDS)
    order = ["all:posts", "brand:yak", "hashtag:z", "hashtag:y", "mention:zoe", "mention:amy", "domain:x.de"]
    order += ["keyword:zebra", "keyword:yak", "keyword:lion"]
    for size in range(1, len(order) + 1):
        assert terms(text, max_terms=size, brands=brands) == sorted(order[:size])


def test_a_crowded_post_takes_nothing_from_its_neighbours() -> None:
    assert terms("lion", " ".join(f"w{n}x" for n in range(100)), "lion", max_terms=2).count("keyword:lion") == 2


@pytest.mark.parametrize(
    "piece", ["a.", "@a", "@a.", "#a", "#", "&#", "http://", "https://a@", "_#a", "漢", "แ", "\ufdfa", "a\u0301", "カ", "a'"]
)
def test_hostile_text_costs_no_more_than_its_length(piece: str) -> None:
    def seconds(length: int) -> float:
        texts = read_texts(pl.Series([(piece * length)[:length]] * 4))
        started = time.process_time()
        found = find_terms(texts, 64)
        post_terms(found, NO_BRANDS, 64)
        return time.process_time() - started

    assert min(seconds(20_000) for _ in range(3)) < 0.05 + 40 * min(seconds(1_000) for _ in range(3))


def test_stop_words_are_written_as_texts_are_read() -> None:
    words = sorted(STOP_WORDS)
    assert normalise(pl.Series(words)).to_list() == words
    assert not {"boston", "war", "die", "won", "explosion", "fire"} & STOP_WORDS
