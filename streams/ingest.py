"""Ingest of one raw partition: decode, deduplicate, enrich, count; every output a function of the log.

`ingest` takes the next records and returns what the segments that they ended must send; only when all of that is
acknowledged may `commit_offset` be committed. `provisional` says what the open segment holds so far. Both may repeat
mentions and dead letters after a crash (same content), never within one life of the state.

State is bounded by one open segment and the dedup horizon.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from schemas.dead_letters import DeadLetter
from schemas.errors import MalformedEvent
from schemas.events import Event, Skipped
from schemas.mentions import Mention
from schemas.packets import NO_CLOCK_MS, Packet, Segment
from schemas.seen import SeenIds
from streams.brands import CompiledWatchlist
from streams.dedup import Seen, latest_sights, remember
from streams.records import Columns, Record
from streams.segment_table import Content, IngestParams, Part, SegmentTable
from streams.segments import STEP_MS, Cut, Cutter

PASS_RECORDS = 32_768  # of several raw partitions that are looked at together; those of one are never divided

_DECODED_TOGETHER = 64

Decoder = Callable[[bytes], Event | Skipped]


@dataclass(slots=True)
class IngestState:
    """One raw partition, owned by the caller; `resume` makes it."""

    source: int
    topic: str
    partition: int
    cutter: Cutter
    seen: Seen
    records: Columns = field(default_factory=Columns)  # of the open segment
    contents: list[Content] = field(default_factory=list)  # of the same records, decoded
    told: int = 0  # mentions and dead letters below this offset were handed out


@dataclass(frozen=True, slots=True)
class Ingested:
    """What to send, and, for finished segments, where to commit once it is acknowledged."""

    packets: list[Packet]  # one per partials partition, in order; empty: nothing to send
    mentions: list[Mention]
    dead_letters: list[DeadLetter]
    seen: SeenIds | None
    commit_offset: int | None
    outcomes: Counter[str]  # counted, duplicate, filtered, dead; of finished segments


NOTHING = Ingested([], [], [], None, None, Counter())


def resume(source: int, topic: str, partition: int, offset: int, sightings: Sequence[SeenIds], params: IngestParams) -> IngestState:
    """State at a committed offset, from the `social.seen` records that end at or before it."""
    own = sorted((one for one in sightings if one.source == source and one.end <= offset), key=lambda one: one.end)
    clock = own[-1].clock_ms if own and own[-1].end == offset and own[-1].clock_ms != NO_CLOCK_MS else None
    seen = Seen()
    if own:
        ids = np.concatenate([np.frombuffer(one.ids, dtype="<u8") for one in own]).astype(np.uint64)
        steps = np.concatenate([np.frombuffer(one.steps, dtype="<u4") for one in own]).astype(np.uint32)
        remember(seen, latest_sights(ids, steps), params.dedup)
    return IngestState(source, topic, partition, Cutter(offset, clock, params.segments), seen)


class Outcomes(NamedTuple):
    """Of some records in a row."""

    records: int
    dead: int


def recent_outcomes(sightings: Sequence[SeenIds], offset: int, records: int) -> Outcomes:
    """Of at least so many records before a committed offset, if the sightings reach back that far."""
    ending_at = {one.end: one for one in sightings}
    total = dead = 0
    while total < records and (one := ending_at.get(offset)) is not None and one.start < offset:
        total, dead, offset = total + one.records, dead + one.dead, one.start
    return Outcomes(total, dead)


@dataclass(frozen=True, slots=True)
class Arrived:
    """The next records of one raw partition."""

    state: IngestState
    records: Columns
    decode: Decoder


@dataclass(frozen=True, slots=True)
class Asked:
    """The open segment of one raw partition is to be told; `idle_ms`: how long nothing came, 0 if that is no news."""

    state: IngestState
    idle_ms: int


def ingest(
    state: IngestState, records: Sequence[Record] | Columns, decode: Decoder, watchlist: CompiledWatchlist, params: IngestParams
) -> Ingested:
    """Takes the next records of the log; raises nothing about their content."""
    fresh = records if isinstance(records, Columns) else Columns.of(records)
    return ingest_all([Arrived(state, fresh, decode)], watchlist, params)[0]


def ingest_all(arrived: Sequence[Arrived], watchlist: CompiledWatchlist, params: IngestParams) -> list[Ingested]:
    """The same for different raw partitions, in one pass: what it says of each does not depend on the others."""
    parts = [_part(one) for one in arrived]
    ended = [number for number, part in enumerate(parts) if part.cuts]
    done = [NOTHING] * len(arrived)
    for some in _passes([len(parts[number].records) for number in ended]):
        numbers = ended[some]
        states, whole = [arrived[number].state for number in numbers], [parts[number] for number in numbers]
        for number, found in zip(numbers, _finish(states, whole, watchlist, params), strict=True):
            done[number] = found
    return done


def provisional(state: IngestState, now_ms: int, idle_ms: int, watchlist: CompiledWatchlist, params: IngestParams) -> Ingested:
    """The open segment so far; also says that the source is there when nothing is open. Does not change the counts' state."""
    return provisional_all([Asked(state, idle_ms)], now_ms, watchlist, params)[0]


