"""Where every agent stands, and moving it without breaking what it has done.

store may go back anywhere: the same rows again, under the same keys and versions. Forward, what lies between is never stored.
ingest may begin anywhere in a prefix where it has not begun. Where it has, only back, and only to an end of segments that
`social.seen` still knows with the log clock and the ids of a dedup horizon before it: from there the same segments are cut, and
detect, which has seen them, drops them; what comes again is mentions and dead letters. From any other offset the cuts may not
meet those that detect expects: a gap, at which it stops.
detect and curate read on from their checkpoints, whatever is committed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from agents.admin import admin_client
from agents.group_offsets import committed_offsets, partitions_of, topics_of
from agents.group_owner import Refused, commit_alone
from agents.offset_search import offset_at
from agents.read_back import partition_reader
from agents.settings import Settings
from agents.tail import lone_consumer, newest_offsets
from schemas.packets import NO_CLOCK_MS
from schemas.seen import decode_seen

AGENTS = ("ingest", "detect", "curate", "store")
_NEW_PIPELINE = (
    "to count again from a time, begin another pipeline beside this one: DRUMBEAT_PREFIX=again, DRUMBEAT_RAW naming the same raw"
    " topics, another database in DRUMBEAT_CLICKHOUSE; then drumbeat topics apply, schema apply, watchlist put,"
    " offsets set --agent ingest --to TIME, worker"
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where an agent stands in one partition."""

    agent: str
    partition: TopicPartition
    committed: int | None
    first: int
    end: int

    @property
    def lag(self) -> int:
        """Records behind the committed offset; all that are kept if there is none."""
        return max(self.end - max(self.committed if self.committed is not None else 0, self.first), 0)


class Where(NamedTuple):
    """Where to go."""

    kind: Literal["beginning", "end", "offset", "time"]
    value: int = 0


class Move(NamedTuple):
    """One partition's way."""

    place: Place
    to: int

    @property
    def before(self) -> int:
        """Where it stood."""
        return self.place.committed if self.place.committed is not None else self.place.first


async def places(settings: Settings, agents: Sequence[str] = AGENTS) -> list[Place]:
    """Where the agents stand; asks without joining their groups."""
    async with admin_client(settings) as client:
        return [place for agent in agents for place in await _places(settings, client, agent)]


async def move(
    settings: Settings, agent: str, where: Where, *, topic: str | None = None, partition: int | None = None, skip: bool = False
) -> list[Move]:
    """Moves the agent's committed offsets; raises Refused, with nothing moved, if that would break or lose something."""
    if agent in ("detect", "curate"):
        raise Refused(f"{agent} reads on from its checkpoints ({settings.topics.checkpoints}), not from offsets; {_NEW_PIPELINE}")
    async with admin_client(settings) as client:
        found = [place for place in await _places(settings, client, agent) if _is_meant(place, topic, partition)]
        if not found:
            raise Refused(f"{agent} reads no such partition; drumbeat offsets show --agent {agent} lists them")
        if where.kind == "offset" and len(found) > 1:
            raise Refused(f"an offset is of one partition, {len(found)} are meant: say --topic and --partition")
        moves = [Move(place, await _target(settings, place, where)) for place in found]
        if agent == "store":
            _refuse_to_skip(moves, skip=skip)
        else:
            moves = [await _at_a_cut(settings, one) for one in moves]
        await commit_alone(settings, client, agent, {one.place.partition: one.to for one in moves})
    return moves


async def _places(settings: Settings, client: AIOKafkaAdminClient, agent: str) -> list[Place]:
    partitions = await partitions_of(settings, client, topics_of(settings, agent))
    committed = await committed_offsets(client, settings.group(agent), partitions)
    async with lone_consumer(settings) as consumer:
        ends = await newest_offsets(consumer, partitions)
        first: Mapping[TopicPartition, int] = await consumer.beginning_offsets(partitions)
    return [Place(agent, tp, committed[tp], first[tp], ends[tp]) for tp in partitions]


def _is_meant(place: Place, topic: str | None, partition: int | None) -> bool:
    return topic in (None, place.partition.topic) and partition in (None, place.partition.partition)


async def _target(settings: Settings, place: Place, where: Where) -> int:
    if where.kind == "time":
        return await offset_at(settings, place.partition, where.value)
    if where.kind == "offset" and not place.first <= where.value <= place.end:
        raise Refused(f"{_name(place)} holds offsets {place.first:,} to {place.end:,}, not {where.value:,}")
    return {"beginning": place.first, "end": place.end, "offset": where.value}[where.kind]


def _refuse_to_skip(moves: Sequence[Move], *, skip: bool) -> None:
    lost = sum(max(one.to - one.before, 0) for one in moves)
    if lost and not skip:
        raise Refused(f"{lost:,} records in between would never be stored; --skip if that is meant")


async def _at_a_cut(settings: Settings, wanted: Move) -> Move:
    """The last cut at or before the wanted offset; where ingest has not begun, any offset is one."""
    place = wanted.place
    began, cuts, last = await _cuts(settings, place.partition)
    done = last if place.committed is None else place.committed
    if place.committed is None and not cuts:
        return wanted
    if wanted.to > done:
        raise Refused(
            f"{_name(place)}: ingest has done everything before {done:,}; from {wanted.to:,} on detect would find a gap and stop;"
            f" {_NEW_PIPELINE}"
        )
    possible = [cut for cut in (*began, *cuts, done) if place.first <= cut <= min(wanted.to, done)]
    if not possible:
        oldest = min((*began, *cuts), default=done)
        raise Refused(
            f"{_name(place)}: {settings.topics.seen} knows how segments were cut from offset {oldest:,} on, not at {wanted.to:,};"
            f" {_NEW_PIPELINE}"
        )
    return Move(place, max(possible))


async def _cuts(settings: Settings, partition: TopicPartition) -> tuple[list[int], list[int], int]:
    """Where ingest began, if that is still known; ends of segments that it can begin at again; the last of all ends."""
    source = settings.source_id(partition.topic, partition.partition)
    async with partition_reader(settings, TopicPartition(settings.topics.seen, partition.partition)) as reader:
        records = [decode_seen(one.value) for one in await reader.read(reader.first, reader.end) if one.value]
        is_whole = reader.first == 0
    own = [one for one in records if one.source == source and one.clock_ms != NO_CLOCK_MS]
    if not own:
        return [], [], 0
    oldest_ms = min(one.clock_ms for one in own)
    known = [one.end for one in own if is_whole or one.clock_ms - oldest_ms > settings.dedup_horizon_ms]
    return [min(one.start for one in own)] if is_whole else [], known, max(one.end for one in own)


def _name(place: Place) -> str:
    return f"{place.partition.topic}/{place.partition.partition}"
