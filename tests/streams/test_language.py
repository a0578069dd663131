"""Languages: what platforms say is read kindly, what they do not say is told only where the text is clear."""

from __future__ import annotations

import polars as pl
import pytest

from streams.language import detect_languages, fill_languages, stated_languages


@pytest.mark.parametrize(
    ("expected", "stated"),
    [("en", "en-GB"), ("pt", "pt_BR"), ("zh", "zh-Hant-TW"), ("fil", "fil"), ("he", "iw"), ("de", "DE")]
    + [("", said) for said in ("", "und", "zxx", "qme", "english", "e", "12")],
)
def test_the_primary_subtag_is_taken_and_a_shrug_is_nothing(expected: str, stated: str) -> None:
    assert stated_languages(pl.Series([stated])).to_list() == [expected]


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        ("en", "There was a loud explosion near the finish line, people are running"),
        ("es", "No puedo creer lo que acaba de pasar en la calle, qué miedo"),
        ("de", "Ich habe gerade einen lauten Knall gehört, was ist da los?"),
        ("pt", "Não acredito que isso aconteceu hoje de manhã na cidade"),
        ("fr", "Une explosion a eu lieu près de la ligne d'arrivée"),
        ("ru", "Громкий взрыв недалеко от финиша, люди бегут"),
        ("ja", "さっき大きな地震がありました。皆さん大丈夫ですか"),
        ("ko", "방금 큰 지진이 있었습니다 모두 괜찮으세요"),
        ("ar", "وقع انفجار كبير بالقرب من خط النهاية"),
        ("", "lol"),
        ("", "😂😂😂"),
        ("", "https://t.co/abc @user #BreakingNews"),
        ("", ""),
    ],
)
def test_the_language_is_told_or_left_open(expected: str, text: str) -> None:
    assert detect_languages(pl.Series([text])).to_list() == [expected]


def test_only_wanted_rows_without_a_stated_language_are_detected() -> None:
    text = "This is certainly an English sentence"
    filled = fill_languages(pl.Series(["fr", "", ""]), pl.Series([text] * 3), pl.Series([True, True, False]))
    assert filled.to_list() == ["fr", "en", ""]


def test_stated_languages_stay_as_they_were() -> None:
    stated = pl.Series(["", "de"])
    fill_languages(stated, pl.Series(["This is certainly an English sentence", ""]), pl.Series([True, True]))
    assert stated.to_list() == ["", "de"]
