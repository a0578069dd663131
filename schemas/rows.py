"""What store writes: records in, columns of a ClickHouse table out; same records, same columns.

`schemas/clickhouse` has the tables; the column names here are those there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import polars as pl

from schemas import frames
from schemas.dead_letters import DeadLetter
from schemas.mentions import Mention
from schemas.moments import Moment
from schemas.windows import FACET_WINDOW_ROWS, TOTAL_ROWS, WINDOW_ROWS, WindowBatch

MAX_PAYLOAD_HEAD = 1_000
"""Bytes of a dead letter that are stored; the topic has the rest."""

_TIME = pl.Datetime("ms", "UTC")


@dataclass(frozen=True, slots=True)
class Columns:
    """Rows of one table in columns, named and typed as the table has them."""

    table: str
    frame: pl.DataFrame

    @property
    def rows(self) -> int:
        """How many rows these are."""
        return self.frame.height


_WINDOW_TYPES: dict[str, pl.DataType] = {"window_start_ms": _TIME, "version": pl.UInt64()}


def window_tables(batch: WindowBatch) -> dict[str, Columns]:
    """The batch's rows by table; tables without rows are left out."""
    parts = {
        "windows": (batch.rows, WINDOW_ROWS),
        "window_facets": (batch.facets, FACET_WINDOW_ROWS),
        "window_totals": (batch.totals, TOTAL_ROWS),
    }
    tables = {table: _window_columns(table, data, schema) for table, (data, schema) in parts.items() if data}
    return {table: columns for table, columns in tables.items() if columns.rows}


def _window_columns(table: str, data: bytes, schema: dict[str, pl.DataType]) -> Columns:
    frame = frames.from_bytes(data)
    columns = [frame[name] for name in schema]  # one by one: a batch has few rows, and an operation on tables takes 0.1 ms
    typed = [one.cast(_WINDOW_TYPES[one.name]) if one.name in _WINDOW_TYPES else one for one in columns]
    return Columns(table, pl.DataFrame([one.alias("window_start") if one.name == "window_start_ms" else one for one in typed]))


def mention_columns(mentions: Sequence[Mention]) -> Columns:
    """One row per mention. The row of a deleted post holds its platform and id and nothing else of it."""
    kept = [_forgotten(one) if one.deleted else one for one in mentions]
    return _columns(
        "mentions",
        pl.Series("post_id", [m.post_id for m in kept], pl.String),
        pl.Series("version", [m.version for m in kept], pl.UInt64),
        pl.Series("deleted", [m.deleted for m in kept], pl.Boolean).cast(pl.UInt8),
        _times("event_time", (m.event_ms for m in kept)),
        pl.Series("platform", [m.platform for m in kept], pl.String),
        pl.Series("kind", [m.kind for m in kept], pl.String),
        frames.texts_of([m.brands for m in kept]).alias("brands"),
        pl.Series("text", [m.text for m in kept], pl.String),
        pl.Series("lang", [m.lang for m in kept], pl.String),
        pl.Series("author_hash", [m.author_hash for m in kept], pl.UInt64),
        pl.Series("followers", [m.followers for m in kept], pl.Int64),
        pl.Series("sentiment_milli", [m.sentiment_milli for m in kept], pl.Int32),
        pl.Series("url", [m.url for m in kept], pl.String),
        pl.Series("community", [m.community for m in kept], pl.String),
        frames.texts_of([m.terms for m in kept]).alias("terms"),
    )


def _forgotten(gone: Mention) -> Mention:
    return Mention(post_id=gone.post_id, platform=gone.platform, version=gone.version, deleted=True, kind="")


_MOMENT_TIMES = ("opened", "since", "updated", "closed")
_MOMENT_VALUES: dict[str, pl.DataType] = {
    "moment_id": pl.String(),
    "sequence": pl.UInt32(),
    "status": pl.String(),
    "organic": pl.Boolean(),
    "lead_term": pl.String(),
    "terms": pl.List(pl.String),
    "brands": pl.List(pl.String),
    "severity": pl.UInt8(),
    "score": pl.Float64(),
    "reasons": pl.List(pl.String),
    "lead_time_ms": pl.Int64(),
    "scale_ms": pl.Int64(),
    "observed": pl.Int64(),
    "expected": pl.Float64(),
    "peak": pl.Int64(),
    "events": pl.Int64(),
    "authors": pl.Int64(),
    "unknown_authors": pl.Int64(),
    "organic_share": pl.Float64(),
    "sentiment": pl.Float64(),
    "sentiment_shift": pl.Float64(),
    "originals": pl.Int64(),
    "replies": pl.Int64(),
    "reposts": pl.Int64(),
    "reach": pl.Int64(),
    "why": pl.String(),
}
"""Fields of a moment that are columns under the same name; the rest is in `event`."""


def moment_columns(moments: Sequence[tuple[Moment, bytes]]) -> Columns:
    """One row per alert: the moment's fields, and the CloudEvent as it was on the topic, byte for byte."""
    return _columns(
        "moments",
        *(pl.Series(name, [getattr(m, name) for m, _ in moments], kind) for name, kind in _MOMENT_VALUES.items()),
        *(_times(name, (getattr(m, f"{name}_ms") for m, _ in moments)) for name in _MOMENT_TIMES),
        pl.Series("words", [[word.text for word in m.words] for m, _ in moments], pl.List(pl.String)),
        pl.Series("event", [event.decode("utf-8") for _, event in moments], pl.String),
    )


def dead_letter_columns(letters: Sequence[DeadLetter]) -> Columns:
    """One row per dead letter, with its first MAX_PAYLOAD_HEAD bytes made readable."""
    return _columns(
        "dead_letters",
        pl.Series("source_topic", [d.topic for d in letters], pl.String),
        pl.Series("source_partition", [d.partition for d in letters], pl.Int32),
        pl.Series("source_offset", [d.offset for d in letters], pl.Int64),
        _times("log_time", (d.log_ms for d in letters)),
        pl.Series("reason", [d.reason for d in letters], pl.String),
        pl.Series("detail", [d.detail[:500] for d in letters], pl.String),
        pl.Series("payload_bytes", [d.size for d in letters], pl.Int64),
        pl.Series("payload_head", [d.payload[:MAX_PAYLOAD_HEAD].decode("utf-8", "replace") for d in letters], pl.String),
    )


def joined(parts: Iterable[Columns]) -> list[Columns]:
    """The same rows with one Columns per table, so that a batch is one insert per table."""
    by_table: dict[str, list[pl.DataFrame]] = {}
    for part in parts:
        by_table.setdefault(part.table, []).append(part.frame)
    return [Columns(table, pl.concat(found)) for table, found in by_table.items()]


def _columns(table: str, *series: pl.Series) -> Columns:
    return Columns(table, pl.DataFrame(series))


def _times(name: str, values_ms: Iterable[int | None]) -> pl.Series:
    return pl.Series(name, list(values_ms), pl.Int64).cast(_TIME)
