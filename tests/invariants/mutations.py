"""Mechanisms broken one at a time, and the invariant whose check must notice each."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import pytest

from streams import alignment, detect, ingest, rounds, segment_table, window_tables, windows
from streams.curate import CurateState
from streams.detect import DetectState
from streams.segments import Cut, Cutter
from streams.told import Told
from tests.invariants import owners
from tests.invariants.mutants import mutate
from tests.invariants.owners import CurateOwner, DetectOwner, IngestOwner
from tests.invariants.setting import FOR_EVER_MS, Setting

Patch = pytest.MonkeyPatch
ONE = Setting(sources=1, partitions=1)
BY_LOG = replace(ONE, stall_ms=FOR_EVER_MS)
TWO_SOURCES = replace(ONE, sources=2)


def segments_end_where_a_batch_does(patch: Patch) -> None:
    class Hasty(Cutter):
        def push_columns(self, offsets: Sequence[int], times_ms: Sequence[int], sizes: Sequence[int]) -> list[Cut]:
            cuts = Cutter.push_columns(self, offsets, times_ms, sizes)
            if self.times and self.clock_ms is not None:
                self._cut(self.clock_ms, cuts)
            return cuts

    patch.setattr(ingest, "Cutter", Hasty)


def replays_are_applied(patch: Patch) -> None:
    mutate(
        patch, alignment, "_final", {"if segment.start < source.next:": "if False:", "if segment.start > source.next:": "if False:"}
    )


def offsets_are_committed_before_anything_is_acknowledged(patch: Patch) -> None:
    patch.setattr(IngestOwner, "commit", lambda self, offset: self.broker.commit(self.name, self.generation, offset))


def duplicates_are_not_accounted_for(patch: Patch) -> None:
    mutate(patch, segment_table.SegmentTable, "_segments", {"duplicates=int(duplicates[number])": "duplicates=0"})


def a_life_takes_what_it_has_not_sent_for_told(patch: Patch) -> None:
    mutate(patch, ingest, "_side_outputs", {"max(state.told, end)": "max(state.told, end) + 3"})


def dedup_memory_is_not_loaded(patch: Patch) -> None:
    patch.setattr(IngestOwner, "usable", lambda self, sightings: [one for one in sightings if one.end == self.position])


def ids_from_behind_the_commit_are_loaded(patch: Patch) -> None:
    patch.setattr(IngestOwner, "usable", lambda self, sightings: sightings)
    mutate(patch, ingest, "resume", {"and one.end <= offset": "", "own[-1].end == offset": "True"})


def open_segments_are_not_in_the_checkpoint(patch: Patch) -> None:
    mutate(patch, window_tables.FrozenWindows, "sections", {"self.applied.items()": "()"})


def the_checkpoint_is_ahead_of_its_offset(patch: Patch) -> None:
    save = DetectOwner.save

    def hasty(self: DetectOwner) -> None:
        self.take(2)
        self.deliver()
        self.offset = max(self.offset - 2, 0)
        save(self)

    patch.setattr(DetectOwner, "save", hasty)


def flushed_cells_are_not_in_the_checkpoint(patch: Patch) -> None:
    mutate(patch, detect, "restore_tables", {'frames.from_bytes(sections["sent"])': 'frames.from_bytes(sections["sent"]).head(0)'})


def versions_are_counted(patch: Patch) -> None:
    """By every life of an owner for itself."""
    lives: dict[int, tuple[DetectState, Iterator[int]]] = {}

    def version(state: DetectState) -> int:
        return next(lives.setdefault(id(state), (state, itertools.count(1)))[1])

    patch.setattr(detect, "_version", version, raising=False)
    mutate(patch, detect, "count_windows", {"offset + 1": "_version(state)"})


def versions_are_all_the_same(patch: Patch) -> None:
    mutate(patch, detect, "count_windows", {"offset + 1": "1"})


def open_segments_are_added_twice(patch: Patch) -> None:
    mutate(patch, windows, "_stamped", {"state.applied.pop(piece.source, None)": "None"})


def facets_of_open_segments_are_added_twice(patch: Patch) -> None:
    mutate(patch, windows, "_stamped", {"negated(before.facets)": "before.facets.clear()"})


def late_events_are_dropped(patch: Patch) -> None:
    mutate(patch, windows, "_correct", {"if late.is_empty():": "if True:"})


def events_of_forgotten_windows_are_dropped(patch: Patch) -> None:
    mutate(patch, windows, "_add_beside", {"if late.is_empty():": "if True:"})


def left_out_events_are_forgotten(patch: Patch) -> None:
    mutate(patch, windows, "_correct", {"window.left_out.events + left_of.get(start, 0)": "window.left_out.events"})


def candidate_batches_are_taken_twice(patch: Patch) -> None:
    changes = {"if batch.sequence < number:": "if False:", "if batch.sequence > number:": "if False:"}
    mutate(patch, rounds, "complete_rounds", changes, owners)


def batches_are_numbered_anew_in_every_life(patch: Patch) -> None:
    mutate(patch, DetectState, "restore", {"meta.sequence": "max(meta.sequence - 1, 0)"})


def open_moments_are_not_in_the_checkpoint(patch: Patch) -> None:
    snapshot = CurateState.snapshot

    def forgetful(self: CurateState) -> dict[str, bytes]:
        nothing = CurateState()
        return {**snapshot(self), "moments": snapshot(nothing)["moments"]}

    patch.setattr(CurateState, "snapshot", forgetful)


def moments_are_told_again(patch: Patch) -> None:
    patch.setattr(CurateOwner, "told_since", lambda self, offset: Told())


def the_watermark_is_where_the_clocks_are(patch: Patch) -> None:
    mutate(patch, alignment, "align", {"max(state.watermark_ms, _watermark(state, params))": "_watermark(state, params)"}, detect)


def a_sleeper_is_believed(patch: Patch) -> None:
    mutate(patch, alignment, "_provisional", {"segment.end < source.told_end": "segment.end < source.applied_end"})


def nothing_is_ever_let_go(patch: Patch) -> None:
    patch.setattr(alignment, "_forced", lambda state, params: -1)


def only_the_oldest_is_let_go(patch: Patch) -> None:
    mutate(patch, alignment, "_forced", {"return forced_ms": "return min(piece.step_ms for piece in state.pending) + 1_000"})


@dataclass(frozen=True)
class Mutation:
    """What is broken, whose check must notice, and where it shows soon."""

    invariant: int
    broken: Callable[[Patch], None]
    setting: Setting = ONE
    idle: bool = True
    first: int = 0  # plan that is tried first, as it shows in it

    def __str__(self) -> str:
        return f"{self.invariant}-{self.broken.__name__}"


MUTATIONS = (
    Mutation(1, segments_end_where_a_batch_does, first=5),
    Mutation(1, replays_are_applied, first=1),
    Mutation(1, offsets_are_committed_before_anything_is_acknowledged, first=2),
    Mutation(2, duplicates_are_not_accounted_for, first=1),
    Mutation(2, a_life_takes_what_it_has_not_sent_for_told, first=3),
    Mutation(2, dedup_memory_is_not_loaded, first=4),
    Mutation(3, the_checkpoint_is_ahead_of_its_offset),
    Mutation(3, versions_are_counted),
    Mutation(4, ids_from_behind_the_commit_are_loaded),
    Mutation(4, versions_are_counted),
    Mutation(4, versions_are_all_the_same, first=2),
    Mutation(5, replays_are_applied, first=2),
    Mutation(5, dedup_memory_is_not_loaded, first=28),
    Mutation(5, versions_are_all_the_same, first=19),
    Mutation(5, open_segments_are_added_twice, first=3),
    Mutation(5, late_events_are_dropped),
    Mutation(5, events_of_forgotten_windows_are_dropped),
    Mutation(5, left_out_events_are_forgotten),
    Mutation(6, candidate_batches_are_taken_twice, BY_LOG, idle=False, first=4),
    Mutation(6, batches_are_numbered_anew_in_every_life, BY_LOG, idle=False),
    Mutation(6, open_moments_are_not_in_the_checkpoint, BY_LOG, idle=False, first=8),
    Mutation(6, moments_are_told_again, BY_LOG, idle=False, first=2),
    Mutation(7, the_watermark_is_where_the_clocks_are, TWO_SOURCES, first=1),
    Mutation(7, nothing_is_ever_let_go, replace(TWO_SOURCES, max_pending=3)),
    Mutation(7, only_the_oldest_is_let_go, replace(TWO_SOURCES, max_pending=3)),
)
