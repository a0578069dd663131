"""`drumbeat offsets`: where the agents stand, and having one read again."""

from __future__ import annotations

import argparse
import asyncio
from typing import TYPE_CHECKING

import orjson

from agents.cli import exits
from agents.cli.output import remark, say, table
from agents.cli.parser import Commands, add_actions, add_command
from agents.cli.verify import time_ms
from agents.settings import Settings
from schemas.errors import ConfigurationError

if TYPE_CHECKING:
    from agents.offsets import Where

AGENTS = ("ingest", "detect", "curate", "store")
_ABOUT = """
store   back: the same rows are stored again, which changes nothing; this is how a lost ClickHouse is filled again, as far as
        the topics keep (windows 7 days). Forward: what lies between is never stored, so it needs --skip.
ingest  where it has not begun (a new --prefix): anywhere. Where it has: only back, to the last segment's end at or before the
        wanted place. Counts do not change, as detect drops segments that it has seen; mentions and dead letters come again.
        Never forward: detect would find a gap and stop.
detect, curate  read on from their checkpoints; `set` refuses. To count again from a time, begin another pipeline:
        export DRUMBEAT_PREFIX=again DRUMBEAT_RAW=social.raw:canonical DRUMBEAT_CLICKHOUSE=clickhouse://…/again
        drumbeat topics apply && drumbeat schema apply
        drumbeat watchlist list --json --prefix social > brands.json && drumbeat watchlist put --file brands.json
        drumbeat offsets set --agent ingest --to 2026-11-22T18:00 && drumbeat worker
        drumbeat verify --began 2026-11-22T18:00

Stop the workers that run the agent first. TIME is of the records (the broker's timestamp), the first record not before it.
"""


def add(commands: Commands) -> None:
    about = "show how far the agents are, or let one read again from an earlier place"
    actions = add_actions(add_command(commands, "offsets", about, example="drumbeat offsets show"))
    show = add_command(
        actions,
        "show",
        "committed offset, end and lag per agent, topic and partition",
        example="drumbeat offsets show --agent store",
        run=run_show,
    )
    show.add_argument("--agent", choices=AGENTS, help="one agent (default all)")
    show.add_argument("--json", action="store_true", help="one partition a line")
    moved = add_command(
        actions,
        "set",
        "let store or ingest read again from a place",
        example="drumbeat offsets set --agent store --to beginning",
        run=run_set,
    )
    moved.description = f"{moved.description}\n{_ABOUT}"
    moved.add_argument("--agent", choices=AGENTS, required=True)
    moved.add_argument("--to", required=True, metavar="PLACE", help="beginning, end, an offset, or a time (ISO, UTC)")
    moved.add_argument("--topic", help="one of its topics (default all)")
    moved.add_argument("--partition", type=int, metavar="N", help="one partition (default all)")
    moved.add_argument("--skip", action="store_true", help="store: what lies between need never be stored")


def run_show(args: argparse.Namespace, settings: Settings) -> int:
    from agents.offsets import places

    found = asyncio.run(places(settings, [args.agent] if args.agent else AGENTS))
    if args.json:
        for one in found:
            place = {"agent": one.agent, "topic": one.partition.topic, "partition": one.partition.partition}
            say(orjson.dumps({**place, "committed": one.committed, "first": one.first, "end": one.end, "lag": one.lag}).decode())
        return exits.OK
    rows = [(one.agent, *one.partition, one.committed, one.first, one.end, one.lag) for one in found]
    say(table(("agent", "topic", "partition", "committed", "first", "end", "lag"), rows))
    return exits.OK


def run_set(args: argparse.Namespace, settings: Settings) -> int:
    from agents.group_owner import Refused
    from agents.offsets import move

    try:
        where = _where(args.to)
        moves = asyncio.run(move(settings, args.agent, where, topic=args.topic, partition=args.partition, skip=args.skip))
    except Refused as error:
        remark(f"refused: {error}")
        return exits.NOT_SO
    for one in moves:
        way = one.to - one.before
        what = f"{-way:,} records again" if way < 0 else f"{way:,} records left out" if way else "stays"
        say(f"{one.place.partition.topic}/{one.place.partition.partition}: {one.before:,} -> {one.to:,}, {what}")
    return exits.OK


def _where(text: str) -> Where:
    from agents.offsets import Where

    if text == "beginning":
        return Where("beginning")
    if text == "end":
        return Where("end")
    if text.isdecimal():
        return Where("offset", int(text))
    try:
        return Where("time", time_ms(text))
    except argparse.ArgumentTypeError as error:
        raise ConfigurationError(f"--to: beginning, end, an offset, or a time like 2026-11-22T18:00, got {text!r}") from error
