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
_PLAIN_URL = r"^https?://[a-z0-9]+(?:[.-]+[a-z0-9]+)*(?:[/?#][!-~--[\"<>]]*)?$"
_MENTION = rf"^@({_HANDLE}(?:@{_HANDLE})?)(?:$|[#@&{NO_SPACES}{HANGUL}])"

_EDGES = "!\"$%'()*+,-./:;<=>?[\\]^`{|}~"  # ASCII without what a chunk can hold
_SHORTEST = 2  # bytes of text that can hold a term: `#a`
_MAX_SPACELESS_CHARS = 512  # finding the n-th character costs n, so a run of 20,000 would cost 200 ms
# (script, how many neighbours make a term)
_NEIGHBOURS = ((HAN, 2), (SOUTH_EAST, 4))
_STOP_WORDS = pl.Series(sorted(STOP_WORDS))


@dataclass(frozen=True, slots=True)
class Occurrences:
    """Which terms stand in which rows: parallel arrays in no order, repeats included."""

    rows: npt.NDArray[np.uint32]
    codes: npt.NDArray[np.uint32]
    """Position of the term in `vocabulary`."""
    places: npt.NDArray[np.uint32]
    """Ascending with the place in the row's text; terms between the same two spaces share it, and come in order."""
    vocabulary: pl.Series
    """Distinct terms, sorted."""


@dataclass(frozen=True, slots=True)
class PostTerms:
    """Which post has which terms, each once: parallel arrays, sorted by row, then by code."""

    rows: npt.NDArray[np.uint32]
    codes: npt.NDArray[np.uint32]
    """Position of the term in `vocabulary`."""
    vocabulary: pl.Series
    """Distinct terms, sorted; some may be of no post."""

    def frame(self) -> pl.DataFrame:
        """The same as rows of TERMS."""
        return pl.DataFrame({"row": self.rows, "term": self.vocabulary.gather(self.codes)}, schema=TERMS)

    def only(self, posts: npt.NDArray[np.bool_]) -> PostTerms:
        """The terms of those posts."""
        kept = posts[self.rows]
        return self if kept.all() else PostTerms(self.rows[kept], self.codes[kept], self.vocabulary)


def find_terms(texts: pl.Series, max_term_chars: int) -> Occurrences:
    """Hashtags, mentions, domains and keywords of normalised texts.

    No chunk holds white space, so each distinct piece between spaces is looked into once: posts repeat each other's words.
    """
    rows = pl.DataFrame({"row": np.arange(len(texts), dtype=np.uint32), "text": texts.rename("text").str.split(" ")})
    pieces = rows.explode("text").filter(pl.col("text").str.len_bytes() >= _SHORTEST)
    distinct = pieces.select("text", at=pl.int_range(pl.len(), dtype=pl.UInt32)).group_by("text").agg("at")
    found = _terms_of_pieces(distinct["text"], max_term_chars)
    vocabulary = found["term"].unique().sort()
    codes = pl.DataFrame({"term": vocabulary, "code": np.arange(len(vocabulary), dtype=np.uint32)})
    at = distinct["at"].gather(found["number"])
    placed = found.join(codes, on="term", maintain_order="left").select("code", at=at).explode("at")
    places = placed["at"].to_numpy()
    return Occurrences(pieces["row"].to_numpy()[places], placed["code"].to_numpy(), places, vocabulary)


