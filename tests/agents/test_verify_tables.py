"""What verify reads of the tables: the windows that people see, and all that a recount must find outside of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from agents.clickhouse import ClickHouse
from agents.settings import Settings
from agents.verify import LATEST_MS
from agents.verify_tables import Tables, read_tables
from schemas import frames
from schemas.mentions import DELETED_VERSION, Mention
from schemas.rows import mention_columns, window_tables
from schemas.windows import WINDOW_ROWS, WindowBatch

START_MS = 1_700_000_000_000


async def tables_of(clickhouse: ClickHouse, place: Path) -> Tables:
    clickhouse.close()
    settings = Settings(clickhouse=f"chdb://{place}/clickhouse", listen="127.0.0.1:1")
    return await read_tables(settings, (0, LATEST_MS))


def store(clickhouse: ClickHouse, rows: list[tuple[str, str, int, int]]) -> None:
    """Rows of (term, part, version, events)."""
    zeros: dict[str, Any] = {**dict.fromkeys(frames.COUNTS, 0), "authors": []}
    full = [{**zeros, "window_start_ms": START_MS, "term": t, "part": p, "version": v, "events": n} for t, p, v, n in rows]
    batch = WindowBatch(partition=0, rows=frames.to_bytes(pl.DataFrame(full, schema=WINDOW_ROWS)))
    for columns in window_tables(batch).values():
        clickhouse.insert(columns)


async def test_a_row_of_zero_is_no_window_and_what_came_beside_it_was_left_out(clickhouse: ClickHouse, tmp_path: Path) -> None:
    rows = [("all:posts", "0", 1, 9), ("hashtag:a", "0", 1, 6), ("hashtag:a", "0", 2, 0), ("hashtag:a", "0/1:70-80", 1, 2)]
    store(clickhouse, [*rows, ("hashtag:b", "0", 1, 7), ("brand:c", "0", 1, 3), ("brand:c", "0", 2, 0)])
    tables = await tables_of(clickhouse, tmp_path)
    assert sorted(tables.windows.rows()) == [("all:posts", START_MS, 9), ("hashtag:b", START_MS, 7)]
    assert tables.left_out.rows() == [(START_MS, 2)]


async def test_a_deleted_post_is_gone_and_the_one_of_another_platform_with_its_id_is_there(
    clickhouse: ClickHouse, tmp_path: Path
) -> None:
    said = [Mention(post_id="1", platform=platform, version=version) for version, platform in enumerate(("x", "mastodon"))]
    gone = Mention(post_id="1", platform="x", version=DELETED_VERSION, deleted=True)
    clickhouse.insert(mention_columns([*said, gone]))
    assert (await tables_of(clickhouse, tmp_path)).mentions == {("mastodon", "1"): 1}
