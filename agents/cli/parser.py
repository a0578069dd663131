"""An argument parser whose errors are one line, whose commands all show an example, and which takes the common options anywhere."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, NoReturn

from agents.cli import exits
from agents.settings import Settings

Commands = Any  # argparse._SubParsersAction has no public name
Run = Callable[[argparse.Namespace, Settings], int]


class OneLineParser(argparse.ArgumentParser):
    """Says what is wrong in one line on stderr and exits with USAGE."""

    def error(self, message: str) -> NoReturn:
        self.exit(exits.USAGE, f"{self.prog}: {message} (see {self.prog} --help)\n")


def common_options() -> argparse.ArgumentParser:
    """Options that every command takes, before or after its name."""
    parent = OneLineParser(add_help=False, argument_default=argparse.SUPPRESS)
    group = parent.add_argument_group("common options")
    group.add_argument("--kafka", metavar="HOST:PORT", help="bootstrap servers, comma-separated (DRUMBEAT_KAFKA)")
    group.add_argument(
        "--clickhouse", metavar="DSN", help="chdb://PATH or clickhouse://user:password@host:port/db (DRUMBEAT_CLICKHOUSE)"
    )
    group.add_argument("--prefix", metavar="NAME", help="of all topic names and consumer groups (DRUMBEAT_PREFIX)")
    group.add_argument("--debug", action="store_true", help="show tracebacks and the messages of the Kafka client")
    return parent


def add_command(commands: Commands, name: str, about: str, *, example: str, run: Run | None = None) -> OneLineParser:
    """A command with its example under `--help`."""
    parser: OneLineParser = commands.add_parser(
        name,
        help=about,
        description=about[0].upper() + about[1:] + ".",
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[common_options()],
        allow_abbrev=False,
    )
    if run is not None:
        parser.set_defaults(run=run)
    return parser


def add_actions(parser: OneLineParser) -> Commands:
    """The second word of commands like `topics apply`."""
    return parser.add_subparsers(metavar="ACTION", required=True, title="actions")


def positive(text: str) -> int:
    """A whole number above 0, for argparse's `type`."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"expected a whole number above 0, got {text!r}")
    return int(text)
