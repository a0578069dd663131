"""What events of all raw partitions add up to, whoever counts them and in whatever portions: cells, mentions, deleted posts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import polars as pl

from agents.recount import Sight, add_up, count_cells
from schemas.windows import WINDOW_MS
from streams.brands import CompiledWatchlist

CHUNK_POSTS = 20_000
COMPACT_ROWS = 1_000_000  # rows of new cells, about 100 bytes each, before they are added up

Post = tuple[str, str]  # platform and post id


class Said(NamedTuple):
    """One sight of a post that names a brand."""

    version: int  # what its timestamp is taken for
    event_ms: int


@dataclass(slots=True)
class Tally:
    """Of windows that start in [from_ms, to_ms); with `ready` False, of events that need not be stored yet."""

    watchlist: CompiledWatchlist
    from_ms: int
    to_ms: int
    ready: bool = True
    mentions: defaultdict[Post, set[Said]] = field(default_factory=lambda: defaultdict(set))
    deleted: set[Post] = field(default_factory=set)
    _pending: list[Sight] = field(default_factory=list)
    _parts: list[pl.DataFrame] = field(default_factory=list)
    _rows: int = 0

    def add(self, sights: Iterable[Sight]) -> None:
        """Counts the events."""
        for sight in sights:
            event = sight.event
            if event.kind == "delete":
                self.deleted.add((event.platform, event.post_id))
            elif self.from_ms <= sight.event_ms // WINDOW_MS * WINDOW_MS < self.to_ms:
                self._pending.append(sight)
                if len(self._pending) >= CHUNK_POSTS:
                    self._count()

    def cells(self) -> pl.DataFrame:
        """Counts so far, as recount.CELLS."""
        self._count()
        self._parts, self._rows = [add_up(self._parts)], 0
        return self._parts[0]

    def _count(self) -> None:
        sights, self._pending = self._pending, []
        if not sights:
            return
        cells, brands = count_cells(sights, self.watchlist, ready=self.ready)
        for row in brands["row"].unique().to_list():
            sight = sights[row]
            self.mentions[sight.event.platform, sight.event.post_id].add(Said(sight.log_ms, sight.event_ms))
        self._parts.append(cells)
        self._rows += cells.height
        if self._rows > COMPACT_ROWS:
            self._parts, self._rows = [add_up(self._parts)], 0
