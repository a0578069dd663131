"""Questions to the broker's administration, with one clear error when it is away and no topic created by asking about it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import IncompatibleBrokerVersion, KafkaError, for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Int8, Int16, Int32, Schema, String

from agents.settings import Settings
from schemas.errors import BrokerUnavailable, ConfigurationError

REQUEST_TIMEOUT_MS = 10_000  # a person waits for the answer
_SET = 0  # operation of an incremental change: set this key, leave the others
_NONE, _TOPIC_EXISTS = 0, 36


@dataclass(frozen=True, slots=True)
class TopicState:
    """One topic as the broker has it."""

    name: str
    partitions: int
    replication: int
    config: Mapping[str, str]  # what the broker tells; a broker may keep some of it to itself
    ready: bool = True  # every partition has a leader


@asynccontextmanager
async def admin_client(settings: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    """A started client; raises BrokerUnavailable if the broker does not answer, also in the middle."""
    client = AIOKafkaAdminClient(**settings.kafka_options(), request_timeout_ms=REQUEST_TIMEOUT_MS)
    try:
        await client.start()
        yield client
    except (KafkaError, OSError) as error:
        raise unreachable(settings, error) from error
    finally:
        await client.close()


def unreachable(settings: Settings, error: BaseException) -> BrokerUnavailable:
    """The one line for a broker that does not answer or refuses."""
    return BrokerUnavailable(
        f"broker {settings.kafka}: {str(error) or 'no answer'}; is it running, is DRUMBEAT_KAFKA (--kafka) right?"
    )


async def topic_states(client: AIOKafkaAdminClient) -> dict[str, TopicState]:
    """All topics with their configuration. Asks for all, because asking for one by name may create it."""
    found = {t["topic"]: t["partitions"] for t in await client.describe_topics() if t["error_code"] == _NONE}
    configs = await _configs(client, found)
    return {name: _state(name, partitions, configs.get(name, {})) for name, partitions in found.items()}


async def create_topics(client: AIOKafkaAdminClient, topics: Sequence[NewTopic]) -> None:
    """The topics exist; one that somebody else made meanwhile is fine. Raises ConfigurationError if the broker refuses."""
    response = await client.create_topics(list(topics))
    for name, code, *message in response.topic_errors:
        if code not in (_NONE, _TOPIC_EXISTS):
            raise ConfigurationError(f"the broker refuses topic {name}: {_why(code, message)}")


async def change_config(client: AIOKafkaAdminClient, topic: str, changes: Mapping[str, str]) -> str:
    """The keys are set and all others left alone; returns why not, or ''."""
    entries = [(key, _SET, value) for key, value in changes.items()]
    try:
        request = _IncrementalAlterConfigs([(ConfigResourceType.TOPIC, topic, entries)])
        response = await client._send_request(request)  # its own call would reset all other keys
    except IncompatibleBrokerVersion:
        return "this broker cannot change the configuration of a topic"
    code, message = response.resources[0][:2]
    return _why(code, [message]) if code != _NONE else ""


def known_requests(client: AIOKafkaAdminClient) -> frozenset[int]:
    """Kafka's numbers of the requests that the broker knows; empty if the client does not tell."""
    connections = getattr(client._client, "_conns", {}).values()  # there is no public way to ask
    return frozenset(number for connection in connections for number in getattr(connection, "_versions", None) or {})


def _state(name: str, partitions: Sequence[Mapping[str, Any]], config: Mapping[str, str]) -> TopicState:
    replication = min((len(partition["replicas"]) for partition in partitions), default=0)
    ready = all(partition["error_code"] == _NONE and partition["leader"] >= 0 for partition in partitions)
    return TopicState(name, len(partitions), replication, config, ready)


async def _configs(client: AIOKafkaAdminClient, names: Iterable[str]) -> dict[str, dict[str, str]]:
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    if not resources:
        return {}
    try:
        responses = await client.describe_configs(resources)
    except IncompatibleBrokerVersion:
        return {}
    return {
        name: {entry[0]: entry[1] for entry in entries if entry[1] is not None}
        for response in responses
        for code, _, _, name, entries in response.resources
        if code == _NONE
    }


def _why(code: int, message: Sequence[Any]) -> str:
    return next((str(m) for m in message if m), for_code(code).__name__)


class _IncrementalAlterConfigsResponse(Response):  # type: ignore[misc]  # aiokafka ships no types
    API_KEY = 44
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "resources",
            Array(("error_code", Int16), ("error_message", String()), ("resource_type", Int8), ("resource_name", String())),
        ),
    )


class _IncrementalAlterConfigsStruct(RequestStruct):  # type: ignore[misc]
    API_KEY = 44
    API_VERSION = 0
    RESPONSE_TYPE = _IncrementalAlterConfigsResponse
    SCHEMA = Schema(
        (
            "resources",
            Array(
                ("resource_type", Int8),
                ("resource_name", String()),
                ("config_entries", Array(("name", String()), ("operation", Int8), ("value", String()))),
            ),
        ),
        ("validate_only", Boolean),
    )


class _IncrementalAlterConfigs(Request[_IncrementalAlterConfigsStruct]):  # type: ignore[misc]
    """KIP-339, which aiokafka 0.14 lacks; its `alter_configs` would reset every key that is not named."""

    API_KEY = 44

    def __init__(self, resources: list[tuple[int, str, list[tuple[str, int, str]]]]) -> None:
        self._resources = resources

    def build(self, request_struct_class: type[_IncrementalAlterConfigsStruct]) -> _IncrementalAlterConfigsStruct:
        return request_struct_class(self._resources, False)