def post_terms(occurrences: Occurrences, brands: pl.DataFrame, posts: int, max_terms: int) -> PostTerms:
    """The terms of each of `posts` rows, with `all:posts` for every row and `brand:` for each row of `brands`."""
    named = brands["brand"].unique().sort()
    vocabulary = pl.concat([pl.Series([ALL_POSTS]), "brand:" + named, occurrences.vocabulary])  # sorted: a < b < d < h < k < m
    brand_codes = named.search_sorted(brands["brand"]).to_numpy().astype(np.uint32) + np.uint32(1)
    shifted = occurrences.codes + np.uint32(len(named) + 1)
    brand_rows = brands["row"].to_numpy()
    keys = _keys(
        np.concatenate([np.arange(posts, dtype=np.uint32), brand_rows, occurrences.rows]),
        np.concatenate([np.zeros(posts, np.uint32), brand_codes, shifted]),
    )
    distinct = _distinct(keys)
    counts = np.bincount(_row_of(distinct), minlength=posts)
    if counts.max(initial=0) > max_terms:
        crowded = counts > max_terms
        order = np.argsort(occurrences.places[crowded[occurrences.rows]], kind="stable")
        in_order = np.concatenate(
            [keys[: posts + len(brand_rows)], keys[posts + len(brand_rows) :][crowded[occurrences.rows]][order]]
        )
        kept = _first_terms(in_order[crowded[_row_of(in_order)]], vocabulary, max_terms)
        distinct = np.sort(np.concatenate([distinct[~crowded[_row_of(distinct)]], kept]))
    return PostTerms(_row_of(distinct).astype(np.uint32), distinct.astype(np.uint32), vocabulary)


def _keys(rows: npt.NDArray[np.uint32], codes: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint64]:
    return (rows.astype(np.uint64) << np.uint64(32)) | codes


