"""What a worker does when the world is not as it should be: ClickHouse is away, or the topic holds another platform."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from agents.local import with_parent
from schemas.watchlist import Brand
from tests.integration.conftest import Deploy
from tests.integration.logs import prepare, read, send
from tests.integration.stream import START_MS, Message, live_post
from tests.integration.worker import ROOT, Worker, stores, until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

_HOLD = """
import sys, time
from agents.clickhouse import ClickHouse
clickhouse = ClickHouse.connect(sys.argv[1])
clickhouse.apply_migrations()
print("held", flush=True)
time.sleep(600)
"""
WRONG = b'{"data":{"id":"1","text":"of another platform"}}'


async def test_a_topic_of_another_platform_stops_the_worker_and_floods_nothing(tansu: str, deploy: Deploy, place: Path) -> None:
    settings = deploy(tansu)
    await prepare(settings, [], 1)
    await send(settings, [Message(0, b"?", WRONG, START_MS + n * 100) for n in range(5_000)])
    for _ in range(3):  # whoever restarts it gets no further
        async with Worker(settings, place / "worker.log", ready=False, module="tests.integration.impatient") as worker:
            assert await worker.ended() == 2
    assert "is DRUMBEAT_RAW set to the right platform?" in worker.log_end()
    assert len(await read(settings, settings.topics.dead_letters)) <= 1_200

    async with Worker(replace(settings, malformed="accept"), place / "worker.log") as worker:

        async def all_dead() -> bool:
            return len(await read(settings, settings.topics.dead_letters)) >= 5_000

        await until(all_dead, "who accepts them has them all as dead letters", worker)


async def test_without_clickhouse_everything_else_goes_on_and_nothing_is_lost(tansu: str, deploy: Deploy, place: Path) -> None:
    settings = deploy(tansu)
    await prepare(settings, [Brand(id="acme")], 1)
    holder = await asyncio.create_subprocess_exec(
        *with_parent([sys.executable, "-c", _HOLD, settings.clickhouse]), stdout=asyncio.subprocess.PIPE, cwd=ROOT
    )
    try:
        assert holder.stdout is not None
        assert await holder.stdout.readline()
        async with Worker(settings, place / "worker.log") as worker:
            await send(settings, [Message(0, b"?", live_post(f"p{n}", "acme"), START_MS + n * 100) for n in range(50)])

            async def retried() -> bool:
                return await worker.metric("drumbeat_store_batches_total", outcome="retried") >= 2

            async def mentioned() -> bool:
                return len(await read(settings, settings.topics.mentions)) == 50

            await until(mentioned, "ingest goes on", worker)
            await until(retried, "store tries again", worker)
            assert await worker.metric("drumbeat_store_rows_total") == 0
            holder.kill()
            await holder.wait()
            await until(stores(worker, "brand:acme", 50), "everything is stored", worker)
            assert await worker.terminate() == 0
    finally:
        if holder.returncode is None:
            holder.kill()
            await holder.wait()
