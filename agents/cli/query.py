"""`drumbeat query`: SQL over what was stored."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from agents.cli import exits
from agents.cli.output import remark, say, table
from agents.cli.parser import Commands, add_command
from agents.settings import Settings
from schemas.errors import ConfigurationError

if TYPE_CHECKING:
    import polars as pl

MAX_TABLE_ROWS = 1_000  # more is for programs: --json has no limit


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "query",
        "ask ClickHouse; an embedded one that a worker holds open is asked through the worker",
        example='drumbeat query "SELECT term, sum(events) AS n FROM windows FINAL GROUP BY term ORDER BY n DESC LIMIT 10"',
        run=run,
    )
    parser.add_argument("sql", metavar="SELECT", help="one statement")
    parser.add_argument("--json", action="store_true", help="one row a line")


def run(args: argparse.Namespace, settings: Settings) -> int:
    rows = ask(settings, args.sql.strip().rstrip(";"))
    if args.json:
        for row in rows.iter_rows(named=True):
            say(orjson.dumps(row, default=plain).decode())
        return exits.OK
    say(table(rows.columns, ([plain(value) for value in row] for row in rows.head(MAX_TABLE_ROWS).iter_rows())))
    if rows.height > MAX_TABLE_ROWS:
        remark(f"{rows.height - MAX_TABLE_ROWS:,} more rows; --json gives all")
    return exits.OK


def plain(value: object) -> object:
    """Bytes as text: ClickHouse gives them for strings it has no type for."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value if value is None else str(value)


def ask(settings: Settings, sql: str) -> pl.DataFrame:
    """The result; raises ConfigurationError for a statement that ClickHouse refuses, SinkUnavailable if it is away."""
    from clickhouse_connect.driver.exceptions import ClickHouseError

    from agents.clickhouse import ClickHouse
    from agents.clickhouse_dsn import parse_dsn
    from agents.worker_client import NoWorker, ask_query

    target = parse_dsn(settings.clickhouse)
    if target.embedded:
        try:
            return asyncio.run(ask_query(settings.listen, sql))
        except NoWorker as nobody:
            if not Path(target.path).exists():
                raise ConfigurationError(f"{nobody}, and {target} does not exist: nothing was stored yet") from nobody
    store = ClickHouse.connect(settings.clickhouse)
    try:
        return store.query(sql)
    except ClickHouseError as error:
        raise ConfigurationError(f"ClickHouse refuses: {target.masked(str(error))}") from error
    finally:
        store.close()
