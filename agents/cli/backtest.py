"""`drumbeat backtest`: what would have been alerted, from recorded posts and no broker."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from agents.cli import exits
from agents.cli.output import printable, remark, say
from agents.cli.parser import Commands, add_command
from agents.cli.progress import Progress, clock, describe, open_recordings
from agents.settings import PLATFORMS, Settings
from schemas.errors import ConfigurationError
from schemas.watchlist import Brand

if TYPE_CHECKING:
    from agents.backtest import Backtest
    from agents.recordings import Recording

MAX_LINES = 50  # moments on the terminal; the page has all


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "backtest",
        "show what would have been alerted on recorded posts: moments.jsonl, windows.csv and report.html; no broker needed",
        example='drumbeat backtest evening.ndjson.gz --watch explosion,bomb,"#boston" --out build/backtest',
        run=run,
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="NDJSON, plain or gzip; - for stdin")
    parser.add_argument("--watchlist", type=Path, metavar="FILE", help="a JSON array of brands, one brand a line, or plain words")
    parser.add_argument("--watch", default="", metavar="WORDS", help="brands in words, comma-separated: explosion,#boston,@acme")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where to write; made if need be")
    parser.add_argument("--platform", choices=PLATFORMS, default="canonical", help="shape of the lines (default canonical)")


def run(args: argparse.Namespace, settings: Settings) -> int:
    brands = brands_of(args.watchlist, args.watch)
    recordings = open_recordings(args.files, args.platform)
    _make(args.out)
    from agents.backtest import params_of, run_backtest, write_all
    from agents.backtest_report import Report, histories, render

    started_s = time.monotonic()
    with (args.out / "moments.jsonl").open("wb") as alerts, Progress(recordings) as progress:
        result = run_backtest(recordings, brands, params_of(settings, args.platform), alerts, progress.update)
    report = Report(
        "drumbeat backtest", result.moments, result.windows.events_of, facts_of(result, recordings), parameters_of(settings, result)
    )
    write_all(result, args.out, render(report))
    for recording in recordings:
        remark(f"{recording.name}: {describe(recording)}")
    opened = [history[0] for history in histories(result.moments)]
    for moment in opened[:MAX_LINES]:
        say(printable(f"{clock(moment.opened_ms)}  {moment.severity:>2}  {moment.lead_term}  {moment.why}"))
    took_s = time.monotonic() - started_s
    say(f"{len(opened)} moments in {sum(result.outcomes.values()):,} records, {took_s:.1f} s; see {args.out / 'report.html'}")
    return exits.OK


def brands_of(file: Path | None, words: str) -> tuple[Brand, ...]:
    """The brands of a file and of words together; raises ConfigurationError if two share an id."""
    from agents.watchlist import brand_of, distinct, parse_watchlist

    listed: tuple[Brand, ...] = ()
    if file is not None:
        try:
            listed = parse_watchlist(file.read_bytes())
        except OSError as error:
            raise ConfigurationError(f"{file}: {error.strerror}") from error
    return distinct((*listed, *(brand_of(word) for word in words.split(",") if word.strip())))


def facts_of(result: Backtest, recordings: Sequence[Recording]) -> dict[str, str]:
    """What went in and came out, for the page."""
    organic = {moment.moment_id for moment in result.moments if moment.organic}
    every = {moment.moment_id for moment in result.moments}
    facts = {recording.name: describe(recording) for recording in recordings}
    if result.first_ms is not None and result.last_ms is not None:
        facts["from, to (UTC)"] = f"{clock(result.first_ms)}, {clock(result.last_ms)}"
    facts["records"] = ", ".join(f"{n:,} {name}" for name, n in sorted(result.outcomes.items()) if n)
    facts["late"] = f"{result.late_events:,} corrected a closed window, {result.expired_events:,} came too late for that"
    facts["brand posts"] = f"{result.mentions:,}"
    facts["moments"] = f"{len(organic):,}, and {len(every - organic):,} that were not organic"
    return facts


def parameters_of(settings: Settings, result: Backtest) -> dict[str, str]:
    """What the result depends on, for the page."""
    from agents.cli.watchlist import in_words

    python = ".".join(map(str, sys.version_info[:3]))
    return {
        "watchlist": "; ".join(f"{brand.id}: {in_words(brand)}" for brand in result.brands) or "empty",
        "platform": result.params.platform,
        "dedup horizon": f"{settings.dedup_horizon_ms:,} ms",
        "lateness": f"{settings.lateness_ms:,} ms",
        "minimum support": f"{settings.min_support} events per 10 s window, for terms nobody watches to be in windows.csv",
        "versions": f"drumbeat {_version('drumbeat')}, Python {python}, polars {_version('polars')}",
    }


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"--out {folder}: {error.strerror}") from error


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "(not installed)"
