"""What ClickHouse holds of some windows, asked directly, or through the worker that holds an embedded one open."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import polars as pl

from agents.cli.query import ask
from agents.raw_recount import Origin
from agents.recount_compare import STORED
from agents.recount_tally import Post
from agents.settings import Settings
from schemas import frames

_MS = "fromUnixTimestamp64Milli(toInt64({ms}), 'UTC')"
_WINDOWS = (
    "SELECT term, toUnixTimestamp64Milli(window_start) AS window_start_ms, toInt64(events) AS events FROM windows_10s WHERE {span}"
)
# Corrections of windows that are not shown, because the term was too rare when the window closed: left out too.
_HIDDEN = (
    "SELECT term, toUnixTimestamp64Milli(window_start) AS window_start_ms, toInt64(sum(w.events)) AS events "
    "FROM windows AS w FINAL WHERE {span} GROUP BY term, window_start "
    "HAVING countIf(position(w.part, '/') = 0 AND w.events != 0) = 0"
)
_LEFT_OUT = (
    "SELECT '' AS term, toUnixTimestamp64Milli(window_start) AS window_start_ms, toInt64(sum(left_out_events)) AS events "
    "FROM window_totals FINAL WHERE {span} GROUP BY window_start"
)
_MENTIONS = "SELECT toString(platform) AS platform, post_id, toInt64(version) AS version FROM mentions FINAL WHERE {span}"
_DEAD = (
    "SELECT toString(source_topic) AS topic, toInt64(source_partition) AS number, toInt64(source_offset) AS place, "
    "toString(reason) AS reason FROM dead_letters FINAL WHERE {span}"
)
_ALERTS = "SELECT moment_id, toInt64(sequence) AS sequence, event FROM moments FINAL"


@dataclass(frozen=True, slots=True)
class Tables:
    """The rows that people see."""

    windows: pl.DataFrame  # STORED
    left_out: pl.DataFrame  # window_start_ms, events
    mentions: dict[Post, int]  # version
    dead_letters: dict[Origin, str]  # reason
    alerts: dict[tuple[str, int], bytes]


async def read_tables(settings: Settings, span: tuple[int, int]) -> Tables:
    """Everything of windows that start in the span; dead letters by their time in the log; all alerts."""

    async def rows(sql: str, column: str = "window_start") -> pl.DataFrame:
        from_ms, to_ms = (_MS.format(ms=ms) for ms in span)
        within = f"{column} >= {from_ms} AND {column} < {to_ms}"
        return await asyncio.to_thread(ask, settings, sql.format(span=within))

    windows = _counts(await rows(_WINDOWS))
    hidden = _counts(await rows(_HIDDEN)).filter(~frames.is_watched(pl.col("term")))
    left_out = pl.concat([_counts(await rows(_LEFT_OUT)), hidden]).group_by("window_start_ms").agg(pl.col("events").sum())
    mentions = {(platform, post): version for platform, post, version in (await rows(_MENTIONS, "event_time")).iter_rows()}
    dead = {(topic, number, place): reason for topic, number, place, reason in (await rows(_DEAD, "log_time")).iter_rows()}
    alerts = {(moment, sequence): event.encode() for moment, sequence, event in (await rows(_ALERTS)).iter_rows()}
    return Tables(windows, left_out, mentions, dead, alerts)


def _counts(rows: pl.DataFrame) -> pl.DataFrame:
    return pl.DataFrame(rows.to_dict(as_series=False), schema=STORED) if rows.height else pl.DataFrame(schema=STORED)
