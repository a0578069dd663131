"""The Faust app: four agents, each reading record batches from its own source, supervised to stop loudly.

Faust's own consumer, producer, web server, leader election and tables stay off (DESIGN, "How Faust is used").
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import faust
from faust.app.base import BootStrategy
from mode import CrashingSupervisor

from agents.settings import Settings
from agents.source import RecordSource

CHANNEL_BATCHES = 2  # a slow agent stops its source after so many batches


class AgentsOnly(BootStrategy):
    """No Faust consumer: with no Faust topic to subscribe to, it would crash at start."""

    enable_kafka_consumer = False
    enable_kafka_producer = False


class App(faust.App):
    """Faust with nothing but agents and services."""

    BootStrategy = AgentsOnly


def build_app(settings: Settings, sources: Sequence[RecordSource]) -> App:
    """An app whose agents feed each source's batches to its handler."""
    app = App(
        "drumbeat",
        broker=[f"kafka://{server}" for server in settings.kafka.split(",")],
        web_enabled=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        agent_supervisor=CrashingSupervisor,  # the default restarts the agent and forgets the batch it had in hand
    )
    for source in sources:
        source.channel = app.channel(maxsize=CHANNEL_BATCHES)
        app.agent(source.channel, name=source.name)(_feed(source))
    return app


def _feed(source: RecordSource) -> Any:
    async def feed(batches: Any) -> None:
        async for batch in batches:
            await source.process(batch)

    return feed
