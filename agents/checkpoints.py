"""Checkpoints on the compacted topic: the newest complete state of an owner with the offset it stands for.

A state is named sections of bytes. Each section is cut into chunks named by their content, so a section that did not
change since the last checkpoint is not sent again. A manifest, written when all chunks are acknowledged, lists them;
two manifest slots are used in turn, so a torn checkpoint leaves the one before whole. Chunks that neither manifest
needs are removed by tombstones.

Written means, in this order: 1 all chunks acknowledged, 2 the manifest acknowledged, 3 only then may offsets be
committed and older chunks removed.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import cramjam
import msgspec
from aiokafka import AIOKafkaProducer, TopicPartition

from agents.read_back import partition_reader
from agents.settings import Settings

CHUNK_BYTES = 512 * 1024  # under every broker's default message size

_log = logging.getLogger(__name__)


class Manifest(msgspec.Struct, frozen=True):
    """One complete checkpoint."""

    number: int
    offset: int  # of the owner's input: where to read on
    sections: dict[str, tuple[str, ...]]  # section -> names of its chunks


@dataclass(slots=True)
class Kept:
    """What is known to be on the topic for one owner."""

    manifests: list[Manifest] = field(default_factory=list)  # oldest first, at most two
    chunks: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A state and the input offset it stands for."""

    offset: int
    sections: dict[str, bytes]


class Checkpoints:
    """Checkpoints of one owner (an agent's partition) on one partition of the checkpoint topic."""

    def __init__(self, settings: Settings, producer: AIOKafkaProducer, owner: str, partition: int) -> None:
        self.settings = settings
        self.producer = producer
        self.owner = owner
        self.partition = TopicPartition(settings.topics.checkpoints, partition)
        self.kept = Kept()

    async def load(self) -> Checkpoint | None:
        """The newest complete checkpoint, or None; an incomplete newer one is passed over."""
        chunks, manifests = await self._read()
        self.kept = Kept([], set(chunks))
        for manifest in sorted(manifests, key=lambda one: one.number):
            if all(name in chunks for names in manifest.sections.values() for name in names):
                self.kept.manifests.append(manifest)
            else:
                _log.warning("checkpoint %d of %s is incomplete, passed over", manifest.number, self.owner)
        if not self.kept.manifests:
            return None
        newest = self.kept.manifests[-1]
        sections = {
            section: b"".join(bytes(cramjam.zstd.decompress(chunks[name])) for name in names)
            for section, names in newest.sections.items()
        }
        return Checkpoint(newest.offset, sections)

    async def save(self, offset: int, sections: Mapping[str, bytes]) -> int:
        """Writes a checkpoint; returns the bytes that had to be sent. See the numbered list above."""
        names = {section: [(_name(chunk), chunk) for chunk in _cut(data)] for section, data in sections.items()}
        fresh = {name: chunk for chunks in names.values() for name, chunk in chunks if name not in self.kept.chunks}
        packed = {name: bytes(cramjam.zstd.compress(chunk, level=1)) for name, chunk in fresh.items()}
        await self._send((self._key("chunk", name), data) for name, data in packed.items())  # 1
        number = self.kept.manifests[-1].number + 1 if self.kept.manifests else 0
        manifest = Manifest(number, offset, {section: tuple(name for name, _ in chunks) for section, chunks in names.items()})
        await self._send([(self._key("manifest", str(number % 2)), msgspec.msgpack.encode(manifest))])  # 2
        self.kept.manifests = [*self.kept.manifests[-1:], manifest]
        self.kept.chunks |= fresh.keys()
        needed = {name for one in self.kept.manifests for chunks in one.sections.values() for name in chunks}
        unneeded = self.kept.chunks - needed
        await self._send((self._key("chunk", name), None) for name in sorted(unneeded))  # 3
        self.kept.chunks -= unneeded
        return sum(len(data) for data in packed.values())

    async def _read(self) -> tuple[dict[str, bytes], list[Manifest]]:
        chunks: dict[str, bytes] = {}
        slots: dict[str, Manifest] = {}
        async with partition_reader(self.settings, self.partition) as reader:
            for record in await reader.read(reader.first, reader.end):
                self._take(record.key, record.value, chunks, slots)
        return chunks, list(slots.values())

    def _take(self, key: bytes, value: bytes | None, chunks: dict[str, bytes], slots: dict[str, Manifest]) -> None:
        owner, kind, name = key.decode().split("|")
        if owner != self.owner:
            return
        if kind == "manifest" and value is not None:
            slots[name] = msgspec.msgpack.decode(value, type=Manifest)
        elif value is None:
            chunks.pop(name, None)
        else:
            chunks[name] = value

    async def _send(self, messages: Iterable[tuple[bytes, bytes | None]]) -> None:
        topic, partition = self.partition
        sent = [await self.producer.send(topic, value, key=key, partition=partition) for key, value in messages]
        await asyncio.gather(*sent)

    def _key(self, kind: str, name: str) -> bytes:
        return f"{self.owner}|{kind}|{name}".encode()


def _cut(data: bytes) -> list[bytes]:
    return [data[at : at + CHUNK_BYTES] for at in range(0, max(len(data), 1), CHUNK_BYTES)]


def _name(chunk: bytes) -> str:
    return hashlib.blake2b(chunk, digest_size=16).hexdigest()
