"""What was measured, for machines in one JSON file and for people in tables."""

from __future__ import annotations

import platform
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

from tests.benchmarks.bench import Result
from tests.benchmarks.processes import ALL_CORES, ROOT

_DELAYS = {
    "sent_late_ms": "due → given to the producer",
    "applying_ms": "detect's computing for a packet",
    "counted_ms": "record → counted in detect",
    "alert_ms": "threshold crossed → alert",
    "mention_row_ms": "brand post → row of mentions",
    "window_row_after_due_ms": "window due → row of windows",
}
_PACKAGES = ("aiokafka", "faust-streaming", "polars", "msgspec", "numpy", "clickhouse-connect", "chdb-core-lite")


def write_report(found: Mapping[str, Any], path: Path, command: Sequence[str]) -> str:
    """Writes all numbers to `path`; returns them as text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    report = {**about(command), **found}
    if "systems" in found:
        report["ratios"] = ratios(found["systems"])
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")
    return table({**report, "path": path})


def about(command: Sequence[str]) -> dict[str, Any]:
    """Where and with what this was measured."""
    revision = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, cwd=ROOT, check=False)
    return {
        "machine": {"cpu": _cpu(), "cores": len(ALL_CORES), "system": platform.platform(), "python": platform.python_version()},
        "versions": {name: version(name) for name in _PACKAGES},
        "command": " ".join(["python -m tests.benchmarks", *command]),
        "revision": revision.stdout.strip() or "unknown",
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def ratios(results: Sequence[Result]) -> dict[str, dict[str, float]]:
    """Each rate as a part of the limit's and as a multiple of plain Faust's, where these were measured."""
    rate = {result.name: result.rate for result in results}
    bases = [base for base in ("limit", "plain Faust") if base in rate]
    return {name: {base: own / rate[base] for base in bases} for name, own in rate.items()}


def table(report: Mapping[str, Any]) -> str:
    """Everything that was measured, one table a part."""
    lines = [
        f"{report['machine']['cpu']}, {report['machine']['cores']} cores, Python {report['machine']['python']}; {report['broker']}",
        f"events: {report['feed']}; revision {report['revision']}, {report['at']}",
    ]
    if "systems" in report:
        lines += ["", *_systems(report["systems"], report["ratios"])]
    lines += [report["left_out"]] if "left_out" in report else []
    for name, lines_of in (("latency", _latency), ("steps", _steps), ("store", _store), ("growth", _growth)):
        if name in report:
            lines += ["", *lines_of(report[name])]
    return "\n".join([*lines, "", f"all numbers: {report['path']}"])


def _systems(results: Sequence[Result], of: Mapping[str, Mapping[str, float]]) -> list[str]:
    lines = [f"{'':<32}{'events/s':>10}{'µs/event':>10}{'cpu µs':>9}{'peak MB':>9}{'of limit':>10}{'x Faust':>9}{'runs':>6}"]
    for result in results:
        own = of[result.name]
        lines.append(
            f"{result.name:<32}{result.rate:>10,.0f}{result.micros:>10.1f}{result.cpu_micros:>9.1f}{result.peak_mb:>9,.0f}"
            f"{own.get('limit', float('nan')):>10.3f}{own.get('plain Faust', float('nan')):>9.1f}{len(result.runs):>6}"
        )
    return lines


def _latency(found: Mapping[str, Any]) -> list[str]:
    lines = [f"{'ms at ' + format(found['rate'], ',.0f') + ' events/s':<32}{'p50':>9}{'p99':>9}{'p99.9':>9}{'most':>9}{'of':>10}"]
    for key, what in _DELAYS.items():
        if one := found[key]["n"] and found[key]:
            lines.append(f"{what:<32}{one['p50']:>9,.0f}{one['p99']:>9,.0f}{one['p99.9']:>9,.0f}{one['max']:>9,.0f}{one['n']:>10,}")
    return [*lines, f"a surge crosses the threshold with its event number {found['threshold_events']}"]


def _steps(micros: Mapping[str, float]) -> list[str]:
    whole = micros["whole"]
    lines = [f"{'one thread, no broker':<32}{'µs/event':>10}{'share':>8}"]
    return lines + [f"{step:<32}{cost:>10.2f}{cost / whole:>8.1%}" for step, cost in micros.items()]


def _store(found: Mapping[str, Mapping[str, float]]) -> list[str]:
    lines = [f"{'rows into ClickHouse':<32}{'rows/s':>10}{'with making columns':>21}"]
    return lines + [f"{way:<32}{one['rows_per_s']:>10,.0f}{one['with_conversion']:>21,.0f}" for way, one in found.items()]


def _growth(found: Sequence[Mapping[str, float]]) -> list[str]:
    lines = [f"{'distinct':<24}{'µs/event':>10}{'bytes each':>12}{'state MB':>10}{'pause s':>9}{'takeover s':>12}"]
    for one in found:
        kind = "ids" if "ids" in one else "terms"
        each = one["bytes_per_id"] if kind == "ids" else one["bytes"] / one["held"]
        size = one[kind] * each / 1e6 if kind == "ids" else one["bytes"] / 1e6
        pause = f"{one['pause_s']:.3f}" if "pause_s" in one else "-"
        name = f"{one[kind]:,} {kind}"
        lines.append(f"{name:<24}{one['micros']:>10.2f}{each:>12.1f}{size:>10.1f}{pause:>9}{one['takeover_s']:>12.3f}")
    return lines


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or sys.platform
