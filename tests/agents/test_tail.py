"""A topic is read to its end or followed, and a broker that goes away is said, not waited for."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest
from aiokafka import AIOKafkaProducer

from agents import tail as tail_module
from agents.local import LocalBroker
from agents.settings import Settings
from agents.tail import KeyValue, tail
from agents.topics import apply_topics
from schemas.errors import BrokerUnavailable, ConfigurationError

pytestmark = pytest.mark.integration


async def send(settings: Settings, *values: bytes) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka, linger_ms=200)  # one batch
    await producer.start()
    await asyncio.gather(*[producer.send_and_wait(settings.topics.moments, value, key=b"k") for value in values])
    await producer.stop()


async def all_of(settings: Settings, *, beginning: bool) -> list[KeyValue]:
    return [record async for record in tail(settings, settings.topics.moments, beginning=beginning, follow=False)]


async def test_a_topic_is_read_from_its_beginning_to_its_end(deployment: Settings) -> None:
    await apply_topics(deployment)
    assert await all_of(deployment, beginning=True) == []
    await send(deployment, b"1", b"2", b"3")
    assert await all_of(deployment, beginning=True) == [KeyValue(b"k", b"1"), KeyValue(b"k", b"2"), KeyValue(b"k", b"3")]
    assert await all_of(deployment, beginning=False) == []


async def test_what_comes_later_is_followed_and_what_came_before_is_not(deployment: Settings) -> None:
    await apply_topics(deployment)
    await send(deployment, b"old", b"older")
    following = tail(deployment, deployment.topics.moments, beginning=False, follow=True)
    first = asyncio.ensure_future(anext(following))
    while not first.done():
        await send(deployment, b"new")
    assert (await first).value == b"new"
    await following.aclose()


async def test_a_missing_topic_is_said(deployment: Settings) -> None:
    with pytest.raises(ConfigurationError, match="has no topic"):
        await all_of(deployment, beginning=True)


async def test_a_broker_that_goes_away_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail_module, "PROBE_S", 1.0)
    async with LocalBroker() as local:
        settings = Settings(kafka=local.address)
        await apply_topics(settings)
        await send(settings, b"1")
        following = tail(settings, settings.topics.moments, beginning=True, follow=True)
        assert (await anext(following)).value == b"1"
        os.kill(local.pid or 0, signal.SIGKILL)
        with pytest.raises(BrokerUnavailable, match="is it running"):
            await anext(following)
