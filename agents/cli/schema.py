"""`drumbeat schema`: the ClickHouse tables and views, by numbered migrations."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from agents.cli import exits
from agents.cli.output import say
from agents.cli.parser import Commands, add_actions, add_command
from agents.settings import Settings


def add(commands: Commands) -> None:
    actions = add_actions(add_command(commands, "schema", "create or show the ClickHouse schema", example="drumbeat schema apply"))
    add_command(actions, "apply", "apply pending migrations; safe to run twice", example="drumbeat schema apply", run=run_apply)
    add_command(actions, "show", "list the migrations, applied and pending", example="drumbeat schema show", run=run_show)


def run_apply(_args: argparse.Namespace, settings: Settings) -> int:
    from agents.clickhouse import ClickHouse

    store = ClickHouse.connect(settings.clickhouse)
    try:
        applied = store.apply_migrations()
    finally:
        store.close()
    for name in applied:
        say(f"applied  {name}")
    if not applied:
        say("nothing to do: all migrations are applied")
    return exits.OK


def run_show(_args: argparse.Namespace, settings: Settings) -> int:
    from schemas.migrations import load_migrations

    pending = pending_numbers(settings)
    for migration in load_migrations():
        say(f"{'pending' if migration.number in pending else 'applied'}  {migration.name}")
    return exits.NOT_SO if pending else exits.OK


def pending_numbers(settings: Settings) -> set[int]:
    """Numbers of the migrations that were not applied; an embedded ClickHouse that a worker holds is asked through the worker."""
    from agents.clickhouse import ClickHouse
    from agents.clickhouse_dsn import parse_dsn
    from agents.worker_client import NoWorker, ask_query
    from schemas.migrations import load_migrations

    every = {migration.number for migration in load_migrations()}
    target = parse_dsn(settings.clickhouse)
    if target.embedded:
        try:
            rows = asyncio.run(ask_query(settings.listen, "SELECT number FROM schema_migrations FINAL"))
        except NoWorker:
            if not Path(target.path).exists():
                return every
        else:
            return every - set(rows["number"])
    store = ClickHouse.connect(settings.clickhouse)
    try:
        return {migration.number for migration in store.pending()}
    finally:
        store.close()
