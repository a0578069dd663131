"""`drumbeat topics`: the topics on the broker as they should be."""

from __future__ import annotations

import argparse
import asyncio

from agents.cli import exits
from agents.cli.output import say, table
from agents.cli.parser import Commands, add_actions, add_command, positive
from agents.settings import Settings


def add(commands: Commands) -> None:
    about = "create the topics or show them"
    actions = add_actions(add_command(commands, "topics", about, example="drumbeat topics apply --partitions 12 --replication 3"))
    apply = add_command(
        actions,
        "apply",
        "create missing topics and adjust configuration; deletes nothing, safe to run again",
        example="drumbeat topics apply --partitions 12 --partials 4 --replication 3",
        run=run_apply,
    )
    apply.add_argument("--partitions", type=positive, metavar="N", help="of a raw topic (default: as it is, 4 for a new one)")
    apply.add_argument(
        "--partials", type=positive, metavar="N", help="of the topics detect works on (default: as it is, 2 for new ones)"
    )
    apply.add_argument("--replication", type=positive, default=1, metavar="N", help="of new topics (default 1)")
    apply.add_argument("--history", action="store_true", help="let raw topics keep posts of any age, for replays of old recordings")
    add_command(actions, "show", "show the topics and what differs", example="drumbeat topics show", run=run_show)


def run_apply(args: argparse.Namespace, settings: Settings) -> int:
    from agents.topics import apply_topics

    lines = asyncio.run(
        apply_topics(
            settings, partitions=args.partitions, partials=args.partials, replication=args.replication, history=args.history
        )
    )
    for line in lines:
        say(line)
    return exits.NOT_SO if any(line.startswith("refused") for line in lines) else exits.OK


def run_show(args: argparse.Namespace, settings: Settings) -> int:
    from agents.admin import admin_client
    from agents.topics import TopicReport, compare_topics, in_words

    async def compare() -> list[TopicReport]:
        async with admin_client(settings) as client:
            return await compare_topics(settings, client)

    def row(report: TopicReport) -> tuple[object, ...]:
        spec, state = report.spec, report.state
        if state is None:
            return (spec.name, "", "", "", "missing", spec.about)
        keep = "compacted" if "compact" in state.config.get("cleanup.policy", "") else state.config.get("retention.ms", "")
        kept = in_words(int(keep)) if keep.removeprefix("-").isdecimal() else keep or "not told"
        status = ", ".join(f"{key} should be {value}" for key, value in report.differs.items()) or "ok"
        return (spec.name, state.partitions, state.replication, kept, status, spec.about)

    reports = asyncio.run(compare())
    say(table(("topic", "partitions", "replicas", "kept", "status", "holds"), [row(report) for report in reports]))
    return exits.OK if all(report.state is not None and not report.differs for report in reports) else exits.NOT_SO
