"""Brands by example: whole words in every script, handles, hashtags, exclusions and context."""

from __future__ import annotations

import polars as pl
import pytest

from schemas.errors import ConfigurationError
from schemas.watchlist import Brand
from streams.brands import compile_watchlist, find_brands
from streams.terms import find_terms
from streams.text import read_texts


def named(brands: list[Brand], *texts: str) -> list[tuple[int, str]]:
    read = read_texts(pl.Series(texts, dtype=pl.String))
    return list(find_brands(read, find_terms(read, 64), compile_watchlist(brands)).iter_rows())


def names(brand: Brand, text: str) -> bool:
    return named([brand], text) == [(0, brand.id)]


@pytest.mark.parametrize(
    ("expected", "alias", "text"),
    [
        (True, "acme", "ACME"),
        (True, "Acme", "#acme's"),
        (True, "acme", "(acme)"),
        (True, "acme", "https://acme.com/"),
        (False, "acme", "acmeware"),
        (False, "acme", "superacme"),
        (False, "acme", "acme_x"),
        (False, "acme", "acme\u0301"),
        (False, "acme", "acmeé éacme"),
        (True, "acme", "ａｃｍｅ™"),
        (True, "general  electric", "General\n Electric"),
        (False, "general electric", "generalelectric"),
        (True, "AT&T", "at&t's"),
        (True, "C++", "c++11"),
        (False, "C++", "abc++"),
        (True, "地震", "大地震発生"),
        (True, "トヨタ", "新型トヨタ車"),
        (True, "acme", "新型acmeの車"),
        (True, "แอปเปิล", "ซื้อแอปเปิลวันนี้"),
        (True, "삼성", "삼성이 발표"),
        (False, "삼성", "신삼성"),
        (True, "acme", "acme가"),
        (True, "ЗАРЯ", "«Заря»"),
        (False, "заря", "зарядка"),
        (True, "नमस्ते", "नमस्ते!"),
        (False, "नमस", "नमस्ते"),
        (True, "ΣΟΦΟΣ", "σοφος"),
        (False, " ", "a b"),
    ],
)
def test_an_alias_matches_whole_words_in_every_script(expected: bool, alias: str, text: str) -> None:
    assert names(Brand(id="b", aliases=(alias,)), text) is expected


@pytest.mark.parametrize(
    ("expected", "text"),
    [(True, "hi @Acme!"), (True, "#TeamAcme"), (False, "acme"), (False, "@acme.shop"), (False, "@acme@x.y"), (False, "teamacme")],
)
def test_handles_and_hashtags_match_exactly(expected: bool, text: str) -> None:
    assert names(Brand(id="acme", handles=("ACME",), hashtags=("teamacme",)), text) is expected
    assert names(Brand(id="acme", aliases=("@acme", "#teamacme")), text) is expected


def test_a_brand_with_nothing_else_is_its_id() -> None:
    assert names(Brand(id="coca-cola"), "a Coca-Cola please")
    assert not names(Brand(id="coca-cola", handles=("cocacola",)), "a Coca-Cola please")


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        (False, "apple pie"),
        (True, "Apple sells apple pie"),
        (False, "an apple  pie and one more apple pie"),
        (True, "apple pies"),
        (False, "apple and banana"),
        (False, "@apple likes bananas, a banana"),
        (True, "@apple likes apple pie"),
    ],
)
def test_an_exclude_phrase_takes_its_alias_or_without_one_the_post(expected: bool, text: str) -> None:
    assert names(Brand(id="apple", aliases=("apple",), handles=("apple",), exclude=("apple pie", "banana")), text) is expected


@pytest.mark.parametrize(
    ("expected", "text"), [(False, "a jaguar"), (True, "a jaguar car"), (False, "jaguar cars"), (True, "@jaguar"), (False, "car")]
)
def test_context_is_asked_of_aliases_only(expected: bool, text: str) -> None:
    assert names(Brand(id="jaguar", aliases=("jaguar",), handles=("jaguar",), context=("car",)), text) is expected


def test_brands_may_share_phrases_and_rows_come_sorted() -> None:
    brands = [Brand(id="b", aliases=("x one",)), Brand(id="a", aliases=("one", "x one")), Brand(id="c", context=("one",))]
    assert named(brands, "nothing", "x one", "one c") == [(1, "a"), (1, "b"), (2, "a"), (2, "c")]


def test_an_empty_watchlist_names_nothing() -> None:
    assert named([], "acme") == []


def test_the_version_follows_the_content_and_not_the_order() -> None:
    one, two = Brand(id="one"), Brand(id="two", muted=True)
    assert compile_watchlist([one, two]).version == compile_watchlist([two, one]).version
    versions = {compile_watchlist(brands).version for brands in ([], [one], [two], [one, two], [one, Brand(id="two")])}
    assert len(versions) == 5


def test_an_id_that_comes_twice_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="twice"):
        compile_watchlist([Brand(id="a"), Brand(id="a", muted=True)])
