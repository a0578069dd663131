"""State stays under its cap under ever new terms, ids and surges, and while others are silent; without its bound it does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import orjson
import pytest

from schemas.candidates import CandidateBatch, SampleRef, Surge
from schemas.events import decode_event
from schemas.packets import Packet, Segment
from streams import alignment, curate, dedup, detect, opening, rounds, surges, window_state, windows
from streams.curate import CurateParams, CurateState
from streams.detect import DetectParams, DetectState
from streams.ingest import ingest, resume
from streams.records import Record
from streams.rounds import RoundState, complete_rounds
from streams.term_table import TermTable
from tests.invariants.caps import Held, of_curate, of_detect, of_ingest, too_much
from tests.invariants.mutants import mutate
from tests.invariants.setting import BASE_MS, SURGES, WATCHLIST, Setting

BURSTS = 40
POSTS = 6  # of a burst, each about a term that nobody has heard of
SETTING = Setting(max_pending=9, max_pending_rows=150, max_open_rows=60, max_retained_rows=50, max_ids=30)
DETECT = DetectParams(
    windows=replace(SETTING.detect(0).windows, partitions=1),
    alignment=SETTING.detect(0).alignment,
    surges=replace(SURGES, max_terms=12, max_tracks=3, hashed_cells=32),
)
CURATE = CurateParams(min_score=1.0, lone_score=1.0, max_open=3, max_members=2, max_waiting=4)


def flood(seconds: float) -> list[Record]:
    """Bursts of posts, so many seconds apart, each about terms that never come again."""
    log: list[Record] = []
    for burst in range(BURSTS):
        for number in range(POSTS):
            text = f"#e{burst} acme fresh{burst}words{number} other{burst}words{number}"
            event = {"id": f"{burst}.{number}", "author": f"a{number}", "text": text, "platform": "x", "lang": "xx"}
            log.append(Record(len(log), BASE_MS + int(burst * seconds * 1_000), orjson.dumps(event)))
    return log


def ingested(seconds: float, held: list[Held]) -> Iterator[Packet]:
    """Packets of the flood, and what ingest held."""
    params = replace(SETTING, sources=2, partitions=1).ingest
    state = resume(0, "raw", 0, 0, (), params)
    log = flood(seconds)
    for at in range(0, len(log), 2 * POSTS):
        yield from ingest(state, log[at : at + 2 * POSTS], decode_event, WATCHLIST, params).packets
        held.append(of_ingest(state, params))


def other_source(second: float, *, final: bool) -> Packet:
    """Source 1 says that it is there, with nothing to count."""
    clock_ms = BASE_MS + int(second * 1_000)
    start = int(second) if final else 0
    segment = Segment(start, start + 1 if final else start, clock_ms // 1_000 * 1_000, clock_ms)
    return Packet(source=1, sources=2, final=final, behind=True, segments=(segment,))


def of_a_flood(seconds: float, *, silent: bool) -> list[Held]:
    """What ingest and detect hold; `silent`: the other source says nothing more and is believed to be behind."""
    held: list[Held] = []
    state = DetectState.fresh(DETECT)
    detect.detect(state, other_source(0, final=True), 0, DETECT)
    for offset, packet in enumerate(ingested(seconds, held)):
        detect.detect(state, packet, 2 * offset + 1, DETECT)
        held.append(of_detect(state, DETECT, 2))
        if not silent:
            detect.detect(state, replace_time(packet, offset + 1), 2 * offset + 2, DETECT)
            held.append(of_detect(state, DETECT, 2))
    return held


def replace_time(packet: Packet, start: int) -> Packet:
    """The other source, as far as this packet."""
    clock_ms = packet.segments[-1].clock_ms
    segment = Segment(start, start + 1, clock_ms // 1_000 * 1_000, clock_ms)
    return Packet(source=1, sources=2, final=True, behind=True, segments=(segment,))


def surge(number: int, tick_ms: int) -> Surge:
    """A hashtag that surges, with posts of its own; four in a row share them."""
    refs = tuple(SampleRef(number // 4 * 1_000 + at, 0, at) for at in range(8))
    return Surge(
        term=f"hashtag:e{number}",
        phase="opened",
        opened_ms=tick_ms,
        tick_ms=tick_ms,
        since_ms=tick_ms,
        scale_ms=10_000,
        observed=9,
        expected=1.0,
        score=9.0,
        samples=refs,
    )


def of_many_surges(*, silent: bool) -> list[Held]:
    """What curate holds while new terms surge at every tick; `silent`: the other detect partition says nothing."""
    round_state, state, held = RoundState(), CurateState(), list[Held]()
    for number in range(30):
        tick_ms = BASE_MS + number * 1_000
        said = tuple(surge(5 * number + at, tick_ms) for at in range(5))
        for partition in (0,) if silent else (0, 1):
            batch = CandidateBatch(
                partition=partition, partitions=2, sequence=number, tick_ms=tick_ms, surges=said if partition == 0 else ()
            )
            for one in complete_rounds(round_state, batch):
                curate.curate(state, one.tick_ms, one.surges, {}, (), CURATE)
                held.append(of_curate(round_state, state, CURATE))
        held.append(of_curate(round_state, state, CURATE))
    return held


def steady() -> list[Held]:
    return of_a_flood(3, silent=False)


def crowded() -> list[Held]:
    return of_a_flood(0.4, silent=False)


def one_silent_source() -> list[Held]:
    return of_a_flood(1, silent=True)


def surging() -> list[Held]:
    return of_many_surges(silent=False)


def one_silent_partition() -> list[Held]:
    return of_many_surges(silent=True)


Flood = Callable[[], list[Held]]


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Caps that are constants, small enough to be met."""
    monkeypatch.setattr(rounds, "MAX_WAITING", 12)
    monkeypatch.setattr(dedup, "_HEADROOM", 14)


