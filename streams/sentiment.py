"""How a brand is spoken of: VADER's compound score in thousandths, a function of the text alone.

Supported is English. A post of unknown language is scored too: posts too short to tell are often English, and others mostly hold
no word of VADER's lexicon and score 0. Emoji and emoticons count as VADER reads them. Scores are those of
`SentimentIntensityAnalyzer.polarity_scores` on the first MAX_SCORED_CHARS characters, to the digit.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import polars as pl
from vaderSentiment.vaderSentiment import BOOSTER_DICT, SentimentIntensityAnalyzer, SentiText

MAX_SCORED_CHARS = 1_000

SUPPORTED_LANGUAGES = ("en", "")

_WORDS_BEFORE, _WORDS_BEHIND = 3, 2  # all that VADER's rules look at around a word of its lexicon


@dataclass(frozen=True, slots=True)
class _Window:
    """The part of VADER's SentiText that its rules read."""

    words_and_emoticons: list[str]
    is_cap_diff: bool


def sentiment_milli(texts: pl.Series, languages: pl.Series, wanted: pl.Series) -> pl.Series:
    """Compound sentiment of each wanted text in a supported language, -1000..1000; null for all others."""
    scored = (wanted & languages.is_in(SUPPORTED_LANGUAGES)).arg_true()
    scores: list[int | None] = [None] * len(texts)
    known: dict[str, int] = {}  # reposts repeat a text
    for row, text in zip(scored.to_list(), texts.gather(scored).fill_null("").to_list(), strict=True):
        if text not in known:
            known[text] = score_milli(text)
        scores[row] = known[text]
    return pl.Series("sentiment_milli", scores, dtype=pl.Int64)


def score_milli(text: str) -> int:
    """VADER's compound score of one English text, in thousandths.

    VADER itself lower-cases the whole text again for every rule it tries at a word of its lexicon; here each rule sees only the
    words around that word, which is all it reads (two thirds of the time on posts, and linear in their length).
    """
    vader = _analyzer()
    plain = _describe_emoji(text[:MAX_SCORED_CHARS], vader.emojis).strip()
    read = SentiText(plain)
    words: list[str] = read.words_and_emoticons
    lower = [word.lower() for word in words]
    valences: list[float] = []
    for at, word in enumerate(lower):
        of_kind = word == "kind" and lower[at + 1 : at + 2] == ["of"]
        if word not in vader.lexicon or word in BOOSTER_DICT or of_kind:
            valences.append(0)
            continue
        first = max(0, at - _WORDS_BEFORE)
        window = _Window(words[first : at + _WORDS_BEHIND + 1], read.is_cap_diff)
        vader.sentiment_valence(0, window, words[at], at - first, valences)
    if not any(valences):
        return 0
    return round(1000 * float(vader.score_valence(vader._but_check(words, valences), plain)["compound"]))


def _describe_emoji(text: str, emojis: dict[str, str]) -> str:
    """The text as VADER reads it: each emoji replaced by its description, with a space in front where there is none."""
    if text.isascii():
        return text
    read: list[str] = []
    for character in text:
        description = emojis.get(character, character)
        if description is not character and read and read[-1] != " ":
            read.append(" ")
        read.append(description)
    return "".join(read)


@cache
def _analyzer() -> SentimentIntensityAnalyzer:
    return SentimentIntensityAnalyzer()  # only read after it is built
