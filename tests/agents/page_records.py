"""Records for tests of the page: a moment with every field set, a batch of windows."""

from __future__ import annotations

from typing import Any

import polars as pl

from schemas import frames
from schemas.moments import Moment, Sample, Word
from schemas.windows import WINDOW_ROWS, WindowBatch

START_MS = 1_760_000_000_000


def moment(number: int = 0, **fields: Any) -> Moment:
    """A moment with every field set."""
    known: dict[str, Any] = {
        "moment_id": f"m{number}", "sequence": 0, "status": "opened", "organic": True, "lead_term": "hashtag:lightsout",
        "terms": ("hashtag:lightsout", "brand:lumen-arena"), "brands": ("lumen-arena",), "severity": 7, "score": 22.5,
        "reasons": ("surge",), "opened_ms": START_MS, "since_ms": START_MS - 20_000, "updated_ms": START_MS, "lead_time_ms": 20_000,
        "scale_ms": 60_000, "observed": 160, "expected": 4.2, "peak": 160, "events": 180, "authors": 150, "unknown_authors": 3,
        "organic_share": 0.94, "sentiment": -0.3, "sentiment_shift": -0.35, "originals": 120, "replies": 20, "reposts": 40,
        "reach": 90_000, "platforms": {"bluesky": 14}, "languages": {"en": 12}, "communities": {},
        "words": (Word(text="blackout", posts=11, score=4.0),), "samples": (Sample(text="dark", platform="x"),), "why": "It rose.",
    }  # fmt: skip
    return Moment(**(known | fields))


def batch(*rows: tuple[int, str, str, int, int]) -> WindowBatch:
    """Rows of (window start, term, part, version, events)."""
    columns = ("window_start_ms", "term", "part", "version", "events")
    frame = pl.DataFrame([dict(zip(columns, row, strict=True)) for row in rows])
    zeros = {name: pl.lit(0, dtype).alias(name) for name, dtype in WINDOW_ROWS.items() if name not in (*columns, "authors")}
    full = frame.with_columns(*zeros.values(), pl.lit([], pl.List(pl.UInt64)).alias("authors")).select(list(WINDOW_ROWS))
    return WindowBatch(partition=0, rows=frames.to_bytes(full))
