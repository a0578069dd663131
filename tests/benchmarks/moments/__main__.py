"""`make bench-moments NAB=DIR`: what the detector with its default parameters finds in ten labelled public series."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from agents.worker import collect_seldom
from streams.surge_params import SurgeParams
from streams.warm import warm_up
from tests.benchmarks.moments.feed import opened_scores
from tests.benchmarks.moments.series import Series, load_scorer, load_series, write_scores

GRID = (2.7, 2.9, 3.1, 3.3, 3.5, 3.7)
"""Of SurgeParams.lasting, for `--lofo`."""

PUBLISHED = {  # standard, low-FP, low-FN; the first two are told each file's range in advance
    "ARTime (told the range)": (81.8, 70.1, 87.9),
    "contextOSE (told the range)": (74.5, 73.1, 76.5),
    "numenta": (68.0, 61.1, 72.6),
    "twitterADVec": (59.6, 35.8, 69.0),
    "plain SigniTrend z-score": (78.0, 70.3, 82.3),
}


def main() -> int:
    """Exit code 2 if there is no data."""
    parser = argparse.ArgumentParser(prog="make bench-moments", description=__doc__)
    parser.add_argument("--nab", type=Path, default=Path("../shared/bench/nab"), help="folder with data/ and score_realtweets.py")
    parser.add_argument("--lofo", action="store_true", help="also choose `lasting` on nine files and score the tenth; minutes")
    parser.add_argument("--out", type=Path, default=Path("build/moments"), help="where to write one CSV per series")
    args = parser.parse_args()
    if not (args.nab / "score_realtweets.py").exists():
        sys.stderr.write(f"no score_realtweets.py in {args.nab}: say where the data is, make bench-moments NAB=DIR\n")
        return 2
    scorer = load_scorer(args.nab)
    labels = scorer.load_labels()
    series = load_series(args.nab, [label.name for label in labels])
    args.out.mkdir(parents=True, exist_ok=True)
    warm_up()  # both as a worker does before it reads anything
    collect_seldom()
    began = time.process_time()
    scores = opened_scores(series, SurgeParams())
    seconds = time.process_time() - began
    for one, of_one in zip(series, scores, strict=True):
        write_scores(args.out / one.name, one, of_one)
    bins = sum(len(one.counts) for one in series)
    sys.stdout.write(_table(scorer, labels, scorer.load_scores(str(args.out), labels)))
    sys.stdout.write(f"{bins:,} bins, {seconds / bins * 1e5:.2f} s of CPU per 100,000; scores in {args.out}/\n")
    if args.lofo:
        sys.stdout.write(_left_out(scorer, labels, series))
    return 0


def _table(scorer: ModuleType, labels: Sequence[Any], scores: list[np.ndarray[Any, Any]]) -> str:
    own = scorer.evaluate(labels, scores, threshold=sys.float_info.min)
    said = own["standard"]
    lines = [
        f"{'':30} standard  low-FP  low-FN",
        _line("drumbeat, default parameters", [own[profile]["score"] for profile in scorer.PROFILES]),
        *(_line(name, published) for name, published in PUBLISHED.items()),
        "",
        f"alerts {said['alerts']}, precision {said['precision']:.2f}, recall {said['recall']:.2f},"
        f" false alerts per series and day {said['false_alerts_per_series_day']:.3f},"
        f" median delay from label {said['delay_from_label_h']:.2f} h",
    ]
    return "\n".join(lines) + "\n"


def _left_out(scorer: ModuleType, labels: Sequence[Any], series: Sequence[Series]) -> str:
    """Per file: the value of GRID that is best for the nine others, and what all ten files score so."""
    runs = {}
    for lasting in GRID:
        runs[lasting] = [np.array(one) for one in opened_scores(series, SurgeParams(lasting=lasting))]
    out = {}
    for profile in scorer.PROFILES:
        raw = {
            lasting: [scorer.raw_at([label], [one], sys.float_info.min, profile) for label, one in zip(labels, scores, strict=True)]
            for lasting, scores in runs.items()
        }
        chosen = [max(GRID, key=lambda v, i=i: sum(raw[v]) - raw[v][i]) for i in range(len(labels))]  # type: ignore[misc]
        total = sum(raw[value][i] for i, value in enumerate(chosen))
        out[profile] = scorer.normalise(total, labels, profile)
        every = {value: round(float(scorer.normalise(sum(raw[value]), labels, profile)), 1) for value in GRID}
        sys.stdout.write(f"{profile}: chosen for each file {chosen}; over all files {every}\n")
    return _line("leave one file out", list(out.values())) + "\n"


def _line(name: str, scores: Sequence[float]) -> str:
    return f"{name:30} {scores[0]:8.1f} {scores[1]:7.1f} {scores[2]:7.1f}"


if __name__ == "__main__":
    sys.exit(main())
