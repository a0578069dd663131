"""build/faults.json and the table that people read."""

from __future__ import annotations

import argparse
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import orjson

from tests.faults.scene import SESSION_TIMEOUT_MS, Result
from tests.kafka_server import VERSION

COLUMNS = ("row", "cells", "wrong", "alerts", "missing", "extra", "altered", "other", "recovery p50", "p99", "what was done")


def quantile(values: Sequence[float], share: float) -> float | None:
    """The value that `share` of all do not exceed; None if there are none."""
    return sorted(values)[min(int(len(values) * share), len(values) - 1)] if values else None


def line(result: Result) -> str:
    """One row as it is known."""
    verdict = "ok  " if result.passed else "FAIL"
    said = "; ".join(result.other)
    return f"{verdict} {result.name:<17} {result.seconds:6.0f} s  {_cells(result)[1:]}{'  ' + said if said else ''}"


def table(results: Sequence[Result]) -> str:
    """All rows under their headings, and the verdict."""
    rows = [COLUMNS, *(tuple(_cells(result)) for result in results)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    wrong = [result for result in results if not result.passed]
    details = [f"{result.name}: {one}" for result in wrong for one in result.other]
    return "\n".join(["", *lines, "", *details, f"{len(results) - len(wrong)} passed, {len(wrong)} failed"])


def write(path: Path, results: Sequence[Result], args: argparse.Namespace) -> None:
    """The report, for machines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [
        {
            "row": one.name,
            "passed": one.passed,
            "cells": one.cells,
            "wrong_cells": one.wrong_cells,
            "alerts": one.alerts,
            "missing_alerts": one.missing,
            "extra_alerts": one.extra,
            "altered_alerts": one.bodies,
            "repeated_alerts": one.repeated,
            "other": one.other,
            "done": one.done,
            "recovery_s": {
                "p50": quantile(one.recoveries_s, 0.5),
                "p99": quantile(one.recoveries_s, 0.99),
                "n": len(one.recoveries_s),
            },
            "notes": one.notes,
            "seconds": round(one.seconds, 1),
        }
        for one in results
    ]
    about = {
        "kafka": VERSION,
        "session_timeout_ms": SESSION_TIMEOUT_MS,
        "python": platform.python_version(),
        "chdb": version("chdb-core-lite"),
        "aiokafka": version("aiokafka"),
        "seed": args.seed,
        "seconds": args.seconds,
        "sabotage": args.sabotage,
    }
    path.write_bytes(orjson.dumps({"about": about, "rows": rows}, option=orjson.OPT_INDENT_2))


def _cells(one: Result) -> list[str]:
    numbers = [one.cells, one.wrong_cells, one.alerts, one.missing, one.extra, one.bodies, len(one.other)]
    times = [quantile(one.recoveries_s, share) for share in (0.5, 0.99)]
    done = ", ".join(f"{count} x {what}" for what, count in one.done.items())
    return [one.name, *(f"{number:,}" for number in numbers), *("" if t is None else f"{t:.1f} s" for t in times), done]
