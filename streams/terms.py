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

import secrets
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from streams.characters import character_flags
from streams.stopwords import STOP_WORDS
from streams.term_scan import choose, first_bytes, names, scan, settle_ties
from streams.text import Texts

ALL_POSTS = "all:posts"
TERMS = {"row": pl.UInt32(), "term": pl.String()}

_KINDS = (b"domain:", b"hashtag:", b"keyword:", b"mention:")  # as streams.term_scan numbers them
_PREFIXES = np.frombuffer(b"".join(_KINDS), dtype=np.uint8)
_PREFIX_STARTS = np.cumsum([0, *map(len, _KINDS)])
_STOP_TEXT = np.frombuffer((" ".join(sorted(STOP_WORDS)) + "\n").encode(), dtype=np.uint8)
_SEED = secrets.randbits(32)  # results do not depend on it, but nobody can send terms that all fall into one place of the table


@dataclass(frozen=True, slots=True)
class Occurrences:
    """Which terms stand in which text: the codes of each text in order of place, each once, one text after the other."""

    codes: npt.NDArray[np.uint32]
    """Position of the term in `vocabulary`."""
    ends: npt.NDArray[np.int64]
    """Where each text's codes end."""
    vocabulary: pl.Series
    """Distinct terms, sorted."""
    kind_starts: npt.NDArray[np.int64]
    """Where domains, hashtags, keywords and mentions begin in it, and where it ends."""

    @property
    def rows(self) -> npt.NDArray[np.int64]:
        """The text of each code."""
        return np.repeat(np.arange(self.ends.size), np.diff(self.ends, prepend=0))


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


def find_terms(texts: Texts, max_term_chars: int) -> Occurrences:
    """Hashtags, mentions, domains and keywords of the texts."""
    data, ends = np.concatenate([_STOP_TEXT, texts.data]), np.concatenate([[0], texts.ends + 1]) + _STOP_TEXT.size - 1
    found = scan(data, ends, character_flags(), max_term_chars, _SEED)
    terms = found.terms[found.stops :]
    keys = first_bytes(data, terms)
    order = np.argsort(keys)
    settle_ties(data, terms, keys, order)
    rank = np.empty(order.size, dtype=np.uint32)
    rank[order] = np.arange(order.size, dtype=np.uint32)
    said = names(data, terms, order, _PREFIXES, _PREFIX_STARTS).tobytes().decode()
    vocabulary = pl.Series(said.split("\n")[:-1], dtype=pl.String)
    starts = np.concatenate([[0], np.cumsum(np.bincount(terms[:, 0], minlength=len(_KINDS)))])
    return Occurrences(rank[found.ids - np.uint32(found.stops)], found.ends[1:], vocabulary, starts)


def post_terms(occurrences: Occurrences, brands: pl.DataFrame, max_terms: int) -> PostTerms:
    """The terms of each text, `all:posts` of every one and `brand:` of each row of `brands`, which is sorted by row and brand."""
    named = brands["brand"].unique().sort()
    vocabulary = pl.concat([pl.Series([ALL_POSTS]), "brand:" + named, occurrences.vocabulary])  # sorted: a < b < d < h < k < m
    brand_codes = named.search_sorted(brands["brand"]).to_numpy().astype(np.uint32) + np.uint32(1)
    brand_ends = np.cumsum(np.bincount(brands["row"].to_numpy(), minlength=occurrences.ends.size))
    shift = len(named) + 1
    ends, codes = occurrences.ends, occurrences.codes + np.uint32(shift)
    rows, chosen = choose(ends, codes, brand_ends, brand_codes, occurrences.kind_starts + shift, max_terms)
    return PostTerms(rows, chosen, vocabulary)
