"""Offsets of a group are committed only while nobody else is in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import CommitFailedError, IllegalGenerationError, RebalanceInProgressError, UnknownMemberIdError
from aiokafka.structs import OffsetAndMetadata

from agents.settings import Settings
from schemas.errors import DrumbeatError

_NOT_ALONE = (CommitFailedError, IllegalGenerationError, RebalanceInProgressError, UnknownMemberIdError)


class Refused(DrumbeatError):
    """What was asked for would break or lose something; nothing was changed."""


async def commit_alone(settings: Settings, client: AIOKafkaAdminClient, agent: str, offsets: Mapping[TopicPartition, int]) -> None:
    """The offsets are committed; raises Refused while the group has members.

    The embedded broker keeps members that left and takes no commit beside them: once a worker has run, it is refused there.
    """
    members = await _members(settings, client, agent)
    if members and not any(member[2] for member in members):
        raise Refused(
            f"this broker does not tell whether the {len(members)} member(s) of {settings.group(agent)} still live; the embedded"
            " one keeps them until it ends. On Apache Kafka this works"
        )
    if members:
        raise _in_use(settings, agent, len(members))
    consumer = AIOKafkaConsumer(**settings.kafka_options(), group_id=settings.group(agent), enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign(list(offsets))
        await consumer.commit({tp: OffsetAndMetadata(offset, "") for tp, offset in offsets.items()})
    except _NOT_ALONE:
        raise _in_use(settings, agent, 1) from None
    finally:
        await consumer.stop()


async def _members(settings: Settings, client: AIOKafkaAdminClient, agent: str) -> list[tuple[Any, ...]]:
    (response,) = await client.describe_consumer_groups([settings.group(agent)])
    return list(response.groups[0][5])


def _in_use(settings: Settings, agent: str, count: int) -> Refused:
    return Refused(
        f"group {settings.group(agent)} has {count} live member(s): stop the workers that run {agent} (SIGTERM or Ctrl-C; one"
        f" that was killed counts for {settings.session_timeout_ms / 1000:g} s more), then run this again"
    )
