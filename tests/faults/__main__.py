"""The fault suite: `python -m tests.faults --seconds 3600 --seed 1`, or `make faults`.

Writes build/faults.json, prints a table, and exits with 1 if any row has a wrong cell, a missing, extra or altered alert, or
anything else that is not as it should be. On Apache Kafka, which Maven fetches; where it cannot be had that is said, and nothing
is shown.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.faults.play import play
from tests.faults.report import table, write
from tests.faults.rows import ROWS, Row
from tests.faults.sabotage import SABOTAGES
from tests.faults.scene import Result
from tests.faults.special import SPECIAL
from tests.kafka_server import NoKafka

SABOTAGE = "tests.faults.sabotage"
SABOTAGE_SECONDS = 60.0
SABOTAGE_ATTEMPTS = 3


def main(argv: Sequence[str] | None = None) -> int:
    """Plays the rows that are asked for."""
    known = [row.name for row in ROWS] + list(SPECIAL)
    parser = argparse.ArgumentParser(prog="python -m tests.faults")
    parser.add_argument("--seconds", type=float, default=3_600.0, help="of streams, over all rows; 3,600 is about 200 kills")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rows", default=",".join(known), help=f"some of {', '.join(known)}")
    parser.add_argument("--sabotage", default="", help="break this mechanism of the workers first: the suite must notice")
    parser.add_argument("--sabotages", action="store_true", help="break each mechanism in turn; 1 if one is not noticed by its row")
    parser.add_argument("--report", type=Path, default=Path("build/faults.json"))
    parser.add_argument("--keep", type=Path, help="directory for logs and data, kept afterwards")
    args = parser.parse_args(argv)
    names = args.rows.split(",")
    if unknown := sorted(set(names) - set(known)):
        parser.error(f"no row {', '.join(unknown)}")
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # that brokers are away is the point
    try:
        if args.sabotages:
            return _all_noticed(args.seed)
        results = _results(names, args.seconds, args.seed, args.sabotage, args.keep)
    except NoKafka as error:
        sys.stdout.write(f"skipped, all rows: Apache Kafka cannot be had here: {error}\n")
        return 0
    write(args.report, results, args)
    sys.stdout.write(f"{table(results)}\n")
    return 0 if all(result.passed for result in results) else 1


def _results(names: Sequence[str], seconds: float, seed: int, sabotage: str, keep: Path | None = None) -> list[Result]:
    module = f"{SABOTAGE} {sabotage}" if sabotage else "tests.integration.impatient"
    rows: list[Row | str] = [row for row in ROWS if row.name in names] + [name for name in SPECIAL if name in names]
    with tempfile.TemporaryDirectory(prefix="drumbeat-faults-") as temporary:
        place = keep or Path(temporary)
        place.mkdir(parents=True, exist_ok=True)
        return asyncio.run(play(rows, place, seconds, seed, module))


def _all_noticed(seed: int) -> int:
    """Breaks one mechanism after the other; a row that happened not to hit it is played again with other seeds."""
    unnoticed = []
    for name, sabotage in SABOTAGES.items():
        noticed = any(
            not result.passed
            for attempt in range(SABOTAGE_ATTEMPTS)
            for result in _results([sabotage.row], SABOTAGE_SECONDS, seed + attempt, name)
        )
        sys.stdout.write(f"{name}: {'noticed' if noticed else 'NOT NOTICED'}\n")
        unnoticed += [] if noticed else [name]
    sys.stdout.write(f"{len(SABOTAGES) - len(unnoticed)} passed, {len(unnoticed)} failed\n")
    return 1 if unnoticed else 0


if __name__ == "__main__":
    sys.exit(main())
