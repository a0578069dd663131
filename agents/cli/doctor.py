"""`drumbeat doctor`: what is wrong with this deployment, and what to do about it."""

from __future__ import annotations

import argparse
import asyncio

import msgspec

from agents.cli import exits
from agents.cli.output import printable, say
from agents.cli.parser import Commands, add_command
from agents.settings import Settings


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "doctor",
        "check configuration, libraries, broker, topics, lag, ClickHouse and worker; say what to do",
        example="drumbeat doctor --kafka broker:9092 --json",
        run=run,
    )
    parser.add_argument("--json", action="store_true", help="one finding a line")


def run(args: argparse.Namespace, settings: Settings) -> int:
    from agents.doctor import Finding, examine

    def show(finding: Finding) -> None:
        if args.json:
            say(msgspec.json.encode(finding).decode())
            return
        say(printable(f"{finding.level:<5} {finding.area:<13} {finding.says}") + (f"\n{'':20}→ {finding.do}" if finding.do else ""))

    findings = asyncio.run(examine(settings, show))
    failed = sum(finding.level == "fail" for finding in findings)
    warned = sum(finding.level == "warn" for finding in findings)
    if not args.json:
        say(f"{len(findings) - failed - warned} ok, {warned} warnings, {failed} failures")
    return exits.NOT_SO if failed else exits.OK