def provisional_all(asked: Sequence[Asked], now_ms: int, watchlist: CompiledWatchlist, params: IngestParams) -> list[Ingested]:
    """The same for different raw partitions, in one pass."""
    done, parts = [NOTHING] * len(asked), list[Part]()
    spoken = list[int]()
    for number, one in enumerate(asked):
        part = _open_part(one.state, now_ms)
        if part is None:
            done[number] = _nothing_open(one, params)
        else:
            parts.append(part)
            spoken.append(number)
    for some in _passes([len(part.records) for part in parts]):
        table = SegmentTable(parts[some], watchlist, params)
        packets = table.packets(final=False, idle_ms=[asked[number].idle_ms for number in spoken[some]])
        sides = _side_outputs([asked[number].state for number in spoken[some]], table)
        for number, of_part, side in zip(spoken[some], packets, sides, strict=True):
            done[number] = Ingested(of_part, *side, None, None, Counter())
    return done


def _part(arrived: Arrived) -> Part:
    """The segments that its records end, with all their records; the others are kept for later."""
    state, fresh = arrived.state, arrived.records
    state.records.extend(fresh)
    state.contents += _decode_all(arrived.decode, fresh.payloads)
    cuts = state.cutter.push_columns(fresh.offsets, fresh.times_ms, list(map(len, fresh.payloads)))
    total = sum(cut.count for cut in cuts)
    whole, state.records = state.records.split(total) if total else (Columns(), state.records)
    contents, state.contents = (state.contents[:total], state.contents[total:]) if total else ([], state.contents)
    return Part(state.source, state.topic, state.partition, state.seen, cuts, whole, contents)


def _open_part(state: IngestState, now_ms: int) -> Part | None:
    cutter = state.cutter
    times = tuple(cutter.open_times(now_ms))
    if not times:
        return None
    clock = max([*times, cutter.clock_ms if cutter.clock_ms is not None else NO_CLOCK_MS])
    cut = Cut(cutter.start, cutter.open_end(), clock // STEP_MS * STEP_MS, cutter.clock_ms, clock, times)
    return Part(state.source, state.topic, state.partition, state.seen, [cut], state.records, state.contents)


def _nothing_open(asked: Asked, params: IngestParams) -> Ingested:
    cutter = asked.state.cutter
    clock = cutter.clock_ms if cutter.clock_ms is not None else NO_CLOCK_MS
    step = clock if clock == NO_CLOCK_MS else clock // STEP_MS * STEP_MS
    packet = Packet(
        source=asked.state.source,
        sources=params.sources,
        final=False,
        idle_ms=asked.idle_ms,
        segments=(Segment(cutter.start, cutter.start, step, clock),),
    )
    return Ingested([packet] * params.partitions, [], [], None, None, Counter())


def _passes(records: Sequence[int]) -> list[slice]:
    """Neighbours together, up to PASS_RECORDS in a pass: it holds some kB for each."""
    found, start, total = list[slice](), 0, 0
    for number, count in enumerate(records):
        if number > start and total + count > PASS_RECORDS:
            found.append(slice(start, number))
            start, total = number, 0
        total += count
    return [*found, slice(start, len(records))] if records else []


def _finish(
    states: Sequence[IngestState], parts: Sequence[Part], watchlist: CompiledWatchlist, params: IngestParams
) -> list[Ingested]:
    table = SegmentTable(parts, watchlist, params)
    packets = table.packets(final=True, idle_ms=[0] * len(parts))
    done = []
    for number, (state, side) in enumerate(zip(states, _side_outputs(states, table), strict=True)):
        seen, outcomes = _remembered(state, table, number, params)
        done.append(Ingested(packets[number], *side, seen, seen.end, outcomes))
    return done


def _remembered(state: IngestState, table: SegmentTable, number: int, params: IngestParams) -> tuple[SeenIds, Counter[str]]:
    run, cuts = table.sightings(number), table.parts[number].cuts
    remember(state.seen, run, params.dedup)
    clock = cuts[-1].clock_before_ms
    outcomes = Counter[str]()
    for segment in table.segments_of(number):
        outcomes.update(counted=segment.counted, duplicate=segment.duplicates, filtered=segment.filtered, dead=segment.dead)
    seen = SeenIds(
        source=state.source,
        start=cuts[0].start,
        end=cuts[-1].end,
        clock_ms=NO_CLOCK_MS if clock is None else clock,
        ids=run.ids.astype("<u8").tobytes(),
        steps=run.steps.astype("<u4").tobytes(),
        records=outcomes.total(),
        dead=outcomes["dead"],
    )
    return seen, outcomes


def _side_outputs(states: Sequence[IngestState], table: SegmentTable) -> list[tuple[list[Mention], list[DeadLetter]]]:
    """Mentions and dead letters that were not handed out before."""
    sides = []
    for number, (state, found) in enumerate(zip(states, table.mentions(), strict=True)):
        mentions = [mention for offset, mention in found if offset >= state.told]
        dead = [letter for letter in table.dead_letters(number) if letter.offset >= state.told]
        end = table.parts[number].cuts[-1].end
        state.told = max(state.told, end)
        sides.append((mentions, dead))
    return sides


def _decode_all(decode: Decoder, payloads: list[bytes]) -> list[Content]:
    """Each payload decoded; a few together without a malformed one go through in one call."""
    done: list[Content] = []
    for start in range(0, len(payloads), _DECODED_TOGETHER):
        some = payloads[start : start + _DECODED_TOGETHER]
        try:
            done += map(decode, some)
        except MalformedEvent:
            del done[start:]  # those before it
            done += [_decode_one(decode, payload) for payload in some]
    return done


def _decode_one(decode: Decoder, payload: bytes) -> Content:
    try:
        return decode(payload)
    except MalformedEvent as error:
        return error
