"""The doctor finds what is broken, says what to do, and one broken part hides no other."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from aiohttp import web
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import NewTopic

from agents.__main__ import main
from agents.admin import TopicState, admin_client, change_config, create_topics
from agents.clickhouse import ClickHouse
from agents.doctor import Finding, examine, examine_libraries, examine_settings
from agents.doctor_broker import counts_said, groups_of
from agents.local import free_port
from agents.settings import Settings
from agents.topics import TopicReport, apply_topics

pytestmark = pytest.mark.integration


async def findings(settings: Settings) -> list[Finding]:
    shown: list[Finding] = []
    found = await examine(settings, shown.append)
    assert shown == found
    return found


def said(found: list[Finding], area: str, level: str) -> str:
    return "\n".join(f"{f.says} {f.do}" for f in found if (f.area, f.level) == (area, level))


async def test_a_fresh_deployment_is_sound(deployment: Settings) -> None:
    await apply_topics(deployment)
    found = await findings(deployment)
    assert [f for f in found if f.level == "fail"] == []
    assert "10 of 10 as they should be" in said(found, "topics", "ok")
    assert "has committed nothing yet" in said(found, "lag", "ok")
    assert "drumbeat worker" in said(found, "worker", "warn")


async def test_everything_broken_is_found_at_once(deployment: Settings) -> None:
    address = f"127.0.0.1:{free_port()}"
    found = await findings(replace(deployment, kafka=address, clickhouse=f"clickhouse://u:hunter2@127.0.0.1:{free_port()}/d"))
    assert address in said(found, "broker", "fail")
    assert "DRUMBEAT_CLICKHOUSE" in said(found, "clickhouse", "fail")
    assert "hunter2" not in str(found)


async def test_missing_topics_come_with_the_command_that_makes_them(deployment: Settings) -> None:
    assert "drumbeat topics apply" in said(await findings(deployment), "topics", "fail")


async def test_a_topic_that_keeps_too_little_is_a_warning(deployment: Settings) -> None:
    await apply_topics(deployment)
    async with admin_client(deployment) as client:
        await change_config(client, deployment.topics.moments, {"retention.ms": "5"})
    told = said(await findings(deployment), "topics", "warn")
    assert f"{deployment.topics.moments}: retention.ms is 5, not 2592000000" in told


async def test_too_few_partitions_for_explicit_placement_is_a_failure(deployment: Settings) -> None:
    async with admin_client(deployment) as client:
        await create_topics(client, [NewTopic(deployment.topics.seen, 2, 1)])
    await apply_topics(deployment)
    assert f"{deployment.topics.seen} has 2 partitions, {deployment.topics.raw} 4" in said(
        await findings(deployment), "topics", "fail"
    )


def test_windows_need_a_partition_for_each_of_partials() -> None:
    settings = Settings()
    specs = {spec.name: spec for spec in settings.topics.specs()}
    counts = {settings.topics.partials: 3, settings.topics.windows: 2, settings.topics.checkpoints: 4}
    reports = [TopicReport(specs[name], TopicState(name, count, 1, {}), {}) for name, count in counts.items()]
    assert [what for _, _, what, _ in counts_said(settings, reports)] == [
        "social.windows has 2 partitions, social.partials 3; it needs as many"
    ]


async def test_lag_is_what_a_group_has_not_committed(deployment: Settings) -> None:
    await apply_topics(deployment)
    producer = AIOKafkaProducer(bootstrap_servers=deployment.kafka, linger_ms=200)
    await producer.start()
    await asyncio.gather(*[producer.send_and_wait(deployment.topics.raw, b"x", partition=i % 2) for i in range(5)])
    await producer.stop()
    assert "5 records wait" in said(await findings(deployment), "lag", "warn")
    consumer = AIOKafkaConsumer(bootstrap_servers=deployment.kafka, group_id=deployment.group("ingest"), enable_auto_commit=False)
    await consumer.start()
    consumer.assign([TopicPartition(deployment.topics.raw, p) for p in range(4)])
    await consumer.commit({TopicPartition(deployment.topics.raw, 0): 2})
    await consumer.stop()
    assert f"{deployment.group('ingest')}: 3 records behind" in said(await findings(deployment), "lag", "ok")


def test_the_groups_are_those_of_the_four_agents() -> None:
    assert list(groups_of(Settings(prefix="p"))) == ["p.ingest", "p.detect", "p.curate", "p.store"]


async def test_pending_migrations_come_with_the_command_that_applies_them(deployment: Settings) -> None:
    pytest.importorskip("chdb", reason="the embedded ClickHouse is not installed")
    store = ClickHouse.connect(deployment.clickhouse)
    assert store.ping()
    assert "drumbeat schema apply" in said(await findings(deployment), "clickhouse", "fail")
    store.apply_migrations()
    store.close()
    assert "all migrations applied" in said(await findings(deployment), "clickhouse", "ok")


@pytest.fixture
async def worker_page(deployment: Settings) -> AsyncIterator[Settings]:
    """Something that answers like a worker that is not ready and holds the embedded ClickHouse."""

    async def ready(_: web.Request) -> web.Response:
        return web.Response(status=503, text='{"lag": 5}')

    async def query(request: web.Request) -> web.Response:
        assert request.headers["X-Drumbeat"] == "query"
        assert "schema_migrations" in await request.text()
        return web.json_response({"version": ["26.5.1"], "migrations": [7]})

    app = web.Application()
    app.router.add_get("/readyz", ready)
    app.router.add_post("/query", query)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    yield replace(deployment, listen=f"{host}:{port}")
    await runner.cleanup()


async def test_a_running_worker_is_asked_for_the_database_that_it_holds(worker_page: Settings) -> None:
    found = await findings(worker_page)
    assert "not ready" in said(found, "worker", "warn")
    assert "26.5.1, 7 migrations applied" in said(found, "clickhouse", "ok")


def test_laptop_settings_are_warned_about() -> None:
    exposed = list(examine_settings(Settings(listen="0.0.0.0:6066")))
    assert [f.level for f in exposed] == ["ok", "warn", "warn"]
    assert [f.level for f in examine_settings(Settings(listen="[::1]:0", author_key="secret"))] == ["ok"]


def test_the_libraries_are_those_the_code_was_written_for() -> None:
    assert {f.level for f in examine_libraries(Settings())} == {"ok"}


def test_the_command_prints_findings_and_says_how_many(
    deployment: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRUMBEAT_LISTEN", deployment.listen)
    options = ["--kafka", deployment.kafka, "--prefix", deployment.prefix, "--clickhouse", deployment.clickhouse]
    assert main(["doctor", *options]) == 1
    assert "1 failures" in capsys.readouterr().out
    assert main(["topics", "apply", *options]) == 0
    capsys.readouterr()
    assert main(["doctor", "--json", *options]) == 0
    assert {json.loads(line)["level"] for line in capsys.readouterr().out.splitlines()} == {"ok", "warn"}
