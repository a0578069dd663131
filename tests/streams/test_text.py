"""Text is read the same however it was typed, and what is invisible is gone."""

from __future__ import annotations

import re
import sys
import unicodedata

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.events import MAX_TEXT_CHARS
from streams.text import MAX_BESIDE, SETTLED, normalise, read_posts


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


def test_characters_that_skip_the_normal_form_are_their_own_in_any_company() -> None:
    everything = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
    decomposed = (unicodedata.decomposition(c).split() for c in everything)
    seconds = {chr(int(parts[1], 16)) for parts in decomposed if len(parts) == 2 and not parts[0].startswith("<")}
    jamo = {chr(code) for code in range(0x1161, 0x1200)}  # compose with what stands before by arithmetic, not by table
    skipped = [c for c in everything if re.match(f"[{SETTLED}]", c)]
    wrong = [c for c in skipped if not unicodedata.is_normalized("NFKC", c) or unicodedata.combining(c) or c in seconds | jamo]
    assert len(skipped) > 30_000
    assert wrong == []


def by_the_rules(text: str) -> str:
    """The module's docstring in plain Python."""
    kept = [c for c in text if unicodedata.category(c) not in ("Cc", "Cf") or c in "\t\n\v\f\r\x85"]
    apart = [" " if unicodedata.category(c) == "Me" or c in "\u2122\u2120" else c for c in kept if c not in "\ufe0f\u034f\u3164"]
    lower = unicodedata.normalize("NFKC", "".join(apart)).lower().replace("ς", "σ")
    return re.sub(r"\s+", " ", lower)


ODD = (
    "aB \t\n\r\x00\x1f\x7f\x85\xa0éÉe\u0301ßẞΣςΑά™℠…—“\u200b\ufe0f\u20e3\u3000"
    "ｶﾞカ\u3099が汉한\u1112\u1161\u11abﬁ①½🎉\U0001f3fbİıǅक़\u093cกำ"
)


@given(st.text(alphabet=ODD, max_size=12))
def test_every_text_reads_as_plain_python_would(text: str) -> None:
    assert normalise(pl.Series([text, "x"]))[0] == by_the_rules(text)


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
    assert read_posts(posts(**beside)).series()[0].rstrip() == expected


def test_text_and_what_stands_beside_it_are_cut() -> None:
    frame = posts(tags=[f"t{n}" for n in range(500)]).with_columns(text=pl.lit("é" * (MAX_TEXT_CHARS + 9)))
    read = read_posts(frame).series()[0]
    assert (read.count("é"), read.count("#")) == (MAX_TEXT_CHARS, MAX_BESIDE)