@pytest.mark.parametrize("held", [steady, crowded, one_silent_source, surging, one_silent_partition])
def test_nothing_is_ever_over_its_cap(held: Flood) -> None:
    assert [over for one in held() for over in too_much(one)] == []


Patch = pytest.MonkeyPatch


def no_eviction(patch: Patch) -> None:
    mutate(patch, TermTable, "find", {"self.max_terms - len(self._index)": "len(missing)"})


def no_limit_of_tracks(patch: Patch) -> None:
    mutate(patch, surges, "_choose", {"max(params.max_tracks - len(state.tracks), 0)": "10**6"})


def no_early_closing(patch: Patch) -> None:
    patch.setattr(windows, "close_early", lambda state, params: -1)


def no_early_forgetting(patch: Patch) -> None:
    mutate(patch, window_state, "forget", {"if rows <= params.max_retained_rows:": "if True:"}, windows)


def nothing_let_go(patch: Patch) -> None:
    patch.setattr(alignment, "_forced", lambda state, params: -1)


def no_crowding(patch: Patch) -> None:
    patch.setattr(dedup, "_crowd", lambda *_: None)


def no_bound_of_waiting(patch: Patch) -> None:
    patch.setattr(curate, "_bound", lambda state, params: None)


def no_bound_of_moments(patch: Patch) -> None:
    admit_with(patch, max_open=10**6)


def no_bound_of_members(patch: Patch) -> None:
    admit_with(patch, max_members=10**6)


def admit_with(patch: Patch, **caps: int) -> None:
    patch.setattr(curate, "admit", lambda state, desk, params: opening.admit(state, desk, replace(params, **caps)))


def no_forced_round(patch: Patch) -> None:
    patch.setattr(rounds, "_forced", lambda state, until_ms: -1)


@pytest.mark.parametrize(
    ("held", "unbounded", "what"),
    [
        (crowded, no_eviction, "terms"),
        (steady, no_limit_of_tracks, "tracks"),
        (crowded, no_early_closing, "open rows"),
        (steady, no_early_forgetting, "retained rows"),
        (one_silent_source, nothing_let_go, "waiting segments"),
        (one_silent_source, nothing_let_go, "waiting rows"),
        (crowded, no_crowding, "ids"),
        (surging, no_bound_of_waiting, "waiting surges"),
        (surging, no_bound_of_moments, "open moments"),
        (surging, no_bound_of_members, "members"),
        (one_silent_partition, no_forced_round, "surges of incomplete rounds"),
    ],
)
def test_without_its_bound_a_state_is_over_its_cap(
    held: Flood, unbounded: Callable[[Patch], None], what: str, monkeypatch: Patch
) -> None:
    unbounded(monkeypatch)
    assert what in {over.partition(":")[0] for one in held() for over in too_much(one)}
