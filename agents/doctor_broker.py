"""What can be wrong with the broker: requests it does not know, topics missing or different, groups that fall behind."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any, Literal

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from agents.admin import TopicState, known_requests
from agents.settings import Settings
from agents.tail import lone_consumer, newest_offsets
from agents.topics import TopicReport, compare_topics

Said = tuple[Literal["ok", "warn", "fail"], str, str, str]  # level, area, what is so, what to do

# Kafka's numbers of the requests that drumbeat sends
NEEDED = {
    0: "Produce",
    1: "Fetch",
    2: "ListOffsets",
    3: "Metadata",
    8: "OffsetCommit",
    9: "OffsetFetch",
    10: "FindCoordinator",
    11: "JoinGroup",
    12: "Heartbeat",
    14: "SyncGroup",
}
USEFUL = {19: "CreateTopics", 32: "DescribeConfigs", 44: "IncrementalAlterConfigs"}
APPLY = "drumbeat topics apply"
COORDINATOR_S = 5.0
RETRY_S = 0.2


async def examine_broker(settings: Settings, client: AIOKafkaAdminClient) -> AsyncIterator[Said]:
    """Everything about the broker; raises BrokerUnavailable if it goes away."""
    cluster = await client.describe_cluster()
    says = f"{settings.kafka} answers: cluster {cluster.get('cluster_id')}, {len(cluster['brokers'])} broker(s)"
    yield "ok", "broker", says, ""
    for said in _requests(known_requests(client)):
        yield said
    reports = await compare_topics(settings, client)
    for said in (*topics_said(reports), *counts_said(settings, reports)):
        yield said
    there = {report.spec.name: report.state for report in reports if report.state is not None}
    async for said in _lags(settings, client, there):
        yield said


def topics_said(reports: Sequence[TopicReport]) -> Iterator[Said]:
    """Topics that are missing or differ."""
    missing = [report.spec.name for report in reports if report.state is None]
    if missing:
        yield "fail", "topics", f"missing: {', '.join(missing)}", APPLY
    for report in reports:
        if report.differs and report.state is not None:
            wrong = ", ".join(
                f"{key} is {report.state.config.get(key, 'not set')}, not {value}" for key, value in report.differs.items()
            )
            yield "warn", "topics", f"{report.spec.name}: {wrong}", APPLY
    good = sum(report.state is not None and not report.differs for report in reports)
    if good:
        yield "ok", "topics", f"{good} of {len(reports)} as they should be", ""


def counts_said(settings: Settings, reports: Sequence[TopicReport]) -> Iterator[Said]:
    """Partition counts that do not fit each other: explicit partitions would point to where there is none."""
    counts = {report.spec.name: report.state.partitions for report in reports if report.state is not None}
    names = settings.topics
    pairs = [(names.seen, raw.topic) for raw in settings.raw_topics]
    pairs += [(names.windows, names.partials), (names.checkpoints, names.partials)]
    for follower, leader in pairs:
        if follower in counts and leader in counts and counts[follower] < counts[leader]:
            says = f"{follower} has {counts[follower]} partitions, {leader} {counts[leader]}; it needs as many"
            yield "fail", "topics", says, "use a new --prefix with drumbeat topics apply, or add partitions while no worker runs"


def groups_of(settings: Settings) -> dict[str, tuple[str, ...]]:
    """Consumer groups and the topics whose progress they commit."""
    names = settings.topics
    return {
        settings.group("ingest"): tuple(raw.topic for raw in settings.raw_topics),
        settings.group("detect"): (names.partials,),
        settings.group("curate"): (names.candidates,),
        settings.group("store"): (names.windows, names.mentions, names.moments),
    }


async def _lags(settings: Settings, client: AIOKafkaAdminClient, there: dict[str, TopicState]) -> AsyncIterator[Said]:
    read = {
        group: [TopicPartition(t, p) for t in topics if t in there for p in range(there[t].partitions)]
        for group, topics in groups_of(settings).items()
    }
    every = [partition for partitions in read.values() for partition in partitions]
    if not every:
        return
    async with lone_consumer(settings) as consumer:
        ends = await newest_offsets(consumer, every)
        starts = await consumer.beginning_offsets(every)
    for group, partitions in read.items():
        if partitions:
            yield await _lag(group, {p: (starts[p], ends[p]) for p in partitions}, client)


async def _lag(group: str, kept: Mapping[TopicPartition, tuple[int, int]], client: AIOKafkaAdminClient) -> Said:
    """How far a group is behind; `kept` is the first and the end offset of each partition."""
    try:
        committed = await _committed(group, list(kept), client)
    except KafkaError as error:
        return "warn", "lag", f"{group}: {error}", "ask again; a cluster that never had a group takes seconds to make room for one"
    offsets = {p: committed[p].offset for p in kept if p in committed and committed[p].offset >= 0}
    lag = sum(end - offsets.get(p, start) for p, (start, end) in kept.items())
    if not offsets:
        waiting = f", {lag:,} records wait" if lag else ""
        return ("warn" if lag else "ok"), "lag", f"{group} has committed nothing yet{waiting}", "drumbeat worker" if lag else ""
    lost = [p for p, offset in offsets.items() if offset < kept[p][0]]
    if lost:
        says = f"{group} stands before the oldest kept record of {lost[0].topic}/{lost[0].partition}: records were deleted unread"
        return "fail", "lag", says, "keep topics longer than a worker may be away"
    return "ok", "lag", f"{group}: {lag:,} records behind", ""


async def _committed(group: str, partitions: list[TopicPartition], client: AIOKafkaAdminClient) -> dict[TopicPartition, Any]:
    """A fresh cluster makes the topic of its offsets when the first group is asked for: tried again for COORDINATOR_S."""
    deadline_s = time.monotonic() + COORDINATOR_S
    while True:
        try:
            return dict(await client.list_consumer_group_offsets(group, partitions=partitions))
        except KafkaError as error:
            if not error.retriable or time.monotonic() > deadline_s:
                raise
            await asyncio.sleep(RETRY_S)


def _requests(known: frozenset[int]) -> Iterator[Said]:
    if not known:
        return
    lacking = [name for number, name in NEEDED.items() if number not in known]
    if lacking:
        yield "fail", "broker", f"it does not know {', '.join(lacking)}", "use Apache Kafka 2.4 or later, or a broker as capable"
    without = [name for number, name in USEFUL.items() if number not in known]
    if without:
        yield "warn", "broker", f"it does not know {', '.join(without)}", "create and configure topics with the broker's own tools"
