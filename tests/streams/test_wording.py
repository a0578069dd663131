"""The sentence is whole in every variant and says what a person on duty needs."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from schemas.moments import Moment, Word
from schemas.watchlist import Brand
from streams.wording import Story, duration, joined, number, why

WATCH = {"acme": Brand(id="acme", name="Acme"), "globex": Brand(id="globex")}
BASE = Moment(
    moment_id="m",
    sequence=0,
    status="opened",
    organic=True,
    lead_term="brand:acme",
    terms=("brand:acme",),
    brands=("acme",),
    severity=5,
    score=35.2,
    reasons=("surge",),
    opened_ms=140_000,
    since_ms=100_000,
    updated_ms=140_000,
    lead_time_ms=40_000,
    scale_ms=60_000,
    observed=84,
    expected=2.1,
    peak=84,
    events=90,
    authors=71,
    unknown_authors=0,
    organic_share=1.0,
    sentiment=-0.62,
    sentiment_shift=-0.72,
    originals=80,
    replies=5,
    reposts=5,
    reach=0,
    platforms={},
    languages={},
    communities={},
    words=tuple(Word(text=text, posts=9, score=2.0) for text in ("recall", "battery", "#acmefail")),
    samples=(),
    why="",
)


def told(term: str = "brand:acme", evidence: tuple[str, ...] = (), cascade: str = "", **fields: Any) -> str:
    """The sentence for the base moment with other fields."""
    return why(msgspec.structs.replace(BASE, **fields), Story(term, evidence, cascade), WATCH)


def test_an_opened_moment_is_told_with_its_numbers() -> None:
    assert told() == (
        "“Acme” is at 84 posts in 1 min where 2.1 are usual (score 35), rising for 40 s, 71 authors, "
        "with recall, battery, #acmefail; mood −0.62 against +0.10 before."
    )


def test_one_of_anything_is_singular() -> None:
    assert told(observed=1, expected=1.0, authors=1, words=(), sentiment=None) == (
        "“Acme” is at 1 post in 1 min where 1 is usual (score 35), rising for 40 s, 1 author."
    )


def test_an_update_says_now_and_names_other_brands() -> None:
    sentence = told("hashtag:acmefail", status="updated", updated_ms=220_000, brands=("acme", "globex"), words=(), sentiment=None)
    assert sentence == (
        "#acmefail (with “Acme” and “globex”) is now at 84 posts in 1 min where 2.1 are usual (score 35), "
        "rising for 2 min, 71 authors."
    )


def test_a_closed_moment_is_summed_up() -> None:
    sentence = told(status="closed", closed_ms=820_000, updated_ms=820_000, peak=1_200, events=9_000, authors=1, sentiment=None)
    assert sentence == (
        "“Acme” is over after 12 min: 1,200 posts in 1 min at the peak where 2.1 are usual, 9,000 posts in all, 1 author, "
        "with recall, battery, #acmefail."
    )


def test_a_flood_is_told_with_its_evidence() -> None:
    sentence = told(evidence=("20 of 32 posts are copies", "5 accounts sent them"), expected=0.0, words=(), sentiment=None)
    assert sentence.endswith(
        "where almost none is usual (score 35), rising for 40 s, 71 authors, but 20 of 32 posts are copies "
        "and 5 accounts sent them: a flood, not a moment."
    )


def test_a_cascade_is_told_beside_a_genuine_moment_only() -> None:
    assert "; 26 of 32 repeat one post." in told(cascade="26 of 32 repeat one post", sentiment=None)
    assert "repeat" not in told(cascade="26 of 32 repeat one post", evidence=("copies",), sentiment=None)


def test_unknown_authors_are_said_to_be_unknown() -> None:
    assert "authors unknown" in told(authors=0, unknown_authors=84)
    assert "71 authors and 13 posts by unknown authors" in told(unknown_authors=13)
    assert "71 authors, with" in told(unknown_authors=1)


def test_a_mood_without_a_past_is_told_alone() -> None:
    assert told(sentiment=0.4, sentiment_shift=None).endswith("; mood +0.40.")


def test_no_mood_now_and_before_is_not_worth_a_word_but_a_lost_one_is() -> None:
    assert "mood" not in told(sentiment=0.0, sentiment_shift=None)
    assert told(sentiment=0.0, sentiment_shift=-0.4).endswith("; mood 0.00 against +0.40 before.")


@pytest.mark.parametrize(
    ("expected", "term"),
    [
        ("“Acme”", "brand:acme"),
        ("“gone”", "brand:gone"),
        ("#fire", "hashtag:fire"),
        ("@mayor", "mention:mayor"),
        ("“harbour fire”", "keyword:harbour fire"),
        ("“news.example” (links)", "domain:news.example"),
    ],
)
def test_terms_are_written_as_people_write_them(expected: str, term: str) -> None:
    assert told(term, brands=()).startswith(f"{expected} is at 84 posts")


@pytest.mark.parametrize(
    ("expected", "ms"),
    [
        ("0 s", 0),
        ("1 s", 1_000),
        ("40 s", 40_000),
        ("1 min", 60_000),
        ("1.5 min", 90_000),
        ("1 h", 3_600_000),
        ("1 day", 86_400_000),
        ("2 days", 172_800_000),
    ],
)
def test_durations_have_the_largest_unit_that_fits(expected: str, ms: int) -> None:
    assert duration(ms) == expected


@pytest.mark.parametrize(
    ("expected", "value"), [("0.1", 0.1), ("2", 2.0), ("9.9", 9.94), ("10", 9.96), ("84", 84.4), ("12,345", 12345)]
)
def test_numbers_have_one_decimal_below_ten(expected: str, value: float) -> None:
    assert number(value) == expected


def test_lists_are_joined_as_in_speech() -> None:
    assert [joined(["a", "b", "c"][:n]) for n in range(4)] == ["", "a", "a and b", "a, b and c"]
