r"""The terms of a post: a function of its text alone, each at most once per post, and few enough to be safe with hostile input.

Texts are read as `streams.text.read_posts` leaves them; a *word character* (w) is what it says there. A text is cut into chunks
from left to right; at each place the first of these that fits:

    url      https?:// and all up to white space, '"', '<', '>' or East and South-East Asian script
    handle   @H or @H@H, where H is [a-z0-9_]+ with single inner '.' or '-', and word characters, '#', '@' and '&' glued behind
    run      a maximal run of word characters, '#', '@' and '&'; it ends where a script without spaces meets a url

- `domain:` of a url: the host without user, port, leading `www.` and trailing dots; it must hold an inner dot.
- `mention:` of a handle: its @H or @H@H without the first '@', unless a letter is glued to it (other than of scripts without
  spaces and Hangul): `@josé` is not `jos`.
- `hashtag:` of a run: '#' with the word characters behind it, unless a word character or '&' stands before; it holds a letter.
- `keyword:` of a run without its `#w+` and `@w+`: maximal runs of letters, marks and numbers, also split where scripts without
  spaces begin or end. A keyword holds a letter, has 3 characters or more (2 if both are U+1100 or above: Hangul, Kana), and is
  no stop word (`streams.stopwords`). Apostrophes separate. Scripts without spaces have no words to see: a run of Katakana is one
  word, of Han every two, of Thai, Lao, Khmer and Myanmar every four neighbours among its first 512 characters; Hiragana, mostly
  grammar, is skipped.
- Values longer than `max_term_chars` are no terms. Of a post with more than `max_terms_per_post` terms those remain that come
  first by kind (all, brand, hashtag, mention, domain, keyword), then by place in the text.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from streams.stopwords import STOP_WORDS
from streams.text import HAN, HANGUL, KATAKANA, NO_SPACES, SOUTH_EAST

ALL_POSTS = "all:posts"
_KINDS = ("all", "brand", "hashtag", "mention", "domain", "keyword")  # which terms a crowded post keeps
TERMS = {"row": pl.UInt32(), "term": pl.String()}

_HANDLE = r"[a-z0-9_]+(?:[.-][a-z0-9_]+)*"
_URL = r'https?://[^\s"<>\x{e00}-\x{eff}\x{1000}-\x{109f}\x{1780}-\x{17ff}\x{2e80}-\x{d7ff}\x{20000}-\x{3ffff}]+'
_WORD = r"\p{L}\p{M}\p{N}_"
_RUN = rf"[{_WORD}#@&]"
_CHUNK = rf"{_URL}|@{_HANDLE}(?:@{_HANDLE})?{_RUN}*|{_RUN}+"
# The same for ASCII, where runs that can hold no term (one or two letters) need not be found.
_ASCII_CHUNK = rf'https?://[^\s"<>]+|@{_HANDLE}(?:@{_HANDLE})?[a-z0-9_#@&]*|[#@&_][a-z0-9_#@&]+|[a-z0-9_#@&]{{3,}}'
_PIECE = rf"[#@&]*[{_WORD}]+"
_LETTERS = rf"[{HAN}]+|[{KATAKANA}]+|[{SOUTH_EAST}]+|[\p{{L}}\p{{M}}\p{{N}}--[{NO_SPACES}]]+"
_HOST = rf"^https?://(?:[^/?#]*@)?(?:www\.)?([{_WORD}](?:[{_WORD}.-]*[{_WORD}])?)"
_MENTION = rf"^@({_HANDLE}(?:@{_HANDLE})?)(?:$|[#@&{NO_SPACES}{HANGUL}])"

_MAX_SPACELESS_CHARS = 512  # finding the n-th character costs n, so a run of 20,000 would cost 200 ms
# (script, how many neighbours make a term)
_NEIGHBOURS = ((HAN, 2), (SOUTH_EAST, 4))
_STOP_WORDS = pl.Series(sorted(STOP_WORDS))


@dataclass(frozen=True, slots=True)
class Occurrences:
    """Which terms stand in which rows: parallel arrays, each row in order of place, repeats included."""

    rows: npt.NDArray[np.uint32]
    codes: npt.NDArray[np.uint32]
    """Position of the term in `vocabulary`."""
    vocabulary: pl.Series
    """Distinct terms, sorted."""


def find_terms(texts: pl.Series, max_term_chars: int) -> Occurrences:
    """Hashtags, mentions, domains and keywords of normalised texts."""
    chunks = _chunks(texts)
    found = _terms_of_chunks(chunks["chunk"].unique(), max_term_chars)
    vocabulary = found["term"].unique().sort()
    codes = vocabulary.rename("term").to_frame().with_row_index("code")
    lookup = found.join(codes, on="term", maintain_order="left").select("chunk", "code")
    placed = chunks.join(lookup, on="chunk", maintain_order="left_right")
    return Occurrences(placed["row"].to_numpy(), placed["code"].to_numpy(), vocabulary)


def term_table(occurrences: Occurrences, brands: pl.DataFrame, posts: int, max_terms: int) -> pl.DataFrame:
    """Distinct (row, term) of TERMS, sorted, with `all:posts` for each of `posts` rows and `brand:` for each row of `brands`."""
    named = brands["brand"].unique().sort()
    vocabulary = pl.concat([pl.Series([ALL_POSTS]), "brand:" + named, occurrences.vocabulary])  # sorted: a < b < d < h < k < m
    brand_codes = named.search_sorted(brands["brand"]).to_numpy().astype(np.uint32) + np.uint32(1)
    rows = np.concatenate([np.arange(posts, dtype=np.uint32), brands["row"].to_numpy(), occurrences.rows])
    codes = np.concatenate([np.zeros(posts, np.uint32), brand_codes, occurrences.codes + np.uint32(len(named) + 1)])
    keys = (rows.astype(np.uint64) << np.uint64(32)) | codes
    distinct = np.unique(keys)
    counts = np.bincount(_row_of(distinct), minlength=posts)
    if counts.max(initial=0) > max_terms:
        crowded = counts > max_terms
        kept = _first_terms(keys[crowded[_row_of(keys)]], vocabulary, max_terms)
        distinct = np.sort(np.concatenate([distinct[~crowded[_row_of(distinct)]], kept]))
    return pl.DataFrame(
        {"row": _row_of(distinct).astype(np.uint32), "term": vocabulary.gather(distinct.astype(np.uint32))}, schema=TERMS
    )


def _row_of(keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    return (keys >> np.uint64(32)).astype(np.int64)


def _first_terms(keys: npt.NDArray[np.uint64], vocabulary: pl.Series, max_terms: int) -> npt.NDArray[np.uint64]:
    """Of each row the `max_terms` distinct keys that come first by kind, then by place; keys come in order of place."""
    frame = pl.DataFrame({"row": _row_of(keys), "key": keys}).unique(maintain_order=True)
    kind = vocabulary.gather(frame["key"].to_numpy().astype(np.uint32)).str.extract("^([a-z]+):")
    frame = frame.with_columns(kind.replace_strict(list(_KINDS), list(range(len(_KINDS)))).alias("kind"))
    return frame.sort("row", "kind", maintain_order=True).group_by("row", maintain_order=True).head(max_terms)["key"].to_numpy()


def _chunks(texts: pl.Series) -> pl.DataFrame:
    frame = pl.DataFrame({"row": pl.int_range(len(texts), dtype=pl.UInt32, eager=True), "chunk": texts})
    text = pl.col("chunk")
    ascii_only = text.str.len_bytes() == text.str.len_chars()
    apart = text.str.replace_all(rf"([{NO_SPACES}])(https?://)", "${1} ${2}")
    plain = frame.filter(ascii_only).with_columns(text.str.extract_all(_ASCII_CHUNK))
    other = frame.filter(~ascii_only).with_columns(apart.str.extract_all(_CHUNK))
    return pl.concat([plain.explode("chunk").drop_nulls(), other.explode("chunk").drop_nulls()])


def _terms_of_chunks(chunks: pl.Series, max_term_chars: int) -> pl.DataFrame:
    """Every term of every distinct chunk, in order of place within the chunk."""
    frame = pl.DataFrame({"chunk": chunks, "value": chunks})
    value = pl.col("value")
    is_url = value.str.starts_with("http") & value.str.contains("://", literal=True)
    is_plain = ~value.str.contains(rf"[#@&_:{NO_SPACES}]")
    urls, rest = frame.filter(is_url), frame.filter(~is_url & ~is_plain)
    is_handle = value.str.contains(rf"^@{_HANDLE}")
    handles, pieces = rest.filter(is_handle), _pieces(rest.filter(~is_handle))
    kinds = {
        "hashtag": _hashtags(pieces),
        "mention": handles.with_columns(value.str.extract(_MENTION)),
        "domain": urls.with_columns(value.str.extract(_HOST)).filter(value.str.contains(".", literal=True)),
        "keyword": _keywords(pl.concat([frame.filter(is_plain), _words(pieces)])),
    }
    found = pl.concat([t.select("chunk", "value", term=pl.lit(f"{kind}:") + value) for kind, t in kinds.items()])
    return found.filter(value.str.len_chars() <= max_term_chars).select("chunk", "term")


def _pieces(runs: pl.DataFrame) -> pl.DataFrame:
    """Runs cut before each sign: `signs` and the word characters `value` behind them; `first` in its run or not."""
    cut = runs.with_columns(pl.col("value").str.extract_all(_PIECE)).explode("value").drop_nulls()
    signs = pl.col("value").str.extract("^([#@&]*)")
    return cut.with_columns(
        signs=signs, value=pl.col("value").str.strip_chars_start("#@&"), first=pl.col("chunk").is_first_distinct()
    )


def _hashtags(pieces: pl.DataFrame) -> pl.DataFrame:
    before = pl.when("first").then(pl.col("signs").str.contains("(?:^|[#@])#$")).otherwise(pl.col("signs").str.contains("[#@]#$"))
    return pieces.filter(before & pl.col("value").str.contains(r"\p{L}")).select("chunk", "value")


def _words(pieces: pl.DataFrame) -> pl.DataFrame:
    free = pieces.filter(~pl.col("signs").str.contains("[#@]$"))
    words = free.select("chunk", pl.col("value").str.extract_all(_LETTERS)).explode("value").drop_nulls().with_row_index("place")
    if not words["value"].str.contains(f"^[{NO_SPACES}]").any():
        return words.select("chunk", "value")
    for script, size in _NEIGHBOURS:
        inside = pl.col("value").str.contains(rf"^[{script}]")
        words = pl.concat([words.filter(~inside), _neighbours(words.filter(inside), size)])
    return words.sort("place", maintain_order=True).select("chunk", "value")


def _neighbours(runs: pl.DataFrame, size: int) -> pl.DataFrame:
    starts = pl.int_ranges(0, pl.col("value").str.len_chars().cast(pl.Int64) - size + 1)
    apart = (
        runs.with_columns(pl.col("value").str.head(_MAX_SPACELESS_CHARS)).with_columns(start=starts).explode("start").drop_nulls()
    )
    return apart.select("place", "chunk", pl.col("value").str.slice(pl.col("start"), size))


def _keywords(words: pl.DataFrame) -> pl.DataFrame:
    value = pl.col("value")
    long_enough = (value.str.len_chars() >= 3) | value.str.contains("^[\u1100-\U0010ffff]{2}$")
    return words.filter(long_enough & ~value.is_in(_STOP_WORDS.implode()) & value.str.contains(r"\p{L}"))
