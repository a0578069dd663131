"""`drumbeat moments`: the alerts as they come."""

from __future__ import annotations

import argparse
import asyncio
from datetime import UTC, datetime

import msgspec

from agents.cli import exits
from agents.cli.output import printable, remark, say
from agents.cli.parser import Commands, add_actions, add_command
from agents.settings import Settings
from schemas.moments import Moment, decode_moment


def add(commands: Commands) -> None:
    about = "follow the moments on the alert topic"
    actions = add_actions(add_command(commands, "moments", about, example="drumbeat moments tail --from-beginning"))
    tail = add_command(
        actions,
        "tail",
        "print each alert as it comes: time, severity, status, lead term, why",
        example="drumbeat moments tail --json | jq .data.why",
        run=run_tail,
    )
    tail.add_argument("--json", action="store_true", help="the CloudEvents as they are on the topic, one a line")
    tail.add_argument("--from-beginning", action="store_true", help="with all that the topic still keeps")
    tail.add_argument("--no-follow", action="store_true", help="stop at the end of the topic instead of waiting")


def run_tail(args: argparse.Namespace, settings: Settings) -> int:
    asyncio.run(_tail(settings, as_json=args.json, beginning=args.from_beginning, follow=not args.no_follow))
    return exits.OK


def one_line(moment: Moment) -> str:
    """A moment for a terminal; its text is of strangers, so control characters are taken out."""
    clock = datetime.fromtimestamp(moment.updated_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    status = moment.status if moment.organic else f"{moment.status} (inorganic)"
    return printable(f"{clock}  {moment.severity:>2}  {status:<8}  {moment.lead_term}  {moment.why}")


async def _tail(settings: Settings, *, as_json: bool, beginning: bool, follow: bool) -> None:
    from agents.tail import tail

    async for record in tail(settings, settings.topics.moments, beginning=beginning, follow=follow):
        value = record.value or b""
        try:
            moment = decode_moment(value)
        except msgspec.DecodeError as error:
            remark(f"a record that is no moment: {error}")
            continue
        say(value.decode() if as_json else one_line(moment))
