"""What ingest adds to posts: terms, brands, language and sentiment, as columns, and nothing but a function of posts and watchlist.

The parts say what they mean: `streams.text` (how text is read), `streams.terms`, `streams.brands`, `streams.language` and
`streams.sentiment`. A post's results do not depend on the other posts of the batch. Input is not changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import polars as pl

from streams.brands import CompiledWatchlist, find_brands
from streams.language import fill_languages, stated_languages
from streams.sentiment import sentiment_milli
from streams.terms import PostTerms, find_terms, post_terms
from streams.text import read_posts

DetectLanguage = Literal["all", "brands", "none"]

POSTS = {
    "text": pl.String(),
    "lang": pl.String(),  # as the platform said; empty: unknown
    "tags": pl.List(pl.String()),  # what the platform sent beside the text
    "mentions": pl.List(pl.String()),
    "links": pl.List(pl.String()),
}
"""The columns `enrich` reads; others are ignored."""


@dataclass(frozen=True, slots=True)
class EnrichParams:
    """What an operator may tune."""

    max_terms_per_post: int = 64  # `all:posts` included
    max_term_chars: int = 64  # of the value behind `kind:`
    detect_language: DetectLanguage = "brands"  # of posts whose platform said nothing; 3 to 4 µs for each post detected

    def __post_init__(self) -> None:
        if self.max_terms_per_post < 1:
            raise ValueError(f"max_terms_per_post is {self.max_terms_per_post}: it must be 1 or more")
        if self.max_term_chars < 1:
            raise ValueError(f"max_term_chars is {self.max_term_chars}: it must be 1 or more")
        if self.detect_language not in get_args(DetectLanguage):
            raise ValueError(f"detect_language is {self.detect_language!r}: use one of {', '.join(get_args(DetectLanguage))}")


@dataclass(frozen=True, slots=True)
class Enriched:
    """What is known of posts beside themselves; a row is a position in `posts`."""

    terms: PostTerms
    """Each post's terms; `all:posts` of every post."""
    brands: pl.DataFrame
    """brands.BRANDS: distinct (row, brand id), sorted."""
    lang: pl.Series
    """Per post: the platform's language, else the detected one, else empty."""
    sentiment_milli: pl.Series
    """Per post: thousandths, null unless it names a brand in a supported language."""


def enrich(posts: pl.DataFrame, watchlist: CompiledWatchlist, params: EnrichParams) -> Enriched:
    """Terms, brands, languages and sentiments of posts with the columns POSTS."""
    texts = read_posts(posts)
    occurrences = find_terms(texts, params.max_term_chars)
    brands = find_brands(texts, occurrences, watchlist)
    names_brand = pl.int_range(posts.height, dtype=pl.UInt32, eager=True).is_in(brands["row"].implode())
    detected = {"all": names_brand | True, "brands": names_brand, "none": names_brand & False}[params.detect_language]
    lang = fill_languages(stated_languages(posts["lang"]), posts["text"], detected)
    return Enriched(
        terms=post_terms(occurrences, brands, params.max_terms_per_post),
        brands=brands,
        lang=lang,
        sentiment_milli=sentiment_milli(posts["text"], lang, names_brand),
    )
