"""`make bench`: how fast drumbeat is, beside the limit, plain Faust and its peers, on one broker and the same events.

Every run counts its own results once more and fails if one is missing or doubled.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.bench import Bench
from tests.benchmarks.broker import broker
from tests.benchmarks.corpus import RECORDINGS, load_corpus
from tests.benchmarks.parts import PARTS, SYSTEMS, Sizes
from tests.benchmarks.processes import ROOT, cores
from tests.benchmarks.report import write_report


async def measure(options: argparse.Namespace, place: Path) -> dict[str, object]:
    """All that was asked for; parts say on standard error what they do."""
    core, other = cores()
    os.sched_setaffinity(0, {other})
    corpus = load_corpus(options.recordings)
    async with broker(options.broker, place, other) as one:
        bench = Bench(one, place, corpus, core, other, [options.recordings] if options.recordings.is_dir() else [])
        sizes = Sizes.of(options)
        for name, part in PARTS.items():
            if name in options.only:
                begun = time.monotonic()
                sys.stderr.write(f"{name} ...\n")
                bench.found[name] = await part(bench, sizes)
                sys.stderr.write(f"{name} took {time.monotonic() - begun:.0f} s\n")
    return {"broker": one.name, "feed": corpus.source, **bench.found}


def main(argv: Sequence[str] | None = None) -> int:
    """0 when all was measured; a wrong count is an exception."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="sizes that show whether everything runs, and no more")
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(PARTS), help=f"some of {','.join(PARTS)}")
    parser.add_argument("--events", type=int, help="for drumbeat and the limit; the slow ones get their share")
    parser.add_argument("--runs", type=int, help="of each; the median counts")
    parser.add_argument("--systems", type=lambda text: text.split(","), default=list(SYSTEMS), help=f"some of {','.join(SYSTEMS)}")
    parser.add_argument("--broker", choices=("any", "kafka", "tansu"), default="any")
    parser.add_argument("--recordings", type=Path, default=RECORDINGS, help="of posts; without, they are invented")
    parser.add_argument("--report", type=Path, default=ROOT / "build" / "bench.json")
    parser.add_argument(
        "--growth-terms", type=int, default=1_000_000, help="most distinct terms; ten times as many take a minute more"
    )
    parser.add_argument("--rate", type=float, help="events/s for latency; else half of what one worker takes")
    options = parser.parse_args(argv)
    if unknown := {*options.only, *options.systems} - {*PARTS, *SYSTEMS}:
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        found = asyncio.run(measure(options, Path(place)))
    sys.stdout.write(write_report(found, options.report, sys.argv[1:]) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
