"""Checkpoints on the compacted topic: the newest complete state of an owner with the offset it stands for.

A state is named sections of bytes. Each section is cut into chunks named by their content, so a section that did not
change since the last checkpoint is not sent again. A manifest, written when all chunks are acknowledged, lists them;
two manifest slots are used in turn, so a torn checkpoint leaves the one before whole.

A worker that was stopped and wakes up may write beside its successor. So whatever is written belongs to one life of a
writer: it refers to its own chunks only, and removes only what it wrote itself or found when it loaded. A state is a
function of the owner's log, so of all complete manifests, by whomever, the one with the highest offset is the newest.

Written means, in this order: 1 all chunks acknowledged, 2 the manifest acknowledged, 3 only then may offsets be
committed and older chunks, and what earlier writers left, be removed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

import cramjam
import msgspec
import xxhash
from aiokafka import AIOKafkaProducer, TopicPartition

from agents.read_back import partition_reader
from agents.settings import Settings

CHUNK_BYTES = 512 * 1024  # under every broker's default message size

_log = logging.getLogger(__name__)


_NICE = 10  # a tenth of the time of what competes with it

_Result = TypeVar("_Result")


def _give_way() -> None:
    """Of Linux only: elsewhere a priority is that of the whole process."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), os.getpriority(os.PRIO_PROCESS, 0) + _NICE)


_thread = ThreadPoolExecutor(1, "checkpoint", initializer=_give_way)


async def beside(work: Callable[..., _Result], *arguments: Any) -> _Result:
    """Runs work on checkpoints in a thread of its own that gives way to all others: packets are more urgent."""
    return await asyncio.get_running_loop().run_in_executor(_thread, work, *arguments)


def timed(work: Callable[[], _Result]) -> tuple[_Result, float]:
    """What it returns, and for how many seconds this thread was busy with it."""
    begun_s = time.thread_time()
    return work(), time.thread_time() - begun_s


class Manifest(msgspec.Struct, frozen=True):
    """One complete checkpoint of one writer."""

    number: int
    offset: int  # of the owner's input: where to read on
    sections: dict[str, tuple[str, ...]]  # section -> names of its chunks


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A state and the input offset it stands for."""

    offset: int
    sections: dict[str, bytes]


class Place(NamedTuple):
    """Where a chunk (by content) or a manifest (by slot) of a writer is; a record without writer is from before 0.2."""

    writer: str
    kind: str
    name: str


@dataclass(slots=True)
class Shelf:
    """What the topic holds of one owner, record by record."""

    owner: str
    chunks: dict[Place, bytes] = field(default_factory=dict)
    manifests: dict[Place, Manifest] = field(default_factory=dict)

    def take(self, key: bytes, value: bytes | None) -> None:
        """One record in order; a value None removes what is there."""
        owner, *writer, kind, name = key.decode().split("|")
        if owner != self.owner:
            return
        place = Place("".join(writer), kind, name)
        if value is None:
            self.chunks.pop(place, None)
            self.manifests.pop(place, None)
        elif kind == "manifest":
            self.manifests[place] = msgspec.msgpack.decode(value, type=Manifest)
        else:
            self.chunks[place] = value

    def newest(self) -> Checkpoint | None:
        """The complete checkpoint with the highest offset; incomplete ones are passed over."""
        found: tuple[Manifest, str] | None = None
        for place, manifest in self.manifests.items():
            if not all(self._chunk(place.writer, name) for names in manifest.sections.values() for name in names):
                _log.warning("checkpoint of %s at offset %d is incomplete, passed over", self.owner, manifest.offset)
            elif found is None or manifest.offset > found[0].offset:
                found = manifest, place.writer
        if found is None:
            return None
        manifest, writer = found
        unpacked = {
            section: b"".join(self._unpacked(writer, name) for name in names) for section, names in manifest.sections.items()
        }
        return Checkpoint(manifest.offset, unpacked)

    def _chunk(self, writer: str, name: str) -> bytes | None:
        return self.chunks.get(Place(writer, "chunk", name))

    def _unpacked(self, writer: str, name: str) -> bytes:
        return bytes(cramjam.zstd.decompress(self.chunks[Place(writer, "chunk", name)]))


class Checkpoints:
    """Checkpoints of one owner (an agent's partition) on one partition of the checkpoint topic, by one writer: this object."""

    def __init__(self, settings: Settings, producer: AIOKafkaProducer, owner: str, partition: int) -> None:
        self.settings = settings
        self.producer = producer
        self.owner = owner
        self.partition = TopicPartition(settings.topics.checkpoints, partition)
        self.writer = uuid.uuid4().hex[:12]
        self.manifests: list[Manifest] = []  # ours on the topic, oldest first, at most two
        self.chunks: set[str] = set()  # ours on the topic
        self._found: list[Place] = []  # of earlier writers, to be removed once we have a checkpoint of our own

    async def load(self) -> Checkpoint | None:
        """The newest complete checkpoint, or None."""
        shelf = Shelf(self.owner)
        async with partition_reader(self.settings, self.partition) as reader:
            async for records in reader.batches(reader.first, reader.end):
                for record in records:
                    shelf.take(record.key, record.value)
        self._found = [*shelf.manifests, *shelf.chunks]
        return shelf.newest()

    async def save(self, offset: int, sections: Mapping[str, bytes]) -> int:
        """Writes a checkpoint; returns the bytes that had to be sent. See the numbered list above."""
        names, packed = await beside(self._pack, sections)
        await self._send((Place(self.writer, "chunk", name), data) for name, data in packed.items())  # 1
        number = self.manifests[-1].number + 1 if self.manifests else 0
        manifest = Manifest(number, offset, names)
        await self._send([(Place(self.writer, "manifest", str(number % 2)), msgspec.msgpack.encode(manifest))])  # 2
        self.manifests = [*self.manifests[-1:], manifest]
        self.chunks |= packed.keys()
        await self._tidy()  # 3
        return sum(len(data) for data in packed.values())

    def _pack(self, sections: Mapping[str, bytes]) -> tuple[dict[str, tuple[str, ...]], dict[str, bytes]]:
        """The chunks that make up each section, and those that are not on the topic yet."""
        named = {section: [(_name(chunk), chunk) for chunk in _cut(data)] for section, data in sections.items()}
        fresh = {name: chunk for chunks in named.values() for name, chunk in chunks if name not in self.chunks}
        names = {section: tuple(name for name, _ in chunks) for section, chunks in named.items()}
        return names, {name: bytes(cramjam.zstd.compress(chunk, level=1)) for name, chunk in fresh.items()}

    async def _tidy(self) -> None:
        needed = {name for one in self.manifests for chunks in one.sections.values() for name in chunks}
        unneeded = sorted(self.chunks - needed)
        found, self._found = self._found, []
        await self._send([*((place, None) for place in found), *((Place(self.writer, "chunk", name), None) for name in unneeded)])
        self.chunks &= needed

    async def _send(self, messages: Iterable[tuple[Place, bytes | None]]) -> None:
        topic, partition = self.partition
        sent = [await self.producer.send(topic, value, key=self._key(place), partition=partition) for place, value in messages]
        await asyncio.gather(*sent)

    def _key(self, place: Place) -> bytes:
        parts = [self.owner, place.writer, place.kind, place.name] if place.writer else [self.owner, place.kind, place.name]
        return "|".join(parts).encode()


def _cut(data: bytes) -> list[bytes]:
    return [data[at : at + CHUNK_BYTES] for at in range(0, max(len(data), 1), CHUNK_BYTES)]


def _name(chunk: bytes) -> str:
    return xxhash.xxh3_128_hexdigest(chunk)
