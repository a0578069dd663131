"""`make bench-quick`: has a change made the pure pipeline slower? Prints each step against a stored baseline.

What is compared is a ratio to a fixed piece of work of the same kind (JSON, strings, group-bys), measured in turn with the
pipeline, so that a slower machine is no slower pipeline. The events are invented, so they are the same everywhere. `--write` makes
this the baseline. Exits with 1 only when the whole is slower than anybody's noise.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import polars as pl

from tests.benchmarks import steps

BASELINE = Path(__file__).with_name("baseline.json")
TOO_SLOW = 1.5
NOTEWORTHY = 1.15
_THREADS = "POLARS_MAX_THREADS"
_EVENTS, _ROUNDS = 30_000, 8
_ROWS, _LOOPS = 20_000, 4


class Baseline(msgspec.Struct, frozen=True):
    """µs per event of each step, in units of the reference's µs per row."""

    python: str
    polars: str
    steps: dict[str, float]


class _Row(msgspec.Struct):
    id: str
    text: str
    number: int


def reference_micros() -> float:
    """µs per row of work that no change to drumbeat touches."""
    rows = [msgspec.json.encode(_Row(f"id{i}", f"some words #{i % 97} and n{i * 7919 % 9973} more", i)) for i in range(_ROWS)]
    decoder = msgspec.json.Decoder(_Row)
    begun = time.process_time()
    for _ in range(_LOOPS):
        decoded = [decoder.decode(row) for row in rows]
        frame = pl.DataFrame({"text": [row.text for row in decoded], "number": [row.number for row in decoded]})
        words = frame.with_columns(pl.col("text").str.to_uppercase().str.extract_all(r"[#\w]{2,}")).explode("text")
        words.group_by("text").agg(pl.len(), pl.col("number").max()).sort("text")
    return 1e6 * (time.process_time() - begun) / (_ROWS * _LOOPS)


def measure(rounds: int = _ROUNDS, events: int = _EVENTS) -> dict[str, float]:
    """Each step in units of the reference, both the least of some rounds in turn: noise only adds."""
    records = steps.make_records(None, events)
    units, taken = [], []
    for _ in range(rounds):
        units.append(reference_micros())
        taken.append(steps.measure(records, runs=1))
    least = {step: min(one[step] for one in taken) for step in taken[0] if step != "whole"}
    return {step: micros / min(units) for step, micros in {**least, "whole": sum(least.values())}.items()}


def compared(now: Mapping[str, float], before: Mapping[str, float]) -> list[str]:
    """A line per step, the dearest first, the whole last."""
    lines = [f"{'step':<26}{'now':>9}{'baseline':>10}{'ratio':>8}"]
    for step in sorted({*now, *before}, key=lambda step: (step == "whole", -now.get(step, 0.0))):
        have, had = now.get(step, 0.0), before.get(step, 0.0)
        ratio = have / had if had else float("inf")
        mark = "" if max(have, had) < 0.03 * now["whole"] or 1 / NOTEWORTHY < ratio < NOTEWORTHY else "  <-"
        lines.append(f"{step:<26}{have:>9.3f}{had:>10.3f}{ratio:>8.2f}{mark}")
    return lines


def main(argv: Sequence[str] | None = None) -> int:
    """0 unless the pipeline has become much slower."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.quick", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", action="store_true", help="make what is measured now the baseline")
    options = parser.parse_args(argv)
    now = measure()
    if options.write:
        made = Baseline(sys.version.split()[0], pl.__version__, {step: round(ratio, 4) for step, ratio in now.items()})
        BASELINE.write_bytes(msgspec.json.format(msgspec.json.encode(made), indent=1) + b"\n")
    baseline = msgspec.json.decode(BASELINE.read_bytes(), type=Baseline)
    sys.stdout.write("pure pipeline, time per event in units of a fixed piece of work; 1.00 is as at the baseline\n")
    sys.stdout.write("\n".join(compared(now, baseline.steps)) + "\n")
    ratio = now["whole"] / baseline.steps["whole"]
    if ratio > TOO_SLOW:
        sys.stdout.write(f"too slow: {ratio:.2f} times the baseline. If that is meant, write a new one: --write\n")
        return 1
    return 0


if __name__ == "__main__":
    if os.environ.get(_THREADS) != "1":  # polars reads it once
        os.execve(sys.executable, [sys.executable, "-m", "tests.benchmarks.quick", *sys.argv[1:]], {**os.environ, _THREADS: "1"})
    sys.exit(main())
