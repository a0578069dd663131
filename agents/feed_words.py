"""Words of the demo feed, from `feed_words.json`: six languages, enough for posts that read like posts. All names are invented."""

from __future__ import annotations

from pathlib import Path

import msgspec


class Topic(msgspec.Struct, frozen=True):
    """What people talk about: `things`, per language, fit `{thing}` in that language's templates."""

    name: str
    tags: tuple[str, ...]
    community: str
    things: dict[str, tuple[str, ...]]


class Language(msgspec.Struct, frozen=True):
    """Pieces of one language; a post is an opener (or none), a template and a closer (or none)."""

    share: float  # of ordinary posts
    openers: tuple[str, ...]
    templates: tuple[str, ...]
    adjectives: tuple[str, ...]
    times: tuple[str, ...]
    closers: tuple[str, ...]


class Words(msgspec.Struct, frozen=True):
    """Everything the feed writes with."""

    topics: tuple[Topic, ...]
    languages: dict[str, Language]
    brand_talk: dict[str, dict[str, tuple[str, ...]]]  # mood -> language -> templates
    good: tuple[str, ...]
    bad: tuple[str, ...]
    places: tuple[str, ...]
    syllables: tuple[str, ...]
    instances: tuple[str, ...]
    outlets: tuple[str, ...]


WORDS = msgspec.json.decode(Path(__file__).with_name("feed_words.json").read_bytes(), type=Words)
