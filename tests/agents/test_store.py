"""Store writes in parts that are bounded, and neither late nor often."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import cast

import pytest
from aiokafka import TopicPartition
from aiokafka.structs import ConsumerRecord
from prometheus_client import CollectorRegistry

from agents import store
from agents.clickhouse import ClickHouse
from agents.metrics import Metrics
from agents.settings import Settings
from agents.source import Batch, Place, RecordSource
from agents.store import StoreHandler
from schemas.errors import BrokenLog
from schemas.mentions import Mention, encode_mention
from schemas.rows import Columns
from schemas.windows import encode_windows
from tests.agents.page_records import START_MS, batch

SETTINGS = Settings()
MENTIONS = SETTINGS.topics.mentions


def record(topic: str, offset: int, data: bytes) -> ConsumerRecord:
    return ConsumerRecord(topic, 0, offset, 0, 0, None, data, None, 0, len(data), ())


def mention(number: int, text: str = "a") -> bytes:
    return encode_mention(Mention(post_id=str(number), platform="x", version=1, kind="post", event_ms=1, text=text))


class _ClickHouse:
    """Takes everything, and remembers how much came at once."""

    def __init__(self) -> None:
        self.rows: list[int] = []
        self.bytes: list[int] = []

    def apply_migrations(self) -> None:
        pass

    def insert(self, columns: Columns) -> None:
        self.rows.append(columns.rows)
        self.bytes.append(int(columns.frame.estimated_size()))


class _Source:
    """Commits, and gives nothing away."""

    should_stop = giving = False

    def __init__(self) -> None:
        self.committed: dict[TopicPartition, int] = {}

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        self.committed.update(offsets)


async def _store(topic: str, values: Sequence[bytes]) -> tuple[_ClickHouse, _Source, StoreHandler]:
    clickhouse, source, handler = await _empty()
    await handler.handle(_batch(topic, values))
    return clickhouse, source, handler


async def _empty() -> tuple[_ClickHouse, _Source, StoreHandler]:
    clickhouse, source = _ClickHouse(), _Source()
    handler = StoreHandler(SETTINGS, cast(ClickHouse, clickhouse), Metrics(CollectorRegistry()))
    await handler.assigned(cast(RecordSource, source), [])
    return clickhouse, source, handler


def _batch(topic: str, values: Sequence[bytes], unread: int = 0) -> Batch:
    """All that there is, but for so many."""
    tp, records = TopicPartition(topic, 0), [record(topic, at, one) for at, one in enumerate(values)]
    return Batch(0, 0, {tp: records} if records else {}, {tp: Place(len(records), len(records) + unread)})


async def test_a_batch_of_many_windows_is_inserted_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "FLUSH_ROWS", 100)
    windows = encode_windows(batch(*((START_MS, f"hashtag:t{n}", "0", 1, 5) for n in range(30))))
    clickhouse, source, handler = await _store(SETTINGS.topics.windows, [windows] * 40)
    assert clickhouse.rows == [120] * 10
    assert list(source.committed.values()) == [40]
    assert handler.used() == {"store_rows": 0, "store_bytes": 0}


async def test_mentions_with_long_texts_are_inserted_by_their_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "FLUSH_BYTES", 500_000)
    monkeypatch.setattr(store, "SLICE_BYTES", 100_000)
    clickhouse, source, handler = await _store(MENTIONS, [mention(n, "a" * 20_000) for n in range(100)])
    assert len(clickhouse.bytes) >= 3
    assert max(clickhouse.bytes) <= 600_000 + 50_000
    assert sum(clickhouse.rows) + handler.used()["store_rows"] == 100
    assert max(source.committed.values()) == sum(clickhouse.rows), "what still waits is not committed"


async def test_what_comes_once_a_second_is_written_at_once_and_what_never_stops_once_a_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = [100.0]
    monkeypatch.setattr(store, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    clickhouse, _, handler = await _empty()

    async def at(seconds: float, values: Sequence[bytes], unread: int = 0) -> list[int]:
        clock[0] = 100.0 + seconds
        await handler.handle(_batch(MENTIONS, values, unread))
        written, clickhouse.rows = clickhouse.rows, []
        return written

    assert await at(0.0, [mention(1)], unread=1) == [], "more is there"
    assert await at(0.1, [mention(2)]) == [2]
    assert await at(0.2, [mention(3)]) == [], "not often"
    assert await at(0.55, []) == []
    assert await at(0.65, []) == [1]
    endless = [await at(2.0 + number / 8, [mention(number)], unread=1) for number in range(25)]
    assert [number for number, written in enumerate(endless) if written] == [8, 17], "a second after the first of them"
    assert await at(5.125, []) == [7]


async def test_a_clickhouse_that_takes_long_is_asked_less_often_unless_there_is_enough_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = [100.0]
    monkeypatch.setattr(store, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    monkeypatch.setattr(store, "ENOUGH_ROWS", 50)
    clickhouse, _, handler = await _empty()

    def slow(columns: Columns) -> None:
        clock[0] += 0.08
        clickhouse.rows.append(columns.rows)

    monkeypatch.setattr(clickhouse, "insert", slow)

    async def at(seconds: float, values: Sequence[bytes]) -> list[int]:
        clock[0] = 100.0 + seconds
        await handler.handle(_batch(MENTIONS, values))
        written, clickhouse.rows = clickhouse.rows, []
        return written

    few, enough = [mention(1)], [mention(number) for number in range(50)]
    assert await at(0.0, few) == [1]  # until 0.88
    assert [await at(0.4, few), await at(0.6, []), await at(0.85, [])] == [[], [], []], "0.8 s have not passed"
    assert await at(0.9, []) == [1]  # until 1.78
    assert await at(1.1, enough) == [50], "as soon as nothing more is there"
    assert [await at(1.5, few), await at(1.75, []), await at(1.85, [])] == [[], [], [1]], "many at once are no reason to rest"
    monkeypatch.setattr(clickhouse, "insert", _ClickHouse.insert.__get__(clickhouse))
    assert await at(3.0, few) == [1]
    assert [await at(3.2, few), await at(3.55, [])] == [[], [1]], "it is fast again"


async def test_rows_of_a_log_that_is_caught_up_with_are_written_seldom_and_the_last_of_them_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = [100.0]
    monkeypatch.setattr(store, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    clickhouse, _, handler = await _empty()
    written = []
    for number in range(100):
        clock[0] = 100.0 + number / 8
        handler.is_behind = lambda: number < 90  # noqa: B023  # called within this turn
        await handler.handle(_batch(MENTIONS, [mention(number)] if number < 90 and number % 2 else []))
        written.append((number, len(clickhouse.rows)))
    at = [number for (number, now), (_, before) in zip(written[1:], written, strict=False) if now > before]
    assert at == [41, 83, 90], "five seconds after the first of them"
    assert sum(clickhouse.rows) == 45


async def test_a_record_that_is_none_of_ours_stops_store_before_anything_of_it_is_kept() -> None:
    with pytest.raises(BrokenLog, match="0\\.\\.1 is not ours"):
        await _store(MENTIONS, [mention(1), b"{}"])
