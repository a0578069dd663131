"""Public series that the detector is measured on: mentions of ten brands per 5 minutes, with the scorer that comes with them."""

from __future__ import annotations

import csv
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

BIN_MS = 300_000


@dataclass(frozen=True, slots=True)
class Series:
    """One brand: when each bin began, as written in the file, and its count."""

    name: str
    timestamps: tuple[str, ...]
    starts_ms: tuple[int, ...]  # multiples of BIN_MS: the file's own are all off by the same
    counts: tuple[int, ...]


def load_scorer(nab: Path) -> ModuleType:
    """The module `score_realtweets` beside the data."""
    spec = importlib.util.spec_from_file_location("score_realtweets", nab / "score_realtweets.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def load_series(nab: Path, names: Sequence[str]) -> list[Series]:
    """The series of these file names, in their order."""
    return [_load(nab / "data" / name) for name in names]


def write_scores(path: Path, series: Series, scores: Sequence[float]) -> None:
    """One CSV as the scorer reads it."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["timestamp", "anomaly_score"])
        writer.writerows(zip(series.timestamps, scores, strict=True))


def _load(path: Path) -> Series:
    with path.open() as file:
        rows = list(csv.DictReader(file))
    stamps = tuple(row["timestamp"] for row in rows)
    starts = tuple(int(datetime.fromisoformat(stamp).replace(tzinfo=UTC).timestamp() * 1000) // BIN_MS * BIN_MS for stamp in stamps)
    return Series(path.name, stamps, starts, tuple(int(float(row["value"])) for row in rows))
