"""Posts to make others from: as recorded where the recordings are, else invented with the statistics that are kept of them.

A post is a *shape*: its text with gaps where words stood that hardly any other post has. Each event fills them with words of its
own, so that terms of the long tail do not repeat just because texts do.
"""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import msgspec

from tests.benchmarks.statistics import Statistics, stored_statistics

RECORDINGS = Path(__file__).resolve().parents[3] / "shared" / "data"
RARE_POSTS = 3  # a word of so many posts or fewer is of the long tail
_WORD = re.compile(r"\w{3,}")
_WORDS_APART = re.compile(r"(?<![#@/.&\w])[A-Za-z]{3,}(?!\w|\.\w|@)|(?<=#)[A-Za-z]{3,}(?!\w)")
_INVENTED = 20_000
_SYLLABLES = [consonant + vowel for consonant in "bdfgklmnprstvz" for vowel in "aeiou"]


class Post(NamedTuple):
    """What a shape is made of."""

    platform: str
    text: str
    lang: str
    repost_of_author: str
    reply: bool
    community: str


class Shape(NamedTuple):
    """A post in canonical JSON, but for what is each event's own."""

    pieces: tuple[str, ...]
    """JSON of the text between the gaps, without quotes around it."""
    rest: str
    """JSON of the fields that all events of this shape share, beginning with a comma."""


@dataclass(frozen=True)
class Corpus:
    """Shapes, and where they are from."""

    source: str  # "recorded posts" or "invented posts"
    shapes: list[Shape]
    common_words: int  # words that are not of the long tail: the tail's ranks begin there


def load_corpus(recordings: Path = RECORDINGS) -> Corpus:
    """The recorded posts, or invented ones with the same statistics."""
    if posts := list(recorded_posts(recordings)):
        return make_corpus(f"recorded posts ({len(posts):,})", posts)
    posts = list(invent_posts(stored_statistics(), _INVENTED, seed=1))
    return make_corpus(f"invented posts ({len(posts):,}) with the statistics of recorded ones", posts)


def make_corpus(source: str, posts: Sequence[Post]) -> Corpus:
    """The shapes of posts."""
    found = Counter(word for post in posts for word in set(_WORD.findall(post.text.lower())))
    rare = {word for word, count in found.items() if count <= RARE_POSTS}
    return Corpus(source, [_shape(post, rare) for post in posts], len(found) - len(rare))


def recorded_posts(place: Path) -> Iterator[Post]:
    """All recorded posts; none if they are not there."""
    for file in sorted(place.glob("*.ndjson.gz")):
        with gzip.open(file, "rb") as lines:
            for line in lines:
                yield _recorded(msgspec.json.decode(line))


def invent_posts(statistics: Statistics, count: int, seed: int) -> Iterator[Post]:
    """Posts of invented words, as long, as repetitive and as full of tags, handles and links as the statistics say."""
    rng = Random(seed)
    rank_of = [tail_word(rank) for rank in range(statistics.common_words)]
    weights = statistics.common_weights()
    texts: list[str] = []
    for _ in range(count):
        if texts and rng.random() < statistics.repeated_texts:
            text = rng.choice(texts)
        else:
            text = _invented_text(rng, statistics, rank_of, weights)
            texts.append(text)
        repost = "someone" if rng.random() < statistics.reposts else ""
        reply = not repost and rng.random() < statistics.replies
        yield Post("x", text, rng.choices(*statistics.language_choices())[0], repost, reply, "")


def tail_word(rank: int) -> str:
    """The word of that rank: three syllables or more, no two alike."""
    word = ""
    for _ in range(3):
        rank, at = divmod(rank, len(_SYLLABLES))
        word += _SYLLABLES[at]
    return word if not rank else word + tail_word(rank - 1)


def _recorded(line: dict[str, Any]) -> Post:
    text = line["text"]
    reposted = re.match(r"RT @(\w+)", text)
    return Post(
        platform={"twitter": "x"}.get(line["platform"], line["platform"]),
        text=text,
        lang=line.get("lang") or ("en" if text.isascii() else ""),
        repost_of_author=line.get("repost_of_author") or (reposted[1] if reposted else ""),
        reply=bool(line.get("reply_to")) or text.startswith("@"),
        community=f"r/{line['subreddit']}" if line.get("subreddit") else "",
    )


def _shape(post: Post, rare: set[str]) -> Shape:
    pieces, start = [], 0
    for match in _WORDS_APART.finditer(post.text):
        if match[0].lower() in rare:
            pieces.append(post.text[start : match.start()])
            start = match.end()
    fields = {"platform": post.platform, "lang": post.lang, "repost_of_author": post.repost_of_author, "community": post.community}
    if post.reply:
        fields["reply_to"] = "earlier"
    rest = json.dumps({name: value for name, value in fields.items() if value}, separators=(",", ":"))
    return Shape(tuple(json.dumps(piece, ensure_ascii=False)[1:-1] for piece in [*pieces, post.text[start:]]), "," + rest[1:])


def _invented_text(rng: Random, statistics: Statistics, words: Sequence[str], weights: Sequence[float]) -> str:
    wanted = statistics.length(rng.random())
    chosen: list[str] = []
    if rng.random() < statistics.with_mention:
        chosen.append(f"@{rng.choice(words)}")
    size = 0
    while size < wanted:
        rare = rng.random() < statistics.tail_share
        word = (
            tail_word(statistics.common_words + rng.randrange(10_000_000)) if rare else rng.choices(words, cum_weights=weights)[0]
        )
        chosen.append(word)
        size += len(word) + 1
    if rng.random() < statistics.with_hashtag:
        chosen.append(f"#{rng.choices(words, cum_weights=weights)[0]}")
    if rng.random() < statistics.with_link:
        chosen.append(f"https://t.co/{rng.randrange(10**9):x}")
    if rng.random() < statistics.not_ascii:
        chosen.append("…")
    return " ".join(chosen)
