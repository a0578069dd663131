"""A replay puts every line on the topic, unchanged, at its own time, in the partition of its id."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import ConsumerRecord

from agents import replay as replay_module
from agents.admin import admin_client, change_config, topic_states
from agents.local import LocalBroker, free_port
from agents.recordings import Line, Recording
from agents.replay import Replay, ReplayParams
from agents.settings import Settings
from agents.topics import apply_topics
from schemas.errors import BrokerUnavailable, ConfigurationError
from schemas.events import decode_event

pytestmark = pytest.mark.integration

NOW_MS = 1_700_000_000_000
START_MS = 1_366_000_000_000


def post(post_id: str, created_ms: int, text: str = "hello") -> bytes:
    return json.dumps({"id": post_id, "created_ms": created_ms, "text": text}).encode()


def recorded(path: Path, lines: Sequence[bytes]) -> Recording:
    path.write_bytes(b"\n".join(lines) + b"\n")
    return Recording(str(path), decode_event, NOW_MS)


def quiet(_line: Line, _wait_s: float) -> None:
    """Nobody watches."""


async def read_all(settings: Settings) -> list[ConsumerRecord]:
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka)
    await consumer.start()
    partitions = [TopicPartition(settings.topics.raw, p) for p in range(4)]
    consumer.assign(partitions)
    await consumer.seek_to_beginning(*partitions)
    ends = await consumer.end_offsets(partitions)
    records: list[ConsumerRecord] = []
    while len(records) < sum(ends.values()):
        for batch in (await consumer.getmany(timeout_ms=500)).values():
            records.extend(batch)
    await consumer.stop()
    return records


async def test_every_line_arrives_unchanged_at_its_own_time(deployment: Settings, tmp_path: Path) -> None:
    await apply_topics(deployment, history=True)
    lines = [post(f"p{i}", START_MS + i * 1000) for i in range(3000)]
    lines[7] = b"{broken"
    replay = Replay(deployment, [recorded(tmp_path / "f", lines)], ReplayParams(deployment.topics.raw, None))
    await replay.run(quiet)
    records = await read_all(deployment)
    assert {record.value for record in records} == set(lines)
    assert replay.sent == {str(tmp_path / "f"): 3000}
    times = {record.value: record.timestamp for record in records}
    assert all(times[line] == START_MS + i * 1000 for i, line in enumerate(lines) if i != 7)
    assert times[b"{broken"] == START_MS + 6000


async def test_order_is_kept_within_a_partition_and_copies_share_one(deployment: Settings, tmp_path: Path) -> None:
    await apply_topics(deployment, history=True)
    recording = recorded(tmp_path / "f", [post(f"p{i % 50}", START_MS + i) for i in range(2000)])
    await Replay(deployment, [recording], ReplayParams(deployment.topics.raw, None)).run(quiet)
    records = await read_all(deployment)
    homes: dict[bytes, set[int]] = {}
    for record in records:
        homes.setdefault(record.key, set()).add(record.partition)
    assert len({p for partitions in homes.values() for p in partitions}) == 4
    assert all(len(partitions) == 1 for partitions in homes.values())
    for partition in range(4):
        times = [record.timestamp for record in records if record.partition == partition]
        assert times == sorted(times)


async def test_partitions_are_those_of_the_java_client(deployment: Settings, tmp_path: Path) -> None:
    await apply_topics(deployment, history=True)
    recording = recorded(tmp_path / "f", [post(i, START_MS) for i in ("21", "foobar", "a-little-bit-long-string")])
    await Replay(deployment, [recording], ReplayParams(deployment.topics.raw, None)).run(quiet)
    # murmur2 from Kafka's own UtilsTest: -973932308, -790332482, -985981536
    murmurs = {b"21": -973932308, b"foobar": -790332482, b"a-little-bit-long-string": -985981536}
    expected = {key: (murmur & 0x7FFFFFFF) % 4 for key, murmur in murmurs.items()}
    assert {record.key: record.partition for record in await read_all(deployment)} == expected


async def test_a_line_larger_than_a_batch_arrives(deployment: Settings, tmp_path: Path) -> None:
    await apply_topics(deployment, history=True)
    lines = [post("a", START_MS), post("big", START_MS, "x" * 3_000_000), post("b", START_MS)]
    await Replay(deployment, [recorded(tmp_path / "f", lines)], ReplayParams(deployment.topics.raw, None)).run(quiet)
    assert {len(record.value) for record in await read_all(deployment)} == {len(line) for line in lines}


async def test_a_paced_replay_waits_by_event_time(deployment: Settings, tmp_path: Path) -> None:
    await apply_topics(deployment, history=True)
    recording = recorded(tmp_path / "f", [post("a", START_MS), post("b", START_MS + 30_000), post("c", START_MS + 60_000)])
    waits: list[float] = []
    started = time.monotonic()
    await Replay(deployment, [recording], ReplayParams(deployment.topics.raw, 100.0)).run(lambda _, wait_s: waits.append(wait_s))
    assert time.monotonic() - started >= 0.6
    assert waits[0] == 0.0
    assert all(0 < wait_s <= 0.3 for wait_s in waits[1:])


async def test_a_topic_that_would_delete_the_posts_is_refused_before_the_first_record(deployment: Settings, tmp_path: Path) -> None:
    await apply_topics(deployment)
    recording = recorded(tmp_path / "f", [post("a", START_MS)])
    with pytest.raises(ConfigurationError, match=r"keeps 7 d.*topics apply --history"):
        await Replay(deployment, [recording], ReplayParams(deployment.topics.raw, None)).run(quiet)
    assert await read_all(deployment) == []
    unchecked = ReplayParams(deployment.topics.raw, None, check_retention=False)
    await Replay(deployment, [recorded(tmp_path / "f", [post("a", START_MS)])], unchecked).run(quiet)
    assert len(await read_all(deployment)) == 1


async def test_a_topic_that_overwrites_times_is_refused(deployment: Settings, tmp_path: Path) -> None:
    await apply_topics(deployment, history=True)
    async with admin_client(deployment) as client:
        await change_config(client, deployment.topics.raw, {"message.timestamp.type": "LogAppendTime"})
        while (await topic_states(client))[deployment.topics.raw].config["message.timestamp.type"] != "LogAppendTime":
            await asyncio.sleep(0.01)
    with pytest.raises(ConfigurationError, match="LogAppendTime"):
        await Replay(deployment, [recorded(tmp_path / "f", [post("a", START_MS)])], ReplayParams(deployment.topics.raw, None)).run(
            quiet
        )


async def test_a_missing_topic_says_what_to_run(deployment: Settings, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="drumbeat topics apply"):
        await Replay(deployment, [recorded(tmp_path / "f", [post("a", START_MS)])], ReplayParams("nowhere", None)).run(quiet)


async def test_an_empty_recording_sends_nothing_and_asks_nobody(deployment: Settings, tmp_path: Path) -> None:
    away = replace(deployment, kafka=f"127.0.0.1:{free_port()}")
    replay = Replay(away, [recorded(tmp_path / "f", [])], ReplayParams("nowhere", None))
    await replay.run(quiet)
    assert not replay.sent


async def test_a_broker_that_goes_away_ends_the_replay_with_what_was_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay_module, "REQUEST_TIMEOUT_MS", 1000)
    async with LocalBroker() as local:
        settings = Settings(kafka=local.address, prefix="gone")
        await apply_topics(settings, history=True)
        lines = [post(f"p{i}", START_MS + i) for i in range(1000)]
        lines += [post(f"q{i}", START_MS + 3_600_000 + i) for i in range(10)]
        replay = Replay(settings, [recorded(tmp_path / "f", lines)], ReplayParams(settings.topics.raw, 3600.0))
        waiting = asyncio.Event()

        def watch(_line: Line, wait_s: float) -> None:
            if wait_s:
                waiting.set()

        running = asyncio.create_task(replay.run(watch))
        await waiting.wait()
        os.kill(local.pid or 0, signal.SIGKILL)
        with pytest.raises(BrokerUnavailable):
            await running
    assert replay.sent[str(tmp_path / "f")] <= 1000


@pytest.mark.parametrize("speed", [0.0, -1.0, float("inf"), float("nan")])
def test_a_speed_that_is_none_is_refused(speed: float) -> None:
    with pytest.raises(ConfigurationError, match="above 0, or max"):
        ReplayParams("t", speed)
