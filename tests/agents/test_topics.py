"""`topics apply` makes the topics so, again and again, and takes nothing away."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
from aiokafka.admin import NewTopic

from agents.admin import TopicState, admin_client, change_config, create_topics, topic_states
from agents.local import free_port
from agents.settings import RawTopic, Settings
from agents.topics import apply_topics, in_words, wanted_topics
from schemas.errors import BrokerUnavailable, ConfigurationError
from schemas.topics import DAY_MS

pytestmark = pytest.mark.integration


async def states(settings: Settings) -> dict[str, TopicState]:
    async with admin_client(settings) as client:
        every = await topic_states(client)
    return {name: state for name, state in every.items() if name.startswith(f"{settings.prefix}.")}


def first_words(lines: list[str]) -> set[str]:
    return {line.split()[0] for line in lines}


async def test_missing_topics_are_created_as_the_schema_says(deployment: Settings) -> None:
    lines = await apply_topics(deployment, partitions=3, partials=2)
    assert first_words(lines) == {"created"}
    there = await states(deployment)
    for spec in deployment.topics.specs(3, 2):
        assert there[spec.name].partitions == spec.partitions
        assert spec.config().items() <= there[spec.name].config.items()


async def test_a_second_apply_changes_nothing(deployment: Settings) -> None:
    await apply_topics(deployment)
    before = await states(deployment)
    assert first_words(await apply_topics(deployment)) == {"kept"}
    assert await states(deployment) == before


async def test_history_keeps_raw_posts_for_ever_and_a_plain_apply_does_not_take_that_back(deployment: Settings) -> None:
    await apply_topics(deployment)
    lines = await apply_topics(deployment, history=True)
    assert [line for line in lines if not line.startswith("kept")] == [f"changed  {deployment.topics.raw}: retention.ms=-1"]
    await apply_topics(deployment)
    assert (await states(deployment))[deployment.topics.raw].config["retention.ms"] == "-1"


async def test_a_changed_key_leaves_the_others_alone(deployment: Settings) -> None:
    await apply_topics(deployment)
    before = (await states(deployment))[deployment.topics.moments].config
    async with admin_client(deployment) as client:
        assert not await change_config(client, deployment.topics.moments, {"retention.ms": "1"})
    await apply_topics(deployment)
    assert (await states(deployment))[deployment.topics.moments].config == before


async def test_another_partition_count_is_refused_with_the_reason(deployment: Settings) -> None:
    await apply_topics(deployment, partials=2)
    lines = await apply_topics(deployment, partials=3)
    refused = [line for line in lines if line.startswith("refused")]
    assert any(deployment.topics.partials in line and "has 2 partitions, not 3" in line for line in refused)
    assert (await states(deployment))[deployment.topics.partials].partitions == 2


async def test_new_topics_follow_the_partition_counts_that_are_there(deployment: Settings) -> None:
    async with admin_client(deployment) as client:
        await create_topics(client, [NewTopic(deployment.topics.raw, 6, 1)])
        await create_topics(client, [NewTopic(deployment.topics.raw, 6, 1)])  # somebody else was faster: no error
    lines = await apply_topics(deployment)
    assert not [line for line in lines if line.startswith("refused")]
    assert (await states(deployment))[deployment.topics.seen].partitions == 6


async def test_every_configured_raw_topic_is_created(deployment: Settings) -> None:
    raw = (RawTopic(f"{deployment.prefix}.one", "bluesky"), RawTopic(f"{deployment.prefix}.two", "x"))
    await apply_topics(replace(deployment, raw=raw), partitions=5)
    there = await states(deployment)
    assert {there[r.topic].partitions for r in raw} == {5}
    assert deployment.topics.raw not in there


async def test_asking_for_the_topics_creates_none(deployment: Settings) -> None:
    assert await states(deployment) == {}
    assert await states(deployment) == {}


async def test_a_broker_that_is_away_is_one_clear_error(deployment: Settings) -> None:
    address = f"127.0.0.1:{free_port()}"
    with pytest.raises(BrokerUnavailable, match=f"broker {address}: .*is it running"):
        await apply_topics(replace(deployment, kafka=address))


class Refusing:
    """An administration that refuses, as Kafka does for too many replicas; the embedded broker takes anything."""

    async def create_topics(self, _topics: list[NewTopic]) -> SimpleNamespace:
        return SimpleNamespace(topic_errors=[("a", 36, None), ("b", 38, "replication factor 3 is larger than 1 broker")])


async def test_a_topic_that_the_broker_refuses_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match="refuses topic b: replication factor 3"):
        await create_topics(Refusing(), [])


def test_the_seen_topic_has_as_many_partitions_as_the_largest_raw_topic() -> None:
    settings = Settings(raw=(RawTopic("a", "x"), RawTopic("b", "reddit")))
    specs = wanted_topics(settings, {"a": TopicState("a", 3, 1, {}), "b": TopicState("b", 7, 1, {})}, None, None, history=False)
    assert {s.name: s.partitions for s in specs if s.name in ("a", "b", settings.topics.seen)} == {"a": 3, "b": 7, "social.seen": 7}


@pytest.mark.parametrize(("words", "ms"), [("for ever", -1), ("7 d", 7 * DAY_MS), ("12 h", DAY_MS // 2)])
def test_retention_is_said_in_words(words: str, ms: int) -> None:
    assert in_words(ms) == words
