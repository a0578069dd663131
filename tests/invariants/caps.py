"""What every state may hold at most, and who holds more."""

from __future__ import annotations

from streams import rounds, talk
from streams.curate import CurateParams, CurateState
from streams.curate_state import MAX_REFS
from streams.detect import DetectParams, DetectState
from streams.ingest import IngestState
from streams.rounds import RoundState
from streams.segment_table import IngestParams
from streams.tracks import WATCHED_PREFIX

Held = dict[str, tuple[int, int]]  # what: how much, and how much it may be


def too_much(held: Held) -> list[str]:
    """What is over its cap."""
    return [f"{what}: {count} of {most}" for what, (count, most) in held.items() if count > most]


def of_ingest(state: IngestState, params: IngestParams) -> Held:
    """One raw partition: two segments of records, and ids."""
    segment = params.segments.segment_records
    return {
        "open records": (len(state.cutter.times), segment),
        "held records": (len(state.cutter.held), segment),
        "decoded records": (len(state.records), 2 * segment),
        "ids": (len(state.seen), params.dedup.max_held),
    }


def of_detect(state: DetectState, params: DetectParams, sources: int) -> Held:
    """One partials partition."""
    alignment, windows, surges = state.alignment, state.windows, state.surges
    unwatched = [track for track in surges.tracks.values() if not track.term.startswith(WATCHED_PREFIX)]
    return {
        "waiting segments": (len(alignment.pending), params.alignment.max_pending),
        "waiting rows": (alignment.pending_rows, params.alignment.max_pending_rows),
        "overlays": (len(alignment.overlays), sources),
        "applied open segments": (len(windows.applied), sources),
        "open rows": (windows.open_rows, params.windows.max_open_rows),
        "retained rows": (windows.retained_rows, params.windows.max_retained_rows),
        "terms": (len(surges.table), params.surges.max_terms),
        "tracks": (len(unwatched), params.surges.max_tracks),
        "hashed pasts": (len(surges.table.cells), params.surges.hashed_cells),
    }


def of_curate(round_state: RoundState, state: CurateState, params: CurateParams) -> Held:
    """Curate and the rounds before it."""
    moments = state.moments.values()
    return {
        "surges of incomplete rounds": (round_state.waiting_surges, rounds.MAX_WAITING),
        "waiting surges": (len(state.waiting), params.max_waiting),
        "open moments": (len(moments), params.max_open),
        "members": (max([len(moment.members) for moment in moments], default=0), params.max_members),
        "references": (max([len(moment.refs) for moment in moments], default=0), MAX_REFS),
        "cooling moments": (len(state.cooling), params.max_open),
        "usual words": (len(state.usual.everything.words), talk.MAX_WORDS),
        "terms with usual words": (len(state.usual.terms), talk.MAX_TERMS),
    }
