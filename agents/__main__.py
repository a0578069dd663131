"""The command `drumbeat`: settings in, one command run, every failure one clear line and an exit code that means something."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import traceback
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from agents.cli import backtest, demo, doctor, exits, moments, offsets, query, replay, schema, topics, verify, watchlist, worker
from agents.cli.parser import OneLineParser, common_options
from agents.settings import Settings, load_settings
from schemas.errors import BadDeploy, ConfigurationError, DrumbeatError

COMMANDS = (demo, worker, replay, backtest, topics, schema, watchlist, moments, query, verify, offsets, doctor)
OWN_LOGGING = (demo.run, worker.run)  # these set up logs of their own; the others speak through their output only


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code; never raises."""
    try:
        args = build_parser().parse_args(argv)
    except SystemExit as stop:  # argparse has said what is wrong, or shown the help
        return stop.code if isinstance(stop.code, int) else exits.USAGE
    debug = getattr(args, "debug", False)
    if args.run not in OWN_LOGGING and not debug:
        for name in ("aiokafka", "asyncio"):  # one line says what failed; the client's own attempts would bury it
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    return _guarded(args, debug)


def build_parser() -> argparse.ArgumentParser:
    """All commands, each with its example."""
    codes = "\n".join(f"  {code:>3}  {meaning}" for code, meaning in exits.MEANING.items())
    parser = OneLineParser(
        prog="drumbeat",
        description="Social events on Kafka in; moments that a brand can act on within seconds, and exact windows, out.",
        epilog=(
            f"exit codes:\n{codes}\n\n"
            "Settings come from DRUMBEAT_* in the environment; `drumbeat doctor` shows and checks them.\n\n"
            "example:\n  drumbeat demo --seconds 90 --report report.json"
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[common_options()],
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"drumbeat {installed_version()}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True, title="commands")
    for command in COMMANDS:
        command.add(commands)
    return parser


def installed_version() -> str:
    """Version of the installed distribution."""
    try:
        return version("drumbeat")
    except PackageNotFoundError:  # run from a source tree that was never installed
        return "0 (not installed)"


def settings_from(args: argparse.Namespace) -> Settings:
    """The environment's settings with the common options on top, checked together."""
    environ = dict(os.environ)
    for name in ("kafka", "clickhouse", "prefix"):
        if hasattr(args, name):
            environ.pop(f"DRUMBEAT_{name.upper()}_FILE", None)
            environ[f"DRUMBEAT_{name.upper()}"] = getattr(args, name)
    return load_settings(environ)


def _guarded(args: argparse.Namespace, debug: bool) -> int:
    try:
        code: int = args.run(args, settings_from(args))
        sys.stdout.flush()
    except KeyboardInterrupt:
        return exits.INTERRUPTED
    except BrokenPipeError:  # the reader of our pipe has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return exits.OK
    except Exception as error:
        if debug:
            traceback.print_exc()
        sys.stderr.write(f"drumbeat: {_one_line(error)}\n")
        return _code_of(error)
    return code


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, DrumbeatError) or _is_world(error):
        return text
    return f"internal error: {type(error).__name__}: {text} (--debug shows where)"


def _code_of(error: Exception) -> int:
    if isinstance(error, ConfigurationError | BadDeploy):
        return exits.USAGE
    return exits.WORLD if isinstance(error, DrumbeatError) or _is_world(error) else exits.BUG


def _is_world(error: Exception) -> bool:
    from aiokafka.errors import KafkaError

    return isinstance(error, KafkaError | ConnectionError | TimeoutError)


if __name__ == "__main__":
    sys.exit(main())
