"""`drumbeat verify`: does what is stored equal a recount of the raw topics?"""

from __future__ import annotations

import argparse
import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import orjson

from agents.cli import exits
from agents.cli.output import printable, remark, say
from agents.cli.parser import Commands, add_command, positive
from agents.settings import Settings

if TYPE_CHECKING:
    from agents.verify import Verified

KINDS = ("all", "brand", "hashtag", "mention", "domain", "keyword")
_ABOUT = """
It reads the raw topics again, counts event by event, and compares with ClickHouse while the worker goes on; nothing is changed.
Windows that are not closed yet are left alone; what differs is looked at again for --wait seconds before it is told. The
settings must be the worker's (DRUMBEAT_RAW, _MIN_SUPPORT, _LATENESS_MS, _DEDUP_HORIZON_MS). Brands are recounted with the
watchlist of now: after a change of it, say --kind all,hashtag,mention,domain,keyword, or --from the change. An embedded
ClickHouse is asked through the worker at DRUMBEAT_LISTEN.
"""


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "verify",
        "recount the raw topics and compare with ClickHouse; print every count that differs",
        example="drumbeat verify --from 2026-11-22T18:00 --to 2026-11-22T20:00 --kind all,brand",
        run=run,
    )
    parser.description = f"{parser.description}\n{_ABOUT}"
    parser.add_argument(
        "--from", dest="from_ms", type=time_ms, default=0, metavar="TIME", help="of the first window (ISO, UTC; or ms)"
    )
    parser.add_argument("--to", dest="to_ms", type=time_ms, metavar="TIME", help="windows start before it")
    parser.add_argument("--kind", type=kinds, default=frozenset(), metavar="KINDS", help=f"some of {','.join(KINDS)}")
    parser.add_argument("--term", action="append", default=[], metavar="TERM", help="kind:value; may be repeated")
    parser.add_argument(
        "--began", dest="began_ms", type=time_ms, metavar="TIME", help="where `offsets set` let ingest of this prefix begin"
    )
    parser.add_argument("--wait", type=float, default=60.0, metavar="S", help="how long to look again at what differs (default 60)")
    parser.add_argument("--limit", type=positive, default=1_000, metavar="N", help="differences to print (default 1,000)")
    parser.add_argument("--json", action="store_true", help="one difference a line, the summary last")


def time_ms(text: str) -> int:
    """ISO 8601, UTC unless it says otherwise, or epoch ms."""
    if text.isdecimal():
        return int(text)
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a time like 2026-11-22T18:00, or epoch ms, got {text!r}") from None
    return round((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1000)


def kinds(text: str) -> frozenset[str]:
    """The kinds of a comma-separated list."""
    found = frozenset(name.strip().rstrip(":") for name in text.split(",") if name.strip())
    if not found or not found <= set(KINDS):
        raise argparse.ArgumentTypeError(f"expected some of {', '.join(KINDS)}, got {text!r}")
    return found


def run(args: argparse.Namespace, settings: Settings) -> int:
    from agents.verify import Asked, verify

    until = {} if args.to_ms is None else {"to_ms": args.to_ms}
    asked = Asked(
        from_ms=args.from_ms,
        kinds=args.kind,
        terms=frozenset(args.term),
        began_ms=args.began_ms,
        wait_s=args.wait,
        limit=args.limit,
        **until,
    )
    found = asyncio.run(verify(settings, asked))
    (_tell_json if args.json else _tell)(found, args.limit)
    if found.differs:
        return exits.NOT_SO
    return exits.UNFINISHED if found.behind else exits.OK


def _tell(found: Verified, limit: int) -> None:
    comparison = found.comparison
    for row in comparison.examples:
        recounted, stored = row["recounted"], row["stored"]
        term = printable(str(row["term"]))
        say(f"{term}  {_clock(row['window_start_ms'])}  recounted {recounted:,}  stored {stored:,}  {stored - recounted:+,}")
    if comparison.different > limit:
        say(f"and {comparison.different - limit:,} more counts; --limit shows them")
    for one in found.wrong[:limit]:
        say(printable(f"{one.what} {one.which} {one.says}"))
    if len(found.wrong) > limit:
        say(f"and {len(found.wrong) - limit:,} more of these")
    for name, text in _summary(found):
        say(f"  {name:<13} {text}")
    for problem in found.behind:
        remark(f"{problem}: what is not finished was not compared; is the worker running?")


def _tell_json(found: Verified, limit: int) -> None:
    for row in found.comparison.examples:
        say(orjson.dumps({**row, "difference": row["stored"] - row["recounted"]}).decode())
    for one in found.wrong[:limit]:
        say(orjson.dumps({"what": one.what, "which": one.which, "says": one.says}).decode())
    outcomes, comparison = found.outcomes, found.comparison
    summary = {
        "records": outcomes.records,
        "counted": outcomes.counted,
        "duplicates": outcomes.duplicates,
        "changes": outcomes.changes,
        "filtered": outcomes.filtered,
        "dead": dict(sorted(outcomes.dead.items())),
        "compared": comparison.compared,
        "different": comparison.different,
        "left_out_events": comparison.left_out_events,
        "in_motion": comparison.in_motion,
        "open_windows": comparison.open_windows,
        "not_comparable_before_ms": found.since_ms,
        "mentions": found.mentions,
        "dead_letters": found.dead_letters,
        "alerts": found.alerts,
        "wrong": len(found.wrong),
        "not_committed": found.not_committed,
        "brands": found.brands,
        "behind": found.behind,
    }
    say(orjson.dumps({"summary": summary}).decode())


def _summary(found: Verified) -> list[tuple[str, str]]:
    outcomes, comparison = found.outcomes, found.comparison
    dead = ", ".join(f"{count:,} {reason}" for reason, count in sorted(outcomes.dead.items()))
    lines = [
        ("records", f"{outcomes.records:,} read again, to the end of the last segments"),
        ("events", f"{outcomes.counted:,} counted, {outcomes.duplicates:,} duplicates, {outcomes.changes:,} edits and deletes"),
        ("filtered", f"{outcomes.filtered:,}"),
        ("dead letters", f"{outcomes.dead.total():,}{f' ({dead})' if dead else ''}; {found.dead_letters:,} rows compared"),
        ("counts", f"{comparison.compared:,} compared, {comparison.different:,} differ"),
        ("left out", f"{comparison.left_out_events:,} events of rare terms, accounted for per window"),
        (
            "not ingested",
            f"{found.not_committed:,} records that ingest has not committed yet: in open segments, or still to be read",
        ),
        ("under way", f"{comparison.in_motion:,} counts may still grow and were compared with a range"),
        ("not closed", f"{comparison.open_windows:,} windows are not closed yet and were not compared"),
    ]
    if found.since_ms:
        lines.append(("too old", f"windows before {_clock(found.since_ms)}: the topic has deleted records that may belong to them"))
    if found.mentions is not None:
        lines.append(("mentions", f"{found.mentions:,} compared, with the watchlist of now ({found.brands:,} brands)"))
    lines.append(("alerts", f"{found.alerts:,} compared with their topic"))
    lines.append(("other", f"{len(found.wrong):,} mentions, dead letters or alerts are not as they should be"))
    return lines


def _clock(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
