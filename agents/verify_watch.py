"""What the pipeline has done by now, as its offsets and topics tell."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from agents.group_offsets import committed_offsets, partitions_of, topics_of
from agents.read_back import TIMEOUT_S, partition_reader
from agents.settings import Settings
from agents.tail import newest_offsets
from agents.verify_beside import Alerts
from schemas.moments import decode_moment
from schemas.packets import decode_packet

POLL_S = 0.3


class PipelineWatch:
    """Asked again and again; every packet and alert is read once."""

    def __init__(self, settings: Settings, asker: AIOKafkaConsumer, admin: AIOKafkaAdminClient) -> None:
        self.settings, self.asker, self.admin = settings, asker, admin
        self.heard: dict[int, int] = {}  # idle source -> offset behind the last record it had read
        self.listened_s = 0.0  # how long sources could be heard: from `begin` to the last time it was read what they say
        self._began_s = 0.0
        self._read: dict[TopicPartition, int] = {}
        self._alerts = Alerts()

    async def begin(self) -> None:
        """Listens from here on."""
        names = self.settings.topics
        self.raw = await partitions_of(self.settings, self.admin, topics_of(self.settings, "ingest"))
        self._partials = await partitions_of(self.settings, self.admin, [names.partials])
        self._stores = await partitions_of(self.settings, self.admin, topics_of(self.settings, "store"))
        self._moments = [tp for tp in self._stores if tp.topic == names.moments]
        self._read |= await self.ends(self._partials[:1])
        self._began_s = time.monotonic()

    async def listen(self) -> None:
        """What sources have said since: idle, with everything up to an offset, or something else. One partition tells all."""
        tp, now_s = self._partials[0], time.monotonic()
        async with partition_reader(self.settings, tp) as reader:
            for record in await reader.read(self._read[tp], reader.end):
                packet = decode_packet(record.value)
                if packet.final or not packet.idle_ms:
                    self.heard.pop(packet.source, None)
                else:
                    self.heard[packet.source] = packet.segments[0].end
            self._read[tp] = max(self._read[tp], reader.end)
        self.listened_s = now_s - self._began_s

    async def detected(self, deadline_s: float) -> list[str]:
        """Waits until detect has committed what is there now; what it still lacks at the deadline."""
        return await self._finished("detect", self._partials, deadline_s)

    async def stored(self, deadline_s: float) -> list[str]:
        """Waits until store has committed what is there now; what it still lacks at the deadline."""
        return await self._finished("store", self._stores, deadline_s)

    async def alerts(self) -> Alerts:
        """All alerts on the topic now."""
        for tp in self._moments:
            async with partition_reader(self.settings, tp) as reader:
                self._alerts.is_whole = self._alerts.is_whole and reader.first == 0
                start = self._read.get(tp, reader.first)
                for record in await reader.read(start, reader.end):
                    moment = decode_moment(record.value or b"")
                    self._alerts.bodies[moment.moment_id, moment.sequence].add(record.value)
                self._read[tp] = max(start, reader.end)
        return Alerts(self._alerts.bodies.copy(), self._alerts.is_whole)

    async def committed(self, starts: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        """Where ingest stands; at `starts` if it has committed nothing."""
        offsets = await committed_offsets(self.admin, self.settings.group("ingest"), self.raw)
        return {tp: starts[tp] if offset is None else offset for tp, offset in offsets.items()}

    async def ends(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """The offset behind the newest record of each partition."""
        return await newest_offsets(self.asker, list(partitions), TIMEOUT_S)

    async def _finished(self, agent: str, partitions: Sequence[TopicPartition], deadline_s: float) -> list[str]:
        ends = await self.ends(partitions)
        first = await self.asker.beginning_offsets(list(partitions))
        while True:
            committed = await committed_offsets(self.admin, self.settings.group(agent), partitions)
            offsets = {tp: first[tp] if offset is None else offset for tp, offset in committed.items()}
            lag = sum(max(end - offsets[tp], 0) for tp, end in ends.items())
            if not lag:
                return []
            if time.monotonic() > deadline_s:
                return [f"{agent} has {lag:,} records still to do"]
            await asyncio.sleep(POLL_S)
