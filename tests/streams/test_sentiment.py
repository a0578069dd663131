"""Sentiment is VADER's, to the digit, of the posts it is asked for."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

from streams.sentiment import MAX_SCORED_CHARS, score_milli, sentiment_milli

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
VADER = SentimentIntensityAnalyzer()
WORDS = (
    "not no never without doubt this so very least at but kind of sort the bomb shit bad ass yeah right to die for good GOOD great "
    "terrible hate love LOVE isn't won't or nor ok :) :( :D ;) 😀 💔 ☹️ ! !! ??? . , kinda extremely barely incredible beating heart"
)


def vader(text: str) -> int:
    return round(1000 * float(VADER.polarity_scores(text[:MAX_SCORED_CHARS])["compound"]))


@settings(deadline=None, max_examples=300)
@given(st.lists(st.sampled_from(WORDS.split()) | st.text(max_size=4), max_size=14), st.sampled_from([" ", "  ", "\n", ""]))
def test_any_text_scores_as_vader_scores_it(words: list[str], glue: str) -> None:
    assert score_milli(glue.join(words)) == vader(glue.join(words))


@pytest.mark.parametrize("name", ["gop_debate_2015", "bluesky_keegan_nyt"])
def test_recorded_posts_score_as_vader_scores_them(name: str) -> None:
    path = DATA / f"{name}.ndjson.gz"
    if not path.exists():
        pytest.skip(f"recorded posts are not there: {path.name}")
    with gzip.open(path, "rt", encoding="utf-8") as file:
        texts = [json.loads(line)["text"] for line in file][::20]
    assert [score_milli(text) for text in texts] == [vader(text) for text in texts]


def test_only_wanted_texts_in_english_or_an_unknown_language_are_scored() -> None:
    texts = pl.Series(["I love it"] * 4 + ["it is"])
    scores = sentiment_milli(texts, pl.Series(["en", "", "de", "en", "en"]), pl.Series([True, True, True, False, True]))
    love = vader("I love it")
    assert scores.to_list() == [love, love, None, None, 0]
    assert love > 500
