"""Workers on one ClickHouse server, as in production: two at once, through faults of it and through kill -9."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from agents.clickhouse import ClickHouse
from schemas.watchlist import Brand
from tests.clickhouse_faults import FaultKind
from tests.clickhouse_server import ClickHouseServer
from tests.integration.conftest import Deploy
from tests.integration.logs import prepare, send
from tests.integration.stream import live, live_post
from tests.integration.worker import Worker, until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

FAULTS: tuple[FaultKind, ...] = (
    "status",
    "drop_before",
    "drop_after",
    "half",
    "too_many_parts",
    "disk_full",
    "read_only",
    "memory",
)
POSTS = 200


async def test_two_workers_store_everything_once_through_faults_and_kill_9_of_clickhouse(
    tansu: str, deploy: Deploy, place: Path
) -> None:
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(ClickHouseServer(place / "server"))
        settings = replace(deploy(tansu), clickhouse=server.dsn("beat"))
        await asyncio.to_thread(migrate, settings.clickhouse)
        await prepare(settings, [Brand(id="acme")], 2)
        workers = [await stack.enter_async_context(Worker(settings, place / f"worker{number}.log")) for number in range(2)]

        async def post(first: int) -> None:
            values = [live_post(f"p{number}", "acme is down") for number in range(first, first + POSTS)]
            await send(settings, live(values, 2))

        async def stored() -> int:
            return await asyncio.to_thread(events, settings.clickhouse)

        async def all_stored(posts: int, what: str) -> None:
            async def enough() -> bool:
                return await stored() >= posts

            for worker in workers:
                await until(enough, f"all is stored {what}", worker)

        async def retried() -> float:
            return sum([await worker.metric("drumbeat_store_batches_total", outcome="retried") for worker in workers])

        await post(0)
        await all_stored(POSTS, "on a good day")
        for kind in FAULTS:
            await server.fail(kind, for_requests=1)  # one each: the store's pauses add up
        await post(POSTS)
        await all_stored(2 * POSTS, "through faults")
        await server.kill()
        before = await retried()
        await post(2 * POSTS)

        async def missed() -> bool:
            return await retried() > before

        await until(missed, "ClickHouse is missed", workers[0])
        await server.start()
        await all_stored(3 * POSTS, "after the kill")
        assert [await worker.terminate() for worker in workers] == [0, 0]
        assert await stored() == 3 * POSTS
        counts = await server.counts()
        assert {kind: counts[kind] for kind in FAULTS} == dict.fromkeys(FAULTS, 1)


def migrate(dsn: str) -> None:
    clickhouse = ClickHouse.connect(dsn)
    clickhouse.apply_migrations()
    clickhouse.close()


def events(dsn: str) -> int:
    clickhouse = ClickHouse.connect(dsn)
    found = clickhouse.query("SELECT toInt64(sum(events)) AS n FROM windows_10s WHERE term = 'brand:acme'")["n"].item()
    clickhouse.close()
    return int(found)