def _distinct(keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Sorted; np.unique takes ten times as long."""
    ordered = np.sort(keys)
    return ordered[np.concatenate([[True], ordered[1:] != ordered[:-1]])] if ordered.size else ordered


def _row_of(keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    return (keys >> np.uint64(32)).astype(np.int64)


def _first_terms(keys: npt.NDArray[np.uint64], vocabulary: pl.Series, max_terms: int) -> npt.NDArray[np.uint64]:
    """Of each row the `max_terms` distinct keys that come first by kind, then by place; keys come in order of place."""
    frame = pl.DataFrame({"row": _row_of(keys), "key": keys}).unique(maintain_order=True)
    kind = vocabulary.gather(frame["key"].to_numpy().astype(np.uint32)).str.extract("^([a-z]+):")
    frame = frame.with_columns(kind.replace_strict(list(_KINDS), list(range(len(_KINDS)))).alias("kind"))
    return frame.sort("row", "kind", maintain_order=True).group_by("row", maintain_order=True).head(max_terms)["key"].to_numpy()


def _terms_of_pieces(pieces: pl.Series, max_term_chars: int) -> pl.DataFrame:
    """Every term (`term`) of every piece (`number`, its position), in order of place within the piece.

    Most pieces are a word, a handle, a hashtag or a url and nothing else, and need no cutting into chunks.
    """
    table = pl.DataFrame({"number": np.arange(len(pieces), dtype=np.uint32), "value": pieces})
    bare = pl.col("value").str.strip_chars(_EDGES)  # what is cut off is part of no term, but for urls
    table = table.with_columns(bare=bare, has_url=pl.col("value").str.contains("://", literal=True))
    is_word = ~table["bare"].str.contains("[^a-z0-9]") & ~table["has_url"]
    rest = table.filter(~is_word).with_columns(
        tag=pl.when(~pl.col("has_url")).then(pl.col("bare").str.extract("^([#@][a-z0-9_]+)$")),
        is_url=pl.col("has_url") & pl.col("value").str.contains(_PLAIN_URL),
    )
    tags, urls = rest.filter(pl.col("tag").is_not_null()), rest.filter("is_url")
    is_hashtag = pl.col("tag").str.starts_with("#")
    name = pl.col("tag").str.slice(1).alias("value")
    kinds = {
        "keyword": _keywords(table.filter(is_word).select("number", value="bare")),
        "hashtag": tags.filter(is_hashtag).select("number", name).filter(pl.col("value").str.contains("[a-z]")),
        "mention": tags.filter(~is_hashtag).select("number", name),
        "domain": urls.select("number", pl.col("value").str.extract(_HOST)).filter(pl.col("value").str.contains(".", literal=True)),
    }
    plain = [_named(kind, found, max_term_chars) for kind, found in kinds.items()]
    others = rest.filter(pl.col("tag").is_null() & ~pl.col("is_url"))
    chunks = _chunks(others["value"])
    found = _terms_of_chunks(chunks["chunk"], max_term_chars).sort("number", maintain_order=True)
    of_piece = others["number"].gather(chunks["row"].gather(found["number"]))
    return pl.concat([*plain, found.with_columns(number=of_piece)])


def _named(kind: str, found: pl.DataFrame, max_term_chars: int) -> pl.DataFrame:
    value = pl.col("value")
    return found.filter(value.str.len_chars() <= max_term_chars).select("number", term=pl.lit(f"{kind}:") + value)


def _chunks(texts: pl.Series) -> pl.DataFrame:
    frame = pl.DataFrame({"row": pl.int_range(len(texts), dtype=pl.UInt32, eager=True), "chunk": texts})
    text = pl.col("chunk")
    ascii_only = text.str.len_bytes() == text.str.len_chars()
    apart = text.str.replace_all(rf"([{NO_SPACES}])(https?://)", "${1} ${2}")
    plain = frame.filter(ascii_only).with_columns(text.str.extract_all(_ASCII_CHUNK))
    other = frame.filter(~ascii_only).with_columns(apart.str.extract_all(_CHUNK))
    return pl.concat([plain.explode("chunk").drop_nulls(), other.explode("chunk").drop_nulls()])


def _terms_of_chunks(chunks: pl.Series, max_term_chars: int) -> pl.DataFrame:
    """Every term (`term`) of every chunk (`number`, its position)."""
    frame = pl.DataFrame({"number": np.arange(len(chunks), dtype=np.uint32), "value": chunks})
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
    return pl.concat([_named(kind, found.select("number", "value"), max_term_chars) for kind, found in kinds.items()])


def _pieces(runs: pl.DataFrame) -> pl.DataFrame:
    """Runs cut before each sign: `signs` and the word characters `value` behind them; `first` in its run or not."""
    cut = runs.with_columns(pl.col("value").str.extract_all(_PIECE)).explode("value").drop_nulls()
    signs = pl.col("value").str.extract("^([#@&]*)")
    return cut.with_columns(
        signs=signs, value=pl.col("value").str.strip_chars_start("#@&"), first=pl.col("number").is_first_distinct()
    )


def _hashtags(pieces: pl.DataFrame) -> pl.DataFrame:
    before = pl.when("first").then(pl.col("signs").str.contains("(?:^|[#@])#$")).otherwise(pl.col("signs").str.contains("[#@]#$"))
    return pieces.filter(before & pl.col("value").str.contains(r"\p{L}")).select("number", "value")


def _words(pieces: pl.DataFrame) -> pl.DataFrame:
    free = pieces.filter(~pl.col("signs").str.contains("[#@]$"))
    words = free.select("number", pl.col("value").str.extract_all(_LETTERS)).explode("value").drop_nulls().with_row_index("place")
    if not words["value"].str.contains(f"^[{NO_SPACES}]").any():
        return words.select("number", "value")
    for script, size in _NEIGHBOURS:
        inside = pl.col("value").str.contains(rf"^[{script}]")
        words = pl.concat([words.filter(~inside), _neighbours(words.filter(inside), size)])
    return words.sort("place", maintain_order=True).select("number", "value")


def _neighbours(runs: pl.DataFrame, size: int) -> pl.DataFrame:
    starts = pl.int_ranges(0, pl.col("value").str.len_chars().cast(pl.Int64) - size + 1)
    apart = (
        runs.with_columns(pl.col("value").str.head(_MAX_SPACELESS_CHARS)).with_columns(start=starts).explode("start").drop_nulls()
    )
    return apart.select("place", "number", pl.col("value").str.slice(pl.col("start"), size))


def _keywords(words: pl.DataFrame) -> pl.DataFrame:
    value = pl.col("value")
    long_enough = (value.str.len_chars() >= 3) | value.str.contains("^[\u1100-\U0010ffff]{2}$")
    return words.filter(long_enough & ~value.is_in(_STOP_WORDS.implode()) & value.str.contains(r"\p{L}"))
