"""Every post's terms and brands equal a recount by hand: the module docstrings of text, terms and brands as plain Python `re`."""

from __future__ import annotations

import gzip
import json
import re
import sys
import unicodedata
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.watchlist import Brand
from streams.brands import compile_watchlist
from streams.enrich import POSTS, Enriched, EnrichParams, enrich
from streams.stopwords import STOP_WORDS
from streams.text import HAN, HANGUL, KATAKANA, NO_SPACES, SOUTH_EAST

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
FILES = ("crisislex_t6", "gop_debate_2015", "bluesky_keegan_nyt", "reddit_praw_cassettes")

WATCHLIST = compile_watchlist(
    [
        Brand(id="acme", aliases=("Acme", "ACME Corp."), handles=("acme",), exclude=("acme pie", "fruit"), hashtags=("teamacme",)),
        Brand(id="boston", aliases=("boston marathon", "#prayforboston", "@bostonglobe")),
        Brand(id="explosion"),
        Brand(id="bomb", aliases=("bomb", "bombs"), context=("boston", "marathon"), exclude=("the bomb",)),
        Brand(id="earthquake", aliases=("地震", "แผ่นดินไหว", "지진", "tremor")),
        Brand(id="trump", aliases=("Trump", "The Donald", "c++"), handles=("realDonaldTrump",)),
        Brand(id="times", handles=("nytimes.com",), context=("news",)),
    ]
)


def ranges(keep: Callable[[str], bool]) -> str:
    """The inside of a character class that holds exactly these characters."""
    codes = [code for code in range(sys.maxunicode + 1) if keep(chr(code))]
    spans = [[code for _, code in span] for _, span in groupby(enumerate(codes), lambda pair: pair[1] - pair[0])]
    return "".join(f"{re.escape(chr(span[0]))}-{re.escape(chr(span[-1]))}" for span in spans)


