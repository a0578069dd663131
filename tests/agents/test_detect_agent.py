"""What detect sends when."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaTimeoutError
from prometheus_client import CollectorRegistry

from agents.checkpoints import Checkpoints
from agents.detect import DetectHandler, _Owned
from agents.metrics import Metrics
from agents.outbox import Outbox
from agents.settings import Settings
from schemas.candidates import CandidateBatch
from streams.detect import Detected, DetectParams, DetectState
from tests.agents.silent_producer import SilentProducer


def told(sequence: int) -> Detected:
    return Detected([], [CandidateBatch(partition=0, partitions=1, sequence=sequence, tick_ms=1_000, surges=())], 0, 0, 0)


async def test_candidates_are_sent_when_those_before_are_acknowledged_and_never_when_they_were_given_up() -> None:
    producer, tp = SilentProducer(), TopicPartition("social.partials", 0)
    handler = DetectHandler(Settings(), Outbox(producer), Metrics(CollectorRegistry()))
    checkpoints = cast("Checkpoints", None)  # none is written here
    handler.owned[tp] = _Owned(DetectState.fresh(DetectParams()), DetectParams(), checkpoints, 0, 0, 0.0)
    await handler._send(tp, told(0))
    (first,) = producer.sent
    second = asyncio.create_task(handler._send(tp, told(1)))
    await asyncio.sleep(0)
    assert producer.sent == [first], "those before are still on their way"
    first.set_result(None)
    await second
    assert len(producer.sent) == 2
    third = asyncio.create_task(handler._send(tp, told(2)))
    producer.sent[1].set_exception(KafkaTimeoutError())
    with pytest.raises(KafkaTimeoutError):
        await third
    assert len(producer.sent) == 2, "it would be a gap in the log for ever"
    with pytest.raises(KafkaTimeoutError):
        await handler.outbox.drain()
