"""Store: windows, mentions, moments and dead letters from Kafka into ClickHouse.

Rows are gathered up to FLUSH_ROWS, FLUSH_BYTES, for FLUSH_MS or until nothing more is there, whichever is first, and a slice of
records more. Fewer than ENOUGH_ROWS also wait until QUIET_MS have passed since the last time that so few were written, or ten
times as long as that took, FLUSH_MS at most: ClickHouse would rather have few large inserts. While this worker catches up with a
log nobody waits for its rows now, and they are gathered for BEHIND_MS. Written means: 1 the rows of every table are inserted,
2 ClickHouse has answered, 3 only then are the offsets committed. While ClickHouse does not answer nothing is committed, nothing
more is taken, and the same rows are sent again, with backoff and jitter; tables are idempotent, so once more is harmless.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from aiokafka import TopicPartition
from aiokafka.structs import ConsumerRecord

from agents.clickhouse import ClickHouse
from agents.metrics import Metrics
from agents.settings import Settings
from agents.source import Batch, RecordSource
from schemas.dead_letters import DeadLetter
from schemas.errors import BrokenLog, ConfigurationError, SinkUnavailable
from schemas.mentions import decode_mention
from schemas.moments import decode_moment
from schemas.rows import Columns, dead_letter_columns, joined, mention_columns, moment_columns, window_tables
from schemas.windows import decode_windows

FLUSH_ROWS = 50_000
FLUSH_BYTES = 64_000_000  # of columns: 50,000 mentions with the longest texts would be 4 GB
FLUSH_MS = 1_000
BEHIND_MS = 5_000  # an insert costs ClickHouse what 5,000 rows do, however few it has
QUIET_MS = 500
INSERT_REST = 10  # times as long as the last rows took
ENOUGH_ROWS = 5_000  # for an insert: ClickHouse advises 1,000 at least
SLICE_BYTES = 1_000_000  # of records that become rows at a time; one that is larger comes alone, and so does a batch of windows
FIRST_BACKOFF_S, LAST_BACKOFF_S = 0.2, 15.0

_log = logging.getLogger(__name__)


def require_schema(clickhouse: ClickHouse, dsn: str) -> None:
    """The schema is there: an embedded database is brought up to date, a server must have been, else ConfigurationError."""
    if dsn.startswith("chdb:"):
        clickhouse.apply_migrations()
    elif pending := clickhouse.pending():
        raise ConfigurationError(f"ClickHouse misses {len(pending)} migrations; run: drumbeat schema apply")


class StoreHandler:
    """The store agent's buffer. `is_behind`: whether what it stores comes from a log that this worker still catches up with."""

    def __init__(
        self, settings: Settings, clickhouse: ClickHouse, metrics: Metrics, is_behind: Callable[[], bool] = lambda: False
    ) -> None:
        self.settings, self.clickhouse, self.metrics, self.is_behind = settings, clickhouse, metrics, is_behind
        topics = settings.topics
        self.kinds = {
            topics.mentions: _Kind(lambda record: decode_mention(record.value), mention_columns),
            topics.moments: _Kind(lambda record: (decode_moment(record.value), record.value), moment_columns),
            topics.dead_letters: _Kind(_dead_letter, dead_letter_columns),
        }
        self._written_s, self._rest_s = -math.inf, 0.0  # when few rows were for the last time, and how long no few are after that
        self._since_s = 0.0
        self._has_schema = False
        self._clear()

    @property
    def topics(self) -> tuple[str, ...]:
        """What store reads."""
        return (self.settings.topics.windows, *self.kinds)

    async def assigned(self, source: RecordSource, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int | None]:
        """Nothing to load: what was not committed is read again."""
        self.source = source
        self._clear()
        return {}

    async def revoked(self) -> None:
        """Drops what is not written; the next owner reads it again."""
        self._clear()

    async def handle(self, batch: Batch) -> None:
        """Gathers rows; writes them when there are enough, or they are old enough, or nothing more is there."""
        for tp, records in batch.records.items():
            for some in self._slices(tp, records):
                self._take(tp, some)
                if self._is_full() and not await self._flush():
                    return
        if self._ends and self._is_due(time.monotonic(), more_is_there=any(place.lag for place in batch.places.values())):
            await self._flush()

    def used(self) -> dict[str, int]:
        """How full the buffer is; see agents.bounds."""
        return {"store_rows": self._waiting_rows, "store_bytes": self._bytes}

    def _is_due(self, now_s: float, *, more_is_there: bool) -> bool:
        waited_s = now_s - self._since_s
        if self.is_behind():
            return waited_s >= BEHIND_MS / 1000
        if more_is_there and waited_s < FLUSH_MS / 1000:
            return False
        return now_s - self._written_s >= self._rest_s or self._waiting_rows >= ENOUGH_ROWS

    @property
    def _waiting_rows(self) -> int:
        return self._rows + sum(len(kind.taken) for kind in self.kinds.values())

    def _slices(self, tp: TopicPartition, records: Sequence[ConsumerRecord]) -> Iterator[Sequence[ConsumerRecord]]:
        most = 0 if tp.topic == self.settings.topics.windows else SLICE_BYTES
        start = size = 0
        for at, record in enumerate(records):
            size += len(record.value or b"")
            if at > start and size > most:
                yield records[start:at]
                start, size = at, len(record.value or b"")
        yield records[start:]

    def _take(self, tp: TopicPartition, records: Sequence[ConsumerRecord]) -> None:
        try:
            if (kind := self.kinds.get(tp.topic)) is None:
                self._keep([columns for record in records for columns in _window_columns(record)])
            else:
                kind.take(records)
        except (msgspec.DecodeError, KeyError, ValueError) as error:
            raise BrokenLog(
                f"{tp.topic}/{tp.partition}: a record in {records[0].offset}..{records[-1].offset} is not ours: {error}"
            ) from error
        if kind is not None and kind.bytes >= SLICE_BYTES:
            self._keep([kind.columns()])
        self._since_s = self._since_s or time.monotonic()
        self._ends[tp] = records[-1].offset + 1

    def _keep(self, columns: Sequence[Columns]) -> None:
        self._pending += columns
        self._rows += sum(one.rows for one in columns)
        self._bytes += sum(int(one.frame.estimated_size()) for one in columns)

    def _is_full(self) -> bool:
        return self._waiting_rows >= FLUSH_ROWS or self._bytes >= FLUSH_BYTES

    async def _flush(self) -> bool:
        """Whether all is written; False: the partitions are to be given away, and nothing is committed."""
        begun, backoff_s, are_few = time.monotonic(), FIRST_BACKOFF_S, self._waiting_rows < ENOUGH_ROWS
        self._keep([kind.columns() for kind in self.kinds.values() if kind.taken])
        tables = [columns for columns in joined(self._pending) if columns.rows]
        while tables:
            try:
                if not self._has_schema:  # it may have been away, or empty, when the worker started
                    await asyncio.to_thread(require_schema, self.clickhouse, self.settings.clickhouse)
                    self._has_schema = True
                await asyncio.to_thread(self.clickhouse.insert, tables[0])  # 1 and 2
            except SinkUnavailable as error:
                self.metrics.store_batches.labels("retried").inc()
                _log.warning("store: ClickHouse did not take %d rows, again in %.1f s: %s", tables[0].rows, backoff_s, error)
                await asyncio.sleep(backoff_s * random.uniform(0.5, 1.5))  # noqa: S311  # jitter, not a secret
                backoff_s = min(backoff_s * 2, LAST_BACKOFF_S)
                if self.source.should_stop or self.source.giving:
                    return False  # the next owner starts where we did
                continue
            self.metrics.store_rows.labels(tables[0].table).inc(tables[0].rows)
            del tables[0]
        self.metrics.store_batches.labels("written").inc()
        took_s = time.monotonic() - begun
        self.metrics.store_delay.observe(took_s)
        await self.source.commit(self._ends)  # 3
        self._clear()
        if are_few:
            self._written_s, self._rest_s = time.monotonic(), min(max(QUIET_MS / 1000, INSERT_REST * took_s), FLUSH_MS / 1000)
        return True

    def _clear(self) -> None:
        self._pending: list[Columns] = []
        self._rows = self._bytes = 0
        self._since_s = 0.0
        self._ends: dict[TopicPartition, int] = {}
        for kind in self.kinds.values():
            kind.forget()


