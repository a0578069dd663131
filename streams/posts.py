"""Raw posts as curate looks at them: what they say, what they name, what they repeat. Same post, same digest.

Terms are those that ingest counts (`streams.terms`), but all of a post. Bounded: MAX_CHARS of each text are looked at.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

import polars as pl

from schemas.candidates import SampleRef
from schemas.events import Event
from streams.brands import CompiledWatchlist, find_brands
from streams.terms import find_terms
from streams.text import normalise, read_texts

MAX_CHARS = 2_000  # a longer text says the same again; the cost of a post is bounded by it
_MAX_TERM_CHARS = 100
_SHINGLE = 4  # characters: a swapped word leaves most of them, few are shared by chance
_MIN_COPY_CHARS = 28  # "goal!!!" and "we are the champions #final" are written by many people independently

_ELSEWHERE = re.compile(r"https?://\S+|@[\w.-]+")  # links and handles
BY_HAND = re.compile(r"\s*rt @\w+[:\s]*", re.IGNORECASE)  # how older archives write a repost
_TOKEN = re.compile(r"[#@]?[^\W_]+")
_NAME = re.compile(r"(?<=[\w,;:’')]) [“\"'(]?([A-Z]\w{2,})")  # not after a full stop, which begins a sentence
_NO_LETTER = re.compile(r"[\W\d_]+")
_CASCADE_VOICES = 3  # of a post reposted a hundred times every word would look typical
_JOINS = (" ", "-")  # what may stand between the words of a phrase


@dataclass(frozen=True, slots=True)
class Post:
    """The digest of one post; everything normalised."""

    ref: SampleRef
    event: Event
    terms: frozenset[str]  # `kind:value`
    words: frozenset[str]  # keywords, phrases of two of them, and #hashtags: what can explain something
    spoken: str  # all words in order, a blank before, between and after, so that ` phrase ` can be looked up
    cascade: str  # what it reposts; empty: a voice of its own
    names: frozenset[str]  # words with a capital letter that begin no sentence, in lower case
    shingles: frozenset[str]  # of the letters without links and handles; empty: too short to be called a copy

    def holds(self, term: str) -> bool:
        """Whether the post names the term; a keyword may be a phrase."""
        return term in self.terms or (term.startswith("keyword:") and f" {term[8:]} " in self.spoken)


def read_posts(events: Mapping[SampleRef, Event], watchlist: CompiledWatchlist) -> dict[SampleRef, Post]:
    """Digests of the posts, in the order of their references."""
    refs = sorted(events)
    if not refs:
        return {}
    texts = normalise(pl.Series([events[ref].text[:MAX_CHARS] for ref in refs], dtype=pl.String)).to_list()
    terms = _terms([_whole(events[ref]) for ref in refs], watchlist)
    return {ref: _digest(ref, events[ref], text, named) for ref, text, named in zip(refs, texts, terms, strict=True)}


def voices(posts: Iterable[Post]) -> list[Post]:
    """The posts, but of one cascade three at most: what many repeat is still one thing that was said."""
    heard: Counter[str] = Counter()
    kept = []
    for post in posts:
        heard[post.cascade] += 1
        if not post.cascade or heard[post.cascade] <= _CASCADE_VOICES:
            kept.append(post)
    return kept


def _terms(texts: list[str], watchlist: CompiledWatchlist) -> list[set[str]]:
    whole = read_texts(pl.Series(texts, dtype=pl.String))
    found = find_terms(whole, _MAX_TERM_CHARS)
    names = found.vocabulary.to_list()
    terms: list[set[str]] = [set() for _ in texts]
    for row, code in zip(found.rows.tolist(), found.codes.tolist(), strict=True):
        terms[row].add(names[code])
    for row, brand in find_brands(whole, found, watchlist).iter_rows():
        terms[row].add(f"brand:{brand}")
    return terms


def _whole(event: Event) -> str:
    """The text, and what the platform sent beside it as if it stood behind."""
    beside = [*(f"#{tag}" for tag in event.tags), *(f"@{handle}" for handle in event.mentions), *event.links]
    return " ".join([event.text[:MAX_CHARS], *beside])


def _digest(ref: SampleRef, event: Event, text: str, terms: set[str]) -> Post:
    by_hand = BY_HAND.match(text)
    own = _ELSEWHERE.sub(" | ", text[by_hand.end() :] if by_hand else text)
    tokens = list(_TOKEN.finditer(own))
    letters = _NO_LETTER.sub("", own)
    keywords = {term[8:] for term in terms if term.startswith("keyword:")}
    return Post(
        ref=ref,
        event=event,
        terms=frozenset(terms),
        words=frozenset(keywords | set(_phrases(own, tokens, keywords)) | {f"#{t[8:]}" for t in terms if t.startswith("hashtag:")}),
        spoken=f" {' '.join(token.group().lstrip('#@') for token in tokens)} ",
        cascade=_cascade(event, letters, by_hand is not None),
        names=_names(event.text[:MAX_CHARS]),
        shingles=_shingles(letters),
    )


def _names(text: str) -> frozenset[str]:
    said = [name.lower() for name in _NAME.findall(text)]
    return frozenset(said) if 2 * len(said) <= len(text.split()) else frozenset()  # HEADLINES And Titles name nothing


def _phrases(text: str, tokens: list[re.Match[str]], keywords: set[str]) -> Iterator[str]:
    for first, second in pairwise(tokens):
        if first.group() in keywords and second.group() in keywords and text[first.end() : second.start()] in _JOINS:
            yield f"{first.group()} {second.group()}"


def _cascade(event: Event, letters: str, by_hand: bool) -> str:
    if event.kind == "repost":
        return event.target_id or letters[:60] or event.id
    return letters[:60] or event.id if by_hand else ""


def _shingles(letters: str) -> frozenset[str]:
    if len(letters) < _MIN_COPY_CHARS:
        return frozenset()
    return frozenset(letters[i : i + _SHINGLE] for i in range(len(letters) - _SHINGLE + 1))
