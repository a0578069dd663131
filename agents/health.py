"""Whether this worker makes progress (live) and whether it is at work (ready), for probes and for people."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from agents.source import RecordSource
from agents.watchlist_follower import WatchlistFollower

STUCK_S = 120.0  # an agent that finished no batch for so long hangs; store may wait for ClickHouse, that is not hanging


class Health:
    """Answers for /livez and /readyz: a verdict and what it rests on."""

    def __init__(self, sources: Sequence[RecordSource], watchlist: WatchlistFollower) -> None:
        self.sources, self.watchlist = sources, watchlist

    def live(self) -> tuple[bool, dict[str, Any]]:
        """False when an agent has not finished a batch, not even an empty one, for STUCK_S seconds."""
        now = time.monotonic()
        since = {source.name: round(now - source.beat, 1) for source in self.sources}
        stuck = [source.name for source in self.sources if now - source.beat > STUCK_S and source.ready and source.name != "store"]
        return not stuck, {"seconds_since_batch": since, "stuck": stuck}

    def ready(self) -> tuple[bool, dict[str, Any]]:
        """True when the watchlist is read and every agent has its partitions and their state."""
        waiting = [source.name for source in self.sources if not source.ready]
        lag = {source.name: source.lag for source in self.sources}
        watchlist = self.watchlist.ready.is_set()
        return watchlist and not waiting, {"lag": lag, "waiting": waiting, "watchlist": watchlist}
