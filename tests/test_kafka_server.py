"""The Kafka of the tests keeps what it acknowledged, survives what it should, and can be taken away from one client alone."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError

from tests.kafka_node import live_brokers
from tests.kafka_server import KafkaServer, NoKafka, cluster_id

pytestmark = [pytest.mark.integration, pytest.mark.kafka, pytest.mark.timeout(240)]

_FAILOVER_S = 30.0  # 1 to 6 s are usual
_LARGE = 12_000_000
_numbers = itertools.count()


def server(tmp_path_factory: pytest.TempPathFactory, brokers: int, routes: int) -> Iterator[KafkaServer]:
    try:
        running = KafkaServer(tmp_path_factory.mktemp("kafka"), brokers=brokers, routes=routes).__enter__()
    except NoKafka as error:
        pytest.skip(f"Apache Kafka cannot be had here: {error}")
    yield running
    running.__exit__()


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    yield from server(tmp_path_factory, 1, 2)


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    yield from server(tmp_path_factory, 3, 1)


async def start(server: KafkaServer, *nodes: int) -> None:
    """They answer again, and the loop goes on meanwhile."""
    for node in nodes:
        server.launch(node)
    for node in nodes:
        await asyncio.to_thread(server.wait, node)


@asynccontextmanager
async def admin(address: str) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(bootstrap_servers=address, request_timeout_ms=10_000)
    await client.start()
    try:
        yield client
    finally:
        await client.close()


async def new_topic(address: str) -> str:
    """A topic of one partition that nobody has used, with as many replicas as there are brokers."""
    name = f"t{next(_numbers)}"
    async with admin(address) as client:
        await client.create_topics([NewTopic(name, 1, address.count(",") + 1, topic_configs={"max.message.bytes": str(_LARGE)})])
    return name


@asynccontextmanager
async def producing(address: str, timeout_ms: int = 60_000) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(bootstrap_servers=address, acks="all", request_timeout_ms=timeout_ms, max_request_size=_LARGE)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def held(address: str, topic: str) -> list[bytes]:
    """All values that the topic has now. No seek to the beginning: aiokafka lets a reset under way to the end undo it."""
    tp = TopicPartition(topic, 0)
    consumer = AIOKafkaConsumer(bootstrap_servers=address, enable_auto_commit=False, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign([tp])
        end = (await consumer.end_offsets([tp]))[tp]
        values: list[bytes] = []
        while await consumer.position(tp) < end:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                values += [record.value for record in records]
        return values
    finally:
        await consumer.stop()


@asynccontextmanager
async def member(address: str, topic: str) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer of the topic's own group."""
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=address, group_id=topic, auto_offset_reset="earliest", enable_auto_commit=False
    )
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()


