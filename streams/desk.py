"""The posts and brands that one call of curate has before it, read once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property, lru_cache

from schemas.candidates import SampleRef
from schemas.events import Event
from schemas.watchlist import Brand
from streams.brands import compile_watchlist
from streams.posts import Post, read_posts

_compiled = lru_cache(maxsize=4)(compile_watchlist)  # the watchlist is the same for hours
_WORD = re.compile(r"\w+")


class Desk:
    """Looks up what was read; posts are digested when the first is asked for."""

    def __init__(self, events: Mapping[SampleRef, Event], brands: Sequence[Brand]) -> None:
        self._events = events
        self._brands = tuple(brands)
        self.watch: dict[str, Brand] = {brand.id: brand for brand in brands}

    @cached_property
    def _posts(self) -> dict[SampleRef, Post]:
        return read_posts(self._events, _compiled(self._brands)) if self._events else {}

    def read(self, refs: Iterable[SampleRef]) -> list[Post]:
        """Those of the posts that could be read, in the order of their references, each once."""
        return [self._posts[ref] for ref in sorted(set(refs)) if ref in self._posts]

    def own_words(self, term: str) -> frozenset[str]:
        """Words that say no more than the term itself: they explain nothing."""
        kind, _, value = term.partition(":")
        brand = self.watch.get(value) if kind == "brand" else None
        names = (value,) if brand is None else (brand.id, brand.name, *brand.aliases, *brand.handles, *brand.hashtags)
        said = [name.lower() for name in names]
        return frozenset(
            {*(word for name in said for word in _WORD.findall(name)), *("#" + "".join(_WORD.findall(s)) for s in said)}
        )
