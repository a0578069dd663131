"""Text is read the same however it was typed, and what is invisible is gone."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.events import MAX_TEXT_CHARS
from streams.text import MAX_BESIDE, normalise, read_posts


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        ("plain words, kept", "Plain WORDS, kept"),
        ("two lines and a tab", "two\nlines \t and  a\ttab"),
        ("café", "CAFE\u0301"),
        ("full width # @", "Ｆｕｌｌ width ＃ ＠"),
        ("acme and acme sm", "Acme™ and ACME℠sm"),
        ("straße", "STRAẞE"),
        ("σοφοσ σοφοσ", "ΣΟΦΟΣ σοφος"),
        ("acme", "Ac\u200bm\u00ade\u202e\ufeff\x00"),
        ("❤#love 1 #one", "❤\ufe0f#love 1\ufe0f\u20e3#one"),
        ("カナ", "ｶﾅ"),
        ("", ""),
    ],
)
def test_text_is_read_as_the_rules_say(expected: str, text: str) -> None:
    assert normalise(pl.Series([text]))[0] == expected


def test_null_reads_as_empty_and_other_rows_do_not_matter() -> None:
    assert normalise(pl.Series([None, "Ä  b", "C"], dtype=pl.String)).to_list() == ["", "ä b", "c"]


@given(st.lists(st.text(max_size=30), max_size=10))
def test_reading_changes_no_input_and_leaves_no_control_character(texts: list[str]) -> None:
    series = pl.Series(texts, dtype=pl.String)
    read = normalise(series)
    assert series.to_list() == texts
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 or c in "\u200b\u202e\ufeff" for text in read for c in text)


def posts(**beside: list[str]) -> pl.DataFrame:
    columns = {name: [beside.get(name, [])] for name in ("tags", "mentions", "links")}
    return pl.DataFrame({"text": ["Text"], **columns}, schema_overrides=dict.fromkeys(columns, pl.List(pl.String)))


@pytest.mark.parametrize(
    ("expected", "beside"),
    [
        ("text", {}),
        ("text #new #newyork", {"tags": ["#New", "new york"]}),
        ("text @acme @a@b.social", {"mentions": ["@Acme", "did:plc:x", "a b", "a@b.social"]}),
        ("text https://x.y/z", {"links": ["https://x.y/Z", "javascript:alert(1)", "ftp://x"]}),
        ("text #a @b http://c.d", {"tags": ["a"], "mentions": ["b"], "links": ["http://c.d"]}),
    ],
)
def test_what_the_platform_sent_beside_the_text_stands_behind_it(expected: str, beside: dict[str, list[str]]) -> None:
    assert read_posts(posts(**beside))[0].rstrip() == expected


def test_text_and_what_stands_beside_it_are_cut() -> None:
    frame = posts(tags=[f"t{n}" for n in range(500)]).with_columns(text=pl.lit("é" * (MAX_TEXT_CHARS + 9)))
    read = read_posts(frame)[0]
    assert (read.count("é"), read.count("#")) == (MAX_TEXT_CHARS, MAX_BESIDE)
