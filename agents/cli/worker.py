"""`drumbeat worker`: the agents, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import argparse
from dataclasses import replace

from agents.cli.parser import Commands, add_command
from agents.settings import Settings

AGENTS = ("ingest", "detect", "curate", "store")


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "worker",
        "run the agents: ingest, detect, curate and store",
        example="drumbeat worker --agents ingest,detect --kafka broker:9092 --listen 0.0.0.0:6066",
        run=run,
    )
    parser.add_argument(
        "--agents", type=agents, default=frozenset(AGENTS), metavar="NAMES", help=f"some of {','.join(AGENTS)} (default all)"
    )
    parser.add_argument("--listen", metavar="HOST:PORT", help="metrics, health and page; port 0 picks a free one (DRUMBEAT_LISTEN)")


def agents(text: str) -> frozenset[str]:
    """The agents of a comma-separated list."""
    names = frozenset(name.strip() for name in text.split(",") if name.strip())
    if not names or not names <= set(AGENTS):
        raise argparse.ArgumentTypeError(f"expected some of {', '.join(AGENTS)}, got {text!r}")
    return names


def run(args: argparse.Namespace, settings: Settings) -> int:
    from agents.worker import run_worker

    return run_worker(replace(settings, listen=args.listen or settings.listen), args.agents)
