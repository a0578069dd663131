"""The recount that the README shows agrees with what the pipeline stores, cell for cell."""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from schemas import frames
from schemas.watchlist import Brand
from streams.pipeline import Pipeline, PipelineParams
from streams.records import Record

ROOT = Path(__file__).parents[1]
RECORDED = ROOT.parent / "shared" / "data" / "crisislex_t6.ndjson.gz"
WORDS = ["explosion", "bomb"]


def recount_of_the_readme() -> Callable[[Path, list[str]], Counter[tuple[str, str]]]:
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)  # our own page
    found: Callable[[Path, list[str]], Counter[tuple[str, str]]] = names["recount"]
    return found


def created_ms(line: bytes) -> int:
    return round(datetime.fromisoformat(json.loads(line)["created_at"]).timestamp() * 1_000)


def stored_by_minute(lines: list[bytes]) -> dict[tuple[str, str], int]:
    pipeline = Pipeline(PipelineParams(), [Brand(id=word) for word in WORDS])
    records = [Record(offset, created_ms(line), line) for offset, line in enumerate(lines)]
    batches = [*pipeline.feed(records).windows, *pipeline.finish().windows]
    rows = pl.concat([frames.from_bytes(batch.rows) for batch in batches if batch.rows])
    newest = rows.sort("version").unique(["term", "window_start_ms", "part"], keep="last")
    counts: Counter[tuple[str, str]] = Counter()
    for start, term, events in (
        newest.filter(pl.col("term").str.starts_with("brand:")).select("window_start_ms", "term", "events").iter_rows()
    ):
        counts[datetime.fromtimestamp(start / 1_000, UTC).strftime("%Y-%m-%dT%H:%M"), term] += events
    return dict(counts)


@pytest.mark.skipif(not RECORDED.exists(), reason=f"no recorded posts at {RECORDED}")
def test_the_recount_in_the_readme_equals_the_stored_minutes(tmp_path: Path) -> None:
    with gzip.open(RECORDED) as file:
        lines = [line for line in file if b'"2013-04-15T1' in line or b'"2013-04-15T2' in line]
    part = tmp_path / "part.ndjson.gz"
    part.write_bytes(gzip.compress(b"".join(lines)))
    expected = dict(recount_of_the_readme()(part, WORDS))
    assert len(expected) > 20
    assert stored_by_minute(lines) == expected
