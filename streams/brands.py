r"""Which posts name which brands: a function of the post's text and the watchlist, in every script, at the price of one scan.

A post names a brand if it holds one of its handles or hashtags (as `mention:` and `hashtag:` terms, exactly), or if an alias of it
counts. Texts, aliases and phrases are read as `streams.text` leaves them; a space of an alias is any white space of the text.

- An alias, exclude or context phrase *matches* wherever its characters stand in the text, links included, without a word going on
  beyond either end. A word goes on where the phrase's edge and the character beside it are both word characters (letters, marks,
  numbers, `_`), unless one of the two belongs to a script without spaces, or the one behind is Hangul (particles cling to names).
  So `#Acme` and `acme's` name `acme`; `acmeware` and `acme_x` do not.
- An alias match inside a match of an exclude phrase of that brand does not count: `apple pie` is no `apple`, but
  `Apple opens an apple pie shop` is. An exclude phrase that holds no alias itself (`fruit`) voids the whole post.
- With `context`, aliases count only in a post that holds at least one of its phrases. Handles and hashtags need no context.
- An alias that starts with '#' or '@' is a hashtag or a handle. A brand with neither alias, handle nor hashtag has its id as alias.
- A blank alias or phrase matches nothing.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl
import xxhash
from ahocorasick_rs import BytesAhoCorasick

from schemas.errors import ConfigurationError
from schemas.watchlist import Brand, encode_brand
from streams.terms import Occurrences
from streams.text import HANGUL, NO_SPACES, Texts, is_word_character, normalise

BRANDS = {"row": pl.UInt32(), "brand": pl.String()}

_Role = Literal["alias", "exclude", "void", "context"]
_Pair = tuple[int, int]  # row, position of the brand
_Integers = npt.NDArray[np.int64]
_Flags = npt.NDArray[np.bool_]
_NO_SPACES = re.compile(f"[{NO_SPACES}]")
_HANGUL = re.compile(f"[{HANGUL}]")
_ASCII_WORD = np.array([byte < 0x80 and is_word_character(chr(byte)) for byte in range(256)])


@dataclass(frozen=True, slots=True)
class CompiledWatchlist:
    """A watchlist ready to match; immutable, safe to share between threads."""

    brands: tuple[Brand, ...]  # sorted by id
    version: int  # hash of the content: same brands, same version
    phrases: tuple[str, ...]  # every distinct alias, exclude and context phrase, normalised
    roles: tuple[tuple[tuple[int, _Role], ...], ...]  # per phrase: (position in `brands`, what it means to that brand)
    tags: Mapping[str, tuple[int, ...]]  # term of a handle or hashtag: positions in `brands`
    simple: _Flags  # per phrase: is it an alias only, of brands without exclude and context
    joins: tuple[_Flags, _Flags]  # per phrase: is its first, its last character one that joins words
    matcher: BytesAhoCorasick | None


def compile_watchlist(brands: Sequence[Brand]) -> CompiledWatchlist:
    """The watchlist ready to match; raises ConfigurationError if an id comes twice."""
    ordered = tuple(sorted(brands, key=lambda brand: brand.id))
    if len({brand.id for brand in ordered}) != len(ordered):
        raise ConfigurationError("watchlist holds a brand id twice")
    read = _reader(ordered)
    roles: dict[str, list[tuple[int, _Role]]] = defaultdict(list)
    tags: dict[str, list[int]] = defaultdict(list)
    for position, brand in enumerate(ordered):
        for term in read.tags(brand):
            tags[term].append(position)
        for phrase, role in read.phrases(brand):
            roles[phrase].append((position, role))
    phrases = tuple(sorted(roles))
    return CompiledWatchlist(
        brands=ordered,
        version=xxhash.xxh3_64_intdigest(b"\n".join(encode_brand(brand) for brand in ordered)),
        phrases=phrases,
        roles=tuple(tuple(roles[phrase]) for phrase in phrases),
        tags={term: tuple(positions) for term, positions in tags.items()},
        simple=_flags(all(not (ordered[at].exclude or ordered[at].context) for at, _ in roles[phrase]) for phrase in phrases),
        joins=(_flags(_joins(phrase[0], "a") for phrase in phrases), _flags(_joins(phrase[-1], "a") for phrase in phrases)),
        matcher=BytesAhoCorasick([phrase.encode() for phrase in phrases]) if phrases else None,
    )


def find_brands(texts: Texts, occurrences: Occurrences, watchlist: CompiledWatchlist) -> pl.DataFrame:
    """Distinct (row, brand id) of BRANDS that the normalised texts and their terms name, sorted."""
    named, void = _by_phrase(texts, watchlist)
    named.update(_by_tag(occurrences, watchlist))
    pairs = sorted(named - void)  # brands are sorted by id, so positions sort as ids do
    ids = [brand.id for brand in watchlist.brands]
    return pl.DataFrame({"row": [row for row, _ in pairs], "brand": [ids[position] for _, position in pairs]}, schema=BRANDS)


@dataclass(frozen=True, slots=True)
class _Reader:
    """What brands say, as texts are read."""

    normalised: dict[str, str]

    def tags(self, brand: Brand) -> set[str]:
        """The terms of its handles and hashtags."""
        handles = self._distinct([*brand.handles, *(alias for alias in brand.aliases if alias[:1] == "@")])
        hashtags = self._distinct([*brand.hashtags, *(alias for alias in brand.aliases if alias[:1] == "#")])
        return {"mention:" + each.lstrip("@") for each in handles} | {"hashtag:" + each.lstrip("#") for each in hashtags}

    def phrases(self, brand: Brand) -> list[tuple[str, _Role]]:
        """Its aliases, exclude and context phrases, each with its role."""
        own = brand.aliases if brand.aliases or brand.handles or brand.hashtags else (brand.id,)
        aliases = self._distinct([alias for alias in own if alias[:1] not in ("#", "@")])
        exclude, context = self._distinct(brand.exclude), self._distinct(brand.context)
        inner = {phrase for phrase in exclude if any(_occurs(alias, phrase) for alias in aliases)}
        found: list[tuple[str, _Role]] = [(phrase, "alias") for phrase in aliases]
        found += [(phrase, "exclude" if phrase in inner else "void") for phrase in exclude]
        return found + [(phrase, "context") for phrase in context]

    def _distinct(self, phrases: Sequence[str]) -> list[str]:
        return sorted({self.normalised[phrase] for phrase in phrases} - {""})


def _reader(brands: Sequence[Brand]) -> _Reader:
    """Reads all phrases at once: a call per phrase would take 0.5 s for 1,000 brands."""
    said = sorted({each for b in brands for each in (b.id, *b.aliases, *b.handles, *b.hashtags, *b.exclude, *b.context)})
    read = normalise(pl.Series(said, dtype=pl.String)).str.strip_chars()
    return _Reader(dict(zip(said, read.to_list(), strict=True)))


def _flags(values: Iterable[bool]) -> _Flags:
    return np.fromiter(values, dtype=np.bool_)


def _occurs(phrase: str, text: str) -> bool:
    """Whether a phrase matches within another one."""
    starts = (start for start in range(len(text)) if text.startswith(phrase, start))
    return any(
        not (_joins(phrase[0], text[:start][-1:]) or _runs_on(phrase[-1], text[start + len(phrase) :][:1])) for start in starts
    )


def _by_phrase(texts: Texts, watchlist: CompiledWatchlist) -> tuple[set[_Pair], set[_Pair]]:
    """The (row, brand position) that aliases name, and those that an exclude phrase voids."""
    rows, phrases, starts, ends = _matches(texts, watchlist)
    alone = watchlist.simple[phrases]
    once = np.unique(np.stack([rows[alone], phrases[alone]]), axis=1)  # where nothing but the fact counts, a post's matches are one
    named = {(row, at) for row, phrase in once.T.tolist() for at, _ in watchlist.roles[phrase]}
    guarded: dict[_Pair, list[tuple[_Role, int, int]]] = defaultdict(list)
    for row, phrase, start, end in zip(*(each[~alone].tolist() for each in (rows, phrases, starts, ends)), strict=True):
        for at, role in watchlist.roles[phrase]:
            guarded[row, at].append((role, start, end))
    void = {pair for pair, found in guarded.items() if any(role == "void" for role, _, _ in found)}
    named |= {(row, at) for (row, at), found in guarded.items() if _counts(found, bool(watchlist.brands[at].context))}
    return named, void


def _counts(found: list[tuple[_Role, int, int]], needs_context: bool) -> bool:
    """Whether an alias match lies outside all exclude matches, with context where it is needed."""
    if needs_context and all(role != "context" for role, _, _ in found):
        return False
    covers = sorted((start, end) for role, start, end in found if role == "exclude")
    starts = [start for start, _ in covers]
    reach = list(accumulate((end for _, end in covers), max))  # furthest end of the matches that start no later
    for role, start, end in found:
        at = bisect_right(starts, start)
        if role == "alias" and (at == 0 or reach[at - 1] < end):
            return True
    return False


def _by_tag(occurrences: Occurrences, watchlist: CompiledWatchlist) -> set[_Pair]:
    terms = occurrences.vocabulary
    known = terms.is_in(pl.Series(sorted(watchlist.tags), dtype=pl.String).implode()).to_numpy()
    at = np.flatnonzero(known[occurrences.codes])
    pairs = zip(occurrences.rows[at].tolist(), terms.gather(occurrences.codes[at]).to_list(), strict=True)
    return {(row, position) for row, term in pairs for position in watchlist.tags[term]}


def _matches(texts: Texts, watchlist: CompiledWatchlist) -> _Integers:
    """Row, phrase, start and end (bytes in the joined texts) of every whole match, as four rows."""
    if watchlist.matcher is None or not texts.ends.size:
        return np.empty((4, 0), dtype=np.int64)
    joined = b"\n" + texts.data.tobytes()
    found = np.array(watchlist.matcher.find_matches_as_indexes(joined, overlapping=True), dtype=np.int64).reshape(-1, 3)
    phrases, starts, ends = found.T
    before = _goes_on(joined, starts - 1, watchlist.joins[0][phrases], in_front=True)
    behind = _goes_on(joined, ends, watchlist.joins[1][phrases], in_front=False)
    phrases, starts, ends = found[~before & ~behind].T
    return np.stack([np.searchsorted(texts.ends, starts - 1), phrases, starts, ends])


def _goes_on(joined: bytes, at: _Integers, edge_joins: _Flags, *, in_front: bool) -> _Flags:
    """Whether a word goes on beyond the edge of each match; `at` is the byte beyond it."""
    beside = np.frombuffer(joined, dtype=np.uint8)[at]
    goes_on: _Flags = edge_joins & _ASCII_WORD[beside]
    for index in np.flatnonzero(edge_joins & (beside >= 0x80)).tolist():
        place = int(at[index])
        if in_front:
            goes_on[index] = _joins("a", joined[max(0, place - 3) : place + 1].decode(errors="ignore")[-1:])
        else:
            goes_on[index] = _runs_on("a", joined[place : place + 4].decode(errors="ignore")[:1])
    return goes_on


def _joins(edge: str, beside: str) -> bool:
    """Whether a word goes on from one character to the other: both are word characters of scripts with spaces."""
    return all(c != "" and is_word_character(c) and not _NO_SPACES.match(c) for c in (edge, beside))


def _runs_on(edge: str, behind: str) -> bool:
    return _joins(edge, behind) and not _HANGUL.match(behind)
