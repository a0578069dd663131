"""`drumbeat demo`: the whole pipeline on this machine, with planted moments."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from agents.cli.parser import Commands, add_command, positive
from agents.settings import Settings


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "demo",
        "run everything on this machine: broker, ClickHouse, worker, a lively feed with planted moments, and a page",
        example="drumbeat demo --seconds 90 --report report.json",
        run=run,
    )
    parser.add_argument("--seconds", type=positive, metavar="N", help="end by itself after N seconds; without it, on Ctrl-C")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write planted, detected, delays and the recount as JSON")
    parser.add_argument("--port", type=int, default=6066, help="of the page on loopback; 0 picks a free one (default 6066)")
    parser.add_argument("--seed", type=int, default=7, help="of the feed; same seed, same feed (default 7)")
    parser.add_argument("--rate", type=float, default=400.0, help="posts per second (default 400)")


def run(args: argparse.Namespace, settings: Settings) -> int:
    from agents.demo import run_demo

    return asyncio.run(run_demo(settings, args.seconds, args.report, port=args.port, seed=args.seed, rate=args.rate))