class _Kind:
    """Records of one topic that are a row each. They become columns together: to make a table takes as long as a hundred rows."""

    def __init__(self, decode: Callable[[ConsumerRecord], Any], make: Callable[[list[Any]], Columns]) -> None:
        self._decode, self._make = decode, make
        self.forget()

    def take(self, records: Sequence[ConsumerRecord]) -> None:
        """Raises what the decoder does; then nothing is taken."""
        self.taken += [self._decode(record) for record in records]
        self.bytes += sum(len(record.value or b"") for record in records)

    def columns(self) -> Columns:
        """What was taken, which is handed out once."""
        made = self._make(self.taken)
        self.forget()
        return made

    def forget(self) -> None:
        """Nothing was taken."""
        self.taken: list[Any] = []
        self.bytes = 0


def _window_columns(record: ConsumerRecord) -> list[Columns]:
    return list(window_tables(decode_windows(record.value)).values())


def _dead_letter(record: ConsumerRecord) -> DeadLetter:
    headers = {name: value.decode() for name, value in record.headers}
    return DeadLetter(
        headers["reason"],
        headers["detail"],
        headers["topic"],
        int(headers["partition"]),
        int(headers["offset"]),
        int(headers["log_ms"]),
        record.value or b"",
        int(headers.get("size", len(record.value or b""))),
    )
