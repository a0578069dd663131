"""What a moment is about, from a few of its posts: distinguishing words, where it is said, posts that show it.

Words are those that its posts hold more often than the usual talk (`log_odds`), never parts of the lead term; posts of one
cascade count three times at most. Samples hold the telling words, differ from each other, and are originals where there are any.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from schemas.moments import Sample, Word
from streams.log_odds import log_odds, phrases_first
from streams.posts import BY_HAND, Post, voices

MAX_WORDS = 10
MAX_SAMPLES = 5
MAX_TEXT = 280  # characters of a sample post
_MAX_ECHO = 80
_MAX_FACETS = 8
_MIN_SCORE = 1.0  # z; below, chance
_MIN_SHARE = 0.1  # of the posts: what fewer say, one of them said
_MIN_PHRASE, _PHRASE_SHARE = 3, 0.6  # posts that hold a phrase before it stands for its word
_SAME = 0.5  # shingles shared: a reader would call it the same post


class Explanation(msgspec.Struct, frozen=True):
    """The parts of a moment that come from its posts; empty where none could be read."""

    words: tuple[Word, ...] = ()
    samples: tuple[Sample, ...] = ()
    platforms: dict[str, int] = {}  # msgspec copies it
    languages: dict[str, int] = {}
    communities: dict[str, int] = {}
    cascade: int = 0  # posts that repeat the most repeated one
    echo: str = ""  # what that one says, in short
    posts: int = 0
    phrase: str = ""  # that the lead term, a word, mostly stands in


def explain(posts: Sequence[Post], own: Collection[str], usual: Mapping[str, float], talk: Mapping[str, float]) -> Explanation:
    """Explains posts of a moment; `own` are the words of its lead term, `usual` the talk of the lead term, `talk` that of all."""
    words = _words(posts, own, usual, talk)
    repeated = Counter(post.cascade for post in posts if post.cascade).most_common(1)
    return Explanation(
        words=words,
        samples=tuple(_sample(post) for post in representatives(posts, {word.text: word.score for word in words})),
        platforms=_facets(post.event.platform for post in posts),
        languages=_facets(post.event.lang for post in posts),
        communities=_facets(post.event.community for post in posts),
        cascade=repeated[0][1] if repeated else 0,
        echo=_echo(posts, repeated[0][0]) if repeated else "",
        posts=len(posts),
    )


def count_words(posts: Iterable[Post]) -> Counter[str]:
    """Posts that hold each word or phrase, those of one cascade three times at most."""
    return Counter(word for post in voices(posts) for word in post.words)


def phrase_of(posts: Sequence[Post], term: str) -> str:
    """The phrase of two words that most posts with the term hold, as in `chris wallace` for `keyword:wallace`; empty: none."""
    kind, _, word = term.partition(":")
    holding = voices(post for post in posts if post.holds(term)) if kind == "keyword" else []
    phrases = Counter(text for post in holding for text in post.words if " " in text and word in text.split())
    names = Counter(text for post in holding for text in phrases if post.names.issuperset(text.split()))
    phrase = max(phrases, key=lambda text: (phrases[text] + names[text], text), default="")
    return phrase if phrases[phrase] >= max(_MIN_PHRASE, _PHRASE_SHARE * len(holding)) else ""


def representatives(posts: Sequence[Post], worth: Mapping[str, float]) -> list[Post]:
    """At most five posts, best first: originals before replies before reposts, then by telling words; no two alike."""
    chosen: list[Post] = []
    for post in sorted((post for post in posts if post.event.text.strip()), key=lambda post: _rank(post, worth)):
        if len(chosen) < MAX_SAMPLES and not any(_alike(post, other) for other in chosen):
            chosen.append(post)
    return chosen


def plain(text: str, limit: int) -> str:
    """The text on one line without control characters, cut at the limit."""
    shown = " ".join("".join(c if c.isprintable() or c == "\u200d" else " " for c in text).split())
    return shown if len(shown) <= limit else shown[: limit - 1].rstrip() + "…"


def _words(posts: Sequence[Post], own: Collection[str], usual: Mapping[str, float], talk: Mapping[str, float]) -> tuple[Word, ...]:
    counts = count_words(posts)
    seen = Counter(word for post in posts for word in post.words)
    least = max(_MIN_SHARE * len(posts), 2 if len(posts) > 3 else 1)
    scores = log_odds(counts, usual, talk)
    telling = {word: z for word, z in scores.items() if seen[word] >= least and z >= _MIN_SCORE and not _is_own(word, own)}
    best = phrases_first(telling, counts)[:MAX_WORDS]
    return tuple(Word(text=text, posts=seen[text], score=round(score, 2)) for text, score in best)


def _echo(posts: Sequence[Post], cascade: str) -> str:
    text = next(post.event.text for post in posts if post.cascade == cascade)
    return plain(BY_HAND.sub("", text, count=1), _MAX_ECHO)


def _is_own(word: str, own: Collection[str]) -> bool:
    return any(part in own for part in word.split())  # `acme recall` says no more about acme than `recall`


def _rank(post: Post, worth: Mapping[str, float]) -> tuple[int, float, int, int, int]:
    """Sorts the most representative first; a very short post says little, however telling its words."""
    kind = 2 if post.cascade else 1 if post.event.kind == "reply" else 0
    telling = sum(worth[word] for word in sorted(post.words & worth.keys()))
    return kind, -round(telling, 6), not post.shingles, not post.event.url, post.ref.place_hash


def _alike(one: Post, other: Post) -> bool:
    if (one.cascade and one.cascade == other.cascade) or one.event.text == other.event.text:
        return True
    both, least = len(one.shingles & other.shingles), min(len(one.shingles), len(other.shingles))
    return both >= _SAME * least if least else one.spoken == other.spoken


def _sample(post: Post) -> Sample:
    event = post.event
    url = plain(event.url, 2_000) if event.url.startswith(("https://", "http://")) else ""  # a page may link to it
    return Sample(text=plain(event.text, MAX_TEXT), platform=event.platform, url=url, lang=event.lang, event_ms=event.created_ms)


def _facets(values: Iterable[str]) -> dict[str, int]:
    """How many posts have each known value, most frequent first."""
    counts = Counter(value for value in values if value)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_MAX_FACETS])
