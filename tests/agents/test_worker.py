"""What the agents of one worker know of each other."""

from __future__ import annotations

from typing import cast

from prometheus_client import CollectorRegistry

from agents.clickhouse import ClickHouse
from agents.metrics import Metrics
from agents.outbox import Outbox
from agents.settings import Settings
from agents.source import RecordSource
from agents.store import StoreHandler
from agents.watchlist_follower import WatchlistFollower
from agents.worker import _source


class _Other:
    """A source of the same worker."""

    behind = False

    def is_catching_up(self) -> bool:
        return self.behind


def test_store_is_behind_while_any_other_source_of_its_worker_is() -> None:
    settings, metrics = Settings(), Metrics(CollectorRegistry())
    ingest, detect = _Other(), _Other()
    others = cast("tuple[RecordSource, ...]", (ingest, detect))
    outbox, watchlist = cast(Outbox, None), cast(WatchlistFollower, None)
    clickhouse = ClickHouse.connect("clickhouse://default@127.0.0.1:1/drumbeat")  # opened by the first call only
    store = _source("store", settings, outbox, watchlist, metrics, clickhouse, None, None, others).handler
    assert isinstance(store, StoreHandler)
    assert not store.is_behind()
    detect.behind = True
    assert store.is_behind()
