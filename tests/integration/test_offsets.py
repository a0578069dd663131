"""Offsets that are moved break nothing: tables are filled again, counts stay, and what would make a gap is refused."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agents.cli import exits
from agents.local import with_parent
from agents.settings import RawTopic, Settings
from tests.integration.conftest import Deploy
from tests.integration.logs import prepare, read, send
from tests.integration.stream import BRANDS, PARTITIONS, START_MS, make_stream, recount
from tests.integration.test_verify import verified
from tests.integration.worker import ROOT, Worker, stores, until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(400)]

STREAM = make_stream(11)[0][:1_200]
COUNTED = recount(STREAM, Settings().lateness_ms)
HALF_MS = START_MS + 120_000


async def offsets(settings: Settings, *words: str) -> tuple[int, str, str]:
    """Exit code, output and remarks of the command."""
    variables = {"DRUMBEAT_KAFKA": settings.kafka, "DRUMBEAT_PREFIX": settings.prefix, "DRUMBEAT_SESSION_TIMEOUT_MS": "6000"}
    variables["DRUMBEAT_RAW"] = ",".join(f"{one.topic}:{one.platform}" for one in settings.raw_topics)
    process = await asyncio.create_subprocess_exec(
        *with_parent([sys.executable, "-m", "agents", "offsets", *words], variables),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def shown(settings: Settings, agent: str) -> list[dict[str, Any]]:
    """Where the agent stands."""
    code, out, err = await offsets(settings, "show", "--agent", agent, "--json")
    assert code == exits.OK, err
    return [json.loads(line) for line in out.splitlines()]


async def until_stored(settings: Settings, log: Path, posts: int, *options: str) -> int:
    """A worker has stored so many posts, verify finds nothing wrong with them, and it has ended; segments that detect had seen."""
    async with Worker(settings, log) as worker:
        await until(stores(worker, "all:posts", posts), f"{posts} posts are stored", worker)
        raw = ",".join(f"{one.topic}:{one.platform}" for one in settings.raw_topics)
        code, rows, _ = await verified(settings, worker, *options, raw=raw)
        assert (code, rows) == (exits.OK, [])
        replayed = await worker.metric("drumbeat_detect_replayed_segments_total")
        assert await worker.terminate() == 0
    return int(replayed)


async def test_offsets_are_shown_and_moved_and_what_would_break_something_is_refused(
    broker: str, deploy: Deploy, place: Path, request: pytest.FixtureRequest
) -> None:
    settings = deploy(broker)
    is_embedded = request.node.callspec.params["broker"] == "tansu"
    in_use = "this broker does not tell" if is_embedded else "live member"
    await prepare(settings, BRANDS, PARTITIONS)
    await send(settings, STREAM)
    async with Worker(settings, place / "first.log") as worker:
        await until(stores(worker, "all:posts", COUNTED.posts), "all is stored", worker)
        for words in (("--agent", "store", "--to", "beginning"), ("--agent", "ingest", "--to", "beginning")):
            code, _, err = await offsets(settings, "set", *words)
            assert code == exits.NOT_SO
            assert in_use in err
        await until(stores(worker, "all:posts", COUNTED.posts), "the worker goes on", worker)
        assert await worker.terminate() == 0
    assert sum(one["end"] for one in await shown(settings, "ingest")) == len(STREAM)

    for agent in ("detect", "curate"):
        code, _, err = await offsets(settings, "set", "--agent", agent, "--to", "beginning")
        assert code == exits.NOT_SO
        assert "checkpoints" in err
    if is_embedded:
        code, _, err = await offsets(settings, "set", "--agent", "store", "--to", "beginning")
        assert code == exits.NOT_SO
        assert in_use in err
        return
    await _ingest_goes_back_to_a_cut_only(settings)
    mentions = len(await read(settings, settings.topics.mentions))
    assert await until_stored(settings, place / "again.log", COUNTED.posts) > 10
    assert len(await read(settings, settings.topics.mentions)) > mentions, "the mentions of half of the stream came again"

    lost = replace(settings, clickhouse=f"{settings.clickhouse}-new")
    code, out, err = await offsets(lost, "set", "--agent", "store", "--to", "beginning")
    assert code == exits.OK, err
    assert "records again" in out
    await until_stored(lost, place / "filled.log", COUNTED.posts)
    code, _, err = await offsets(lost, "set", "--agent", "store", "--to", "beginning", "--topic", settings.topics.windows)
    assert code == exits.OK, err
    code, _, err = await offsets(lost, "set", "--agent", "store", "--to", "end")
    assert code == exits.NOT_SO
    assert "--skip" in err
    code, _, err = await offsets(lost, "set", "--agent", "store", "--to", "end", "--skip")
    assert code == exits.OK, err
    assert sum(one["lag"] for one in await shown(lost, "store")) == 0


async def _ingest_goes_back_to_a_cut_only(settings: Settings) -> None:
    before = await shown(settings, "ingest")
    for one in before:
        words = ("set", "--agent", "ingest", "--topic", one["topic"], "--partition", str(one["partition"]))
        code, _, err = await offsets(settings, *words, "--to", "end")
        assert code == exits.NOT_SO
        assert "gap" in err
        code, _, err = await offsets(settings, *words, "--to", str(one["committed"] // 2))
        assert code == exits.OK, err
    for old, new in zip(before, await shown(settings, "ingest"), strict=True):
        assert 0 <= new["committed"] <= old["committed"] // 2


async def test_another_pipeline_counts_from_a_time_on(tansu: str, deploy: Deploy, place: Path) -> None:
    old = deploy(tansu)
    settings = replace(deploy(tansu), raw=(RawTopic(old.topics.raw, "canonical"),))
    await prepare(old, BRANDS, PARTITIONS)
    await prepare(settings, BRANDS, PARTITIONS)
    await send(old, STREAM)
    code, out, err = await offsets(settings, "set", "--agent", "ingest", "--to", str_time(HALF_MS))
    assert code == exits.OK, err
    assert "records left out" in out
    later = [message for message in STREAM if message.timestamp_ms >= HALF_MS]
    began = {number: next(m for m in later if m.partition == number) for number in range(PARTITIONS)}
    from_there = recount([m for m in later if m.timestamp_ms >= began[m.partition].timestamp_ms], settings.lateness_ms)
    assert 0 < from_there.posts < COUNTED.posts
    await until_stored(settings, place / "later.log", from_there.posts, "--began", str(HALF_MS))


def str_time(ms: int) -> str:
    """ISO, UTC."""
    from datetime import UTC, datetime

    return datetime.fromtimestamp(ms / 1000, UTC).isoformat()