W = ranges(lambda c: unicodedata.category(c)[0] in "LMN") + "_"
J = ranges(lambda c: (unicodedata.category(c)[0] in "LMN" or c == "_") and not re.match(f"[{NO_SPACES}]", c))
INVISIBLE = re.compile(
    "["
    + ranges(lambda c: unicodedata.category(c) in ("Cc", "Cf") and c not in "\t\n\v\f\r\x85")
    + "\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
UNGLUE = re.compile("[" + ranges(lambda c: unicodedata.category(c) == "Me") + "\u2120\u2122]")
H = "[a-z0-9_]+(?:[.-][a-z0-9_]+)*"
URL = r'https?://[^\s"<>\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\ud7ff\U00020000-\U0003ffff]+'
CHUNK = re.compile(rf"{URL}|@{H}(?:@{H})?[{W}#@&]*|[{W}#@&]+")
MENTION = re.compile(rf"@({H}(?:@{H})?)(?:$|[#@&{NO_SPACES}{HANGUL}])")
HOST = re.compile(rf"https?://(?:[^/?#]*@)?(?:www\.)?([{W}](?:[{W}.-]*[{W}])?)")
HASHTAG = re.compile(rf"(?<![{W}&])#([{W}]+)")
GLUED = re.compile(rf"[#@][{W}]+")
LETTERS = re.compile(rf"[{HAN}]+|[{KATAKANA}]+|[{SOUTH_EAST}]+|(?:(?![_{NO_SPACES}])[{W}])+")


def read(text: str, tags: Sequence[str] = (), mentions: Sequence[str] = (), links: Sequence[str] = ()) -> str:
    """The text as operators read it."""
    text = text[:20_000]
    text += "".join(" #" + re.sub(r"\s", "", tag[:256].lstrip("#")) for tag in tags[:64])
    text += "".join(
        " @" + mention.lstrip("@")
        for mention in mentions[:64]
        if re.fullmatch(r"@?[0-9A-Za-z_]+([.@-][0-9A-Za-z_]+)*", mention[:256])
    )
    text += "".join(" " + link for link in links[:64] if re.fullmatch(r"(?i:https?)://\S+", link))
    text = unicodedata.normalize("NFKC", UNGLUE.sub(" ", INVISIBLE.sub("", text))).lower().replace("ς", "σ")
    return re.sub(r"\s+", " ", text)


def has_letter(value: str) -> bool:
    return any(unicodedata.category(c)[0] == "L" for c in value)


def keywords(run: str) -> list[str]:
    words: list[str] = []
    for word in LETTERS.findall(GLUED.sub(" ", run)):
        size = 2 if re.match(f"[{HAN}]", word) else 4 if re.match(f"[{SOUTH_EAST}]", word) else len(word)
        words += [word[at : at + size] for at in range(min(len(word), max(size, 512)) - size + 1)]
    long_enough = [w for w in words if len(w) >= 3 or (len(w) == 2 and min(w) >= "\u1100")]
    return [w for w in long_enough if has_letter(w) and w not in STOP_WORDS]


def terms(text: str, brands: Sequence[str], max_terms: int, max_chars: int) -> list[str]:
    found: dict[str, list[str]] = {"hashtag": [], "mention": [], "domain": [], "keyword": []}
    for chunk in CHUNK.findall(re.sub(f"(?<=[{NO_SPACES}])(?=https?://)", " ", text)):
        if "://" in chunk:
            host = HOST.match(chunk)
            found["domain"] += [host[1]] if host and "." in host[1] else []
        elif re.match(f"@{H}", chunk):
            mention = MENTION.match(chunk)
            found["mention"] += [mention[1]] if mention else []
        else:
            found["hashtag"] += [tag for tag in HASHTAG.findall(chunk) if has_letter(tag)]
            found["keyword"] += keywords(chunk)
    ordered = ["all:posts", *(f"brand:{brand}" for brand in brands)]
    ordered += [f"{kind}:{value}" for kind, values in found.items() for value in values if len(value) <= max_chars]
    return sorted(list(dict.fromkeys(ordered))[:max_terms])


def spans(phrase: str, text: str) -> list[tuple[int, int]]:
    phrase = read(phrase).strip()
    if phrase not in text:
        return []
    before = f"(?<![{J}])" if re.match(f"[{J}]", phrase[:1]) else ""
    behind = f"(?!(?![{HANGUL}])[{J}])" if re.match(f"[{J}]", phrase[-1:]) else ""
    return [(m.start(), m.start() + len(phrase)) for m in re.finditer(f"(?={before}{re.escape(phrase)}{behind})", text)]


def brands(text: str, max_chars: int) -> list[str]:
    tokens = terms(text, (), 10**6, max_chars)
    return [brand.id for brand in WATCHLIST.brands if names(brand, text, tokens)]


def names(brand: Brand, text: str, tokens: Sequence[str]) -> bool:
    aliases = [a for a in brand.aliases if a[0] not in "#@"] or ([] if brand.handles or brand.aliases else [brand.id])
    inner = [phrase for phrase in brand.exclude if any(spans(alias, read(phrase)) for alias in aliases)]
    if any(spans(phrase, text) for phrase in brand.exclude if phrase not in inner):
        return False
    tags = {f"mention:{handle.lower()}" for handle in brand.handles} | {f"hashtag:{tag}" for tag in brand.hashtags}
    tags |= {a.replace("#", "hashtag:").replace("@", "mention:") for a in brand.aliases if a[0] in "#@"}
    if tags & set(tokens):
        return True
    covers = [cover for phrase in inner for cover in spans(phrase, text)]
    free = [s for alias in aliases for s in spans(alias, text) if not any(c[0] <= s[0] and s[1] <= c[1] for c in covers)]
    return bool(free) and (not brand.context or any(spans(phrase, text) for phrase in brand.context))


def posts_frame(posts: Sequence[dict[str, object]]) -> pl.DataFrame:
    empty: dict[str, object] = {"text": "", "lang": "", "tags": [], "mentions": [], "links": []}
    return pl.DataFrame([empty | post for post in posts], schema=POSTS, orient="row")


def by_row(frame: pl.DataFrame, rows: int, column: str) -> list[list[str]]:
    found: list[list[str]] = [[] for _ in range(rows)]
    for row, value in frame.select("row", column).iter_rows():
        found[row].append(value)
    return found


def check(posts: Sequence[dict[str, object]], params: EnrichParams) -> None:
    result = enrich(posts_frame(posts), WATCHLIST, params)
    texts = [read(**{key: value for key, value in post.items() if key != "lang"}) for post in posts]  # type: ignore[arg-type]
    expected = [brands(text, params.max_term_chars) for text in texts]
    assert by_row(result.brands, len(posts), "brand") == expected
    counted = [
        terms(text, ids, params.max_terms_per_post, params.max_term_chars) for text, ids in zip(texts, expected, strict=True)
    ]
    for post, got, want in zip(posts, by_row(result.terms.frame(), len(posts), "term"), counted, strict=True):
        assert got == want, post


@pytest.mark.parametrize("name", FILES)
def test_every_recorded_post_equals_the_recount(name: str) -> None:
    path = DATA / f"{name}.ndjson.gz"
    if not path.exists():
        pytest.skip(f"recorded posts are not there: {path.name}")
    with gzip.open(path, "rt", encoding="utf-8") as file:
        texts = [json.loads(line)["text"] for line in file][::7]
    check([{"text": text} for text in texts], EnrichParams(detect_language="none"))


# Characters that Python's and polars' tables both know, with those that matter to the rules drawn often.
ANY = st.characters(exclude_categories=("Cs", "Cn", "Co"))
SPECIAL = st.sampled_from(
    "##@@&_._-'/:\"<> \t\n\r\x00 aaxté19２ß™İΣςⅣ〆々・ー漢字地震かなカナｶﾞแผ่นดิน지진한국ªº"
    "\u200d\u200b\ufe0f\u20e3\u0301\u00ad\u202e\ufeff\u3164"
)
SNIPPETS = """
https:// http://www. t.co/a @user @a.b@c.d user:p@x.com:80 #tag #prayforboston #１２a acme acme·pie Acme·Corp. fruit
boston··marathon the·bomb bombs bomb Boston trumps tremor c++ don't 地震 แผ่นดินไหว 지진 지진이 你们
"""
SNIPPET = st.sampled_from(SNIPPETS.split()).map(lambda snippet: snippet.replace("·", " "))
TEXT = st.lists(SNIPPET | SPECIAL | ANY | st.text(ANY, max_size=8), max_size=12).map("".join)
POST = st.fixed_dictionaries(
    {"text": TEXT},
    optional={
        "tags": st.lists(TEXT, max_size=3),
        "mentions": st.lists(st.sampled_from(["acme", "@Acme", "did:plc:x", "a b", "user@host.social", ""]), max_size=3),
        "links": st.lists(
            st.sampled_from(["https://www.Acme.com/x", "HTTP://x.y", "ftp://x.y", "https://nytimes.com", "no"]), max_size=3
        ),
    },
)


@settings(max_examples=300, deadline=None)
@given(st.lists(POST, max_size=6), st.sampled_from([EnrichParams(), EnrichParams(max_terms_per_post=4, max_term_chars=6)]))
def test_any_text_equals_the_recount(posts: list[dict[str, object]], params: EnrichParams) -> None:
    check(posts, params)


def same(left: Enriched, right: Enriched) -> bool:
    alike = all(getattr(left, field).equals(getattr(right, field)) for field in ("brands", "lang", "sentiment_milli"))
    return alike and left.terms.frame().equals(right.terms.frame())


SAMPLE: list[dict[str, object]] = [
    {"text": "I love Acme, best fruitless pie ever!", "lang": "en-GB"},
    {"text": "Das ist Acme und ich finde es sehr schlecht, wirklich schrecklich"},
    {"text": "explosion at the finish line, this is terrible news for all of us"},
    {"text": "J'adore Acme", "lang": "fr"},
    {"text": "nothing to see"},
    {"text": ""},
]


def test_a_post_is_enriched_alone_as_in_any_batch() -> None:
    whole = enrich(posts_frame(SAMPLE), WATCHLIST, EnrichParams())
    for row, post in enumerate(SAMPLE):
        alone = enrich(posts_frame([post]), WATCHLIST, EnrichParams())
        assert alone.terms.frame()["term"].to_list() == whole.terms.frame().filter(pl.col("row") == row)["term"].to_list()
        assert (alone.lang[0], alone.sentiment_milli[0]) == (whole.lang[row], whole.sentiment_milli[row])


def test_same_input_gives_same_output_in_any_thread_and_stays_as_it_was() -> None:
    posts = posts_frame(SAMPLE * 50)
    before = posts.clone()
    first = enrich(posts, WATCHLIST, EnrichParams(detect_language="all"))
    with ThreadPoolExecutor(4) as pool:
        others = list(pool.map(lambda _: enrich(posts, WATCHLIST, EnrichParams(detect_language="all")), range(8)))
    assert all(same(first, other) for other in others)
    assert posts.equals(before)


def test_only_brand_posts_in_english_have_a_sentiment() -> None:
    scores = enrich(posts_frame(SAMPLE), WATCHLIST, EnrichParams()).sentiment_milli.to_list()
    assert [score is not None for score in scores] == [True, False, True, False, False, False]
    assert scores[0] > 500
    assert scores[2] < -300


@pytest.mark.parametrize(
    ("expected", "detect"),
    [
        (["en", "de", "en", "fr", "", ""], "brands"),
        (["en", "", "", "fr", "", ""], "none"),
        (["en", "de", "en", "fr", "en", ""], "all"),
    ],
)
def test_language_is_detected_only_where_asked_and_nothing_was_stated(expected: list[str], detect: str) -> None:
    assert enrich(posts_frame(SAMPLE), WATCHLIST, EnrichParams(detect_language=detect)).lang.to_list() == expected  # type: ignore[arg-type]


def test_no_posts_give_empty_columns_of_the_same_types() -> None:
    empty, full = (enrich(posts_frame(posts), WATCHLIST, EnrichParams()) for posts in ([], SAMPLE))
    assert (empty.terms.frame().schema, empty.brands.schema) == (full.terms.frame().schema, full.brands.schema)
    assert (empty.lang.dtype, empty.sentiment_milli.dtype) == (full.lang.dtype, full.sentiment_milli.dtype)
    assert (len(empty.terms.rows), empty.brands.height, len(empty.lang), len(empty.sentiment_milli)) == (0, 0, 0, 0)


@pytest.mark.parametrize("wrong", [{"max_terms_per_post": 0}, {"max_term_chars": 0}, {"detect_language": "some"}])
def test_params_out_of_range_say_which(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        EnrichParams(**wrong)  # type: ignore[arg-type]