async def state(client: AIOKafkaAdminClient, topic: str) -> tuple[int, set[int]]:
    """Leader of the partition, and who is in sync."""
    (partition,) = (await client.describe_topics([topic]))[0]["partitions"]
    return partition["leader"], set(partition["isr"])


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Returns when it holds."""
    async with asyncio.timeout(_FAILOVER_S):
        while not await holds():
            await asyncio.sleep(0.05)


async def acknowledged(producer: AIOKafkaProducer, topic: str, value: bytes) -> int:
    offset: int = (await producer.send_and_wait(topic, value, partition=0)).offset
    return offset


async def test_a_killed_broker_comes_back_with_all_it_acknowledged(single: KafkaServer) -> None:
    topic = await new_topic(single.address)
    values = [b"%d" % number for number in range(1000)]
    async with producing(single.address) as producer:
        for sent in [await producer.send(topic, value, partition=0) for value in values]:
            await sent
        async with member(single.address, topic) as consumer:
            await consumer.getone()
            await consumer.commit({TopicPartition(topic, 0): 321})
        single.kill(0)
        assert not single.alive(0)
        await start(single, 0)
        assert await held(single.address, topic) == values
        async with member(single.address, topic) as consumer:
            assert await consumer.committed(TopicPartition(topic, 0)) == 321
        assert await acknowledged(producer, topic, b"from who was connected before") == 1000


async def test_a_large_message_passes_a_route(single: KafkaServer) -> None:
    topic = await new_topic(single.address)
    async with producing(single.route(1)) as producer:
        await acknowledged(producer, topic, bytes(_LARGE - 1000))
    assert [len(value) for value in await held(single.route(0), topic)] == [_LARGE - 1000]
    assert single.proxy(1).counts()["up"] > _LARGE - 1000
    assert single.proxy(0).counts()["down"] > _LARGE - 1000


async def test_a_paused_broker_is_silent_until_it_is_resumed(single: KafkaServer) -> None:
    single.pause(0)
    with pytest.raises(TimeoutError):
        await asyncio.to_thread(live_brokers, int(single.address.rpartition(":")[2]))
    single.resume(0)
    await asyncio.to_thread(single.wait, 0)


async def test_a_broker_that_was_stopped_starts_again(single: KafkaServer) -> None:
    topic = await new_topic(single.address)
    async with producing(single.address) as producer:
        await acknowledged(producer, topic, b"before")
    await asyncio.to_thread(single.stop_gracefully, 0)
    assert not single.alive(0)
    await start(single, 0)
    assert await held(single.address, topic) == [b"before"]


async def test_one_route_is_cut_while_the_other_goes_on(single: KafkaServer) -> None:
    topic = await new_topic(single.address)
    async with producing(single.route(0)) as cut_off, producing(single.route(1)) as other:
        assert [await acknowledged(producer, topic, b"all well") for producer in (cut_off, other)] == [0, 1]
        single.set_route(0, "cut")
        waiting = await cut_off.send(topic, b"waits", partition=0)
        assert [await acknowledged(other, topic, b"goes on") for _ in range(20)] == list(range(2, 22))
        assert not waiting.done()
        single.set_route(0, "pass")
        assert (await waiting).offset == 22


async def test_a_request_whose_answer_is_lost_takes_effect_and_is_repeated(single: KafkaServer) -> None:
    topic = await new_topic(single.address)
    async with producing(single.route(0)) as producer:
        assert await acknowledged(producer, topic, b"first") == 0
        single.set_route(0, "cut_down")
        sent = await producer.send(topic, b"twice", partition=0)

        async def arrived() -> bool:
            return await held(single.address, topic) == [b"first", b"twice"]

        await until(arrived)
        assert not sent.done()
        single.set_route(0, "reset")
        single.set_route(0, "pass")
        assert (await sent).offset == 2
    assert await held(single.address, topic) == [b"first", b"twice", b"twice"]


async def test_production_goes_on_within_seconds_when_a_leader_dies_and_it_comes_back_in_sync(three: KafkaServer) -> None:
    topic = await new_topic(three.address)
    async with producing(three.address) as producer, admin(three.address) as client:
        await acknowledged(producer, topic, b"0")
        leader, in_sync = await state(client, topic)
        assert in_sync == {0, 1, 2}
        three.kill(leader)
        start_s = time.monotonic()
        async with asyncio.timeout(_FAILOVER_S):
            await acknowledged(producer, topic, b"1")
        print(f"acknowledged {time.monotonic() - start_s:.1f} s after the leader's death")  # noqa: T201 - pytest captures it
        await start(three, leader)

        async def back() -> bool:
            return (await state(client, topic))[1] == {0, 1, 2}

        await until(back)
        assert await held(three.address, topic) == [b"0", b"1"]


async def test_a_client_on_a_route_follows_the_leader_by_the_same_route(three: KafkaServer) -> None:
    topic = await new_topic(three.address)
    async with producing(three.route(0)) as producer, admin(three.address) as client:
        await acknowledged(producer, topic, b"0")
        leader, _ = await state(client, topic)
        await asyncio.to_thread(three.stop_gracefully, leader)
        before = [three.proxy(0, node).counts()["up"] for node in range(3)]
        async with asyncio.timeout(_FAILOVER_S):
            await acknowledged(producer, topic, b"1" * 10_000)
        after = [three.proxy(0, node).counts()["up"] for node in range(3)]
        assert any(now - then > 10_000 for now, then in zip(after, before, strict=True))
        await start(three, leader)


async def test_nothing_is_acknowledged_while_two_of_three_are_gone(three: KafkaServer) -> None:
    topic = await new_topic(three.address)
    async with producing(three.address) as producer, producing(three.address, 4_000) as impatient:
        assert await acknowledged(producer, topic, b"0") == 0
        for node in (0, 1):
            three.kill(node)
        with pytest.raises(KafkaError):
            await acknowledged(impatient, topic, b"refused")
        await start(three, 0, 1)
        async with asyncio.timeout(2 * _FAILOVER_S):
            await acknowledged(producer, topic, b"1")
    values = await held(three.address, topic)
    assert [value for value in values if value != b"refused"] == [b"0", b"1"]


def test_a_cluster_id_never_reads_as_an_option() -> None:
    assert not any(cluster_id().startswith("-") for _ in range(2_000))
