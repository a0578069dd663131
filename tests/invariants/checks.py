"""The seven invariants of DESIGN section 4 as checks of a deployment at its end; each says its number when it fails."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

from schemas.candidates import decode_candidates
from schemas.mentions import decode_mention
from schemas.moments import decode_moment
from schemas.packets import NO_CLOCK_MS, decode_packet, facet_rows, term_rows
from tests.invariants.broker import Broker
from tests.invariants.deployment import Deployment
from tests.invariants.evidence import Evidence, expect, no_gap, rows_of
from tests.invariants.owners import CurateOwner, DetectOwner, differing
from tests.invariants.raw_log import COUNTED, Cell, is_ascending

OUTCOMES = ("counted", "duplicates", "filtered", "dead")
EVERY_INVARIANT = frozenset(range(1, 8))
WATCHED = ("all:", "brand:")


def tiles(evidence: Evidence) -> None:
    """1. Final segments, as applied, tile every raw log from its first offset to the last commit."""
    deployment = evidence.deployment
    for run in evidence.runs:
        waiting = [piece for piece in run.owner.state.alignment.pending if piece.final]
        for source in range(deployment.setting.sources):
            own = sorted((piece.start, piece.end) for piece in [*run.pieces, *waiting] if piece.final and piece.source == source)
            committed = deployment.broker.committed.get(f"ingest-{source}", 0)
            starts, ends = [start for start, _ in own], [end for _, end in own]
            expect(1, f"starts of the segments of source {source}", starts, [0, *ends[:-1]] if own else [])
            expect(1, f"end of the segments of source {source}", ends[-1] if own else 0, committed)


def covers_commits(deployment: Deployment) -> None:
    """1, at any time: what is committed is in the log of every detect partition."""
    for ends in deployment.applied():
        for source, end in enumerate(ends):
            committed = deployment.broker.committed.get(f"ingest-{source}", 0)
            expect(1, f"end of source {source} in a partials log", min(end, committed), committed)


def accounts(evidence: Evidence) -> None:
    """2. Every record is counted, a duplicate, filtered, or a dead letter that is on its topic."""
    broker = evidence.deployment.broker
    for source, found in enumerate(evidence.recounts):
        committed = broker.committed.get(f"ingest-{source}", 0)
        segments = {
            one.start: one
            for packet in map(decode_packet, broker.partials[0])
            if packet.final and packet.source == source
            for one in packet.segments
        }
        for one in segments.values():
            said = Counter({name: getattr(one, name) for name in OUTCOMES if getattr(one, name)})
            expect(2, f"outcomes of {source}:{one.start}-{one.end}", said, Counter(found.outcomes[one.start : one.end]))
        expect(2, "records", sum(one.records for one in segments.values()), committed)
        dead = {offset for offset, outcome in enumerate(found.outcomes) if outcome == "dead"}
        expect(2, "dead letters", {offset for name, offset in broker.dead_letters if name == str(source)}, dead)
    named = {decode_mention(data).post_id for data in broker.mentions}
    expect(2, "mentions", named, set[str]().union(*(found.mentioned for found in evidence.recounts)))


def is_a_function_of_its_log(evidence: Evidence) -> None:
    """3. Whoever processed a packet, in whichever life, said what an undisturbed run says; and so is the state."""
    for owner in evidence.deployment.owners():
        if isinstance(owner, DetectOwner | CurateOwner):
            expect(3, f"sections of {owner.name} that a checkpoint loses", owner.restored, [])
        if isinstance(owner, DetectOwner):
            run = evidence.runs[owner.number].owner
            for offset, said in owner.said.items():
                if said != run.said[offset]:
                    raise AssertionError(f"invariant 3: packet {offset} of partition {owner.number} brought about something else")
    for calm, owners in zip((run.owner for run in evidence.runs), evidence.deployment.detect, strict=True):
        expect(3, "length of the log", owners[-1].offset, calm.offset)
        found, expected = owners[-1].state.snapshot(), calm.state.snapshot()
        expect(3, "sections that differ", differing(found, expected), [])


def same_key_same_bytes(evidence: Evidence) -> None:
    """4. Rows with one key and version are equal, so are segments with one start, and batches with one number."""
    broker = evidence.deployment.broker
    bodies: dict[object, object] = {}

    def once(key: object, body: object) -> None:
        expect(4, f"body of {key}", body, bodies.setdefault(key, body))

    for data in {data for log in broker.windows for data in log}:
        for table in ("rows", "facets", "totals"):
            for row in rows_of(data, table):
                key = [row.get(name) for name in ("window_start_ms", "term", "facet", "part", "version")]
                once((table, *key), tuple(row.items() if "authors" not in row else _hashable(row)))
    for data in {data for topic in broker.seen for data in topic}:
        once(("seen", data), data)
    for partition, log in enumerate(broker.partials):
        for packet in (packet for packet in map(decode_packet, set(log)) if packet.final):
            terms, facets = (frame.rows_by_key("segment") for frame in (term_rows(packet), facet_rows(packet)))
            for number, one in enumerate(packet.segments):
                once((partition, packet.source, one.start), (one, str(terms.get(number)), str(facets.get(number))))
    for batch in (batch for data in broker.candidates for batch in decode_candidates(data)):
        once(("candidates", batch.partition, batch.sequence), batch)


def equals_a_recount(evidence: Evidence) -> None:
    """5. What is stored adds up to a recount of the raw logs; so do kinds and facets, and no author is missing."""
    table = evidence.table
    based = {(window, term) for (window, term, part), row in table.items() if "/" not in part and row["events"]}
    for name in COUNTED:
        stored: Counter[Cell] = Counter()
        for (window, term, _), row in table.items():
            if (window, term) in based or term.startswith(WATCHED):
                stored[window, term] += row[name]
        truth = sum((found.cells[name] for found in evidence.recounts), Counter[Cell]())
        wanted = {cell: count for cell, count in truth.items() if cell[1].startswith(WATCHED) or (cell in stored and count)}
        expect(5, name, {cell: count for cell, count in stored.items() if count}, wanted)
    truth = sum((found.cells["events"] for found in evidence.recounts), Counter[Cell]())
    by_platform: Counter[Cell] = Counter()
    for (window, term, facet, _), row in evidence.facets.items():
        by_platform[window, term] += row["events"] if facet == "platform:x" else 0
    watched = {cell: count for cell, count in truth.items() if cell[1].startswith(WATCHED)}
    expect(5, "facets", {cell: count for cell, count in by_platform.items() if count}, watched)
    _authors_are_there(evidence)
    _nothing_is_left_out_uncounted(evidence)


def _authors_are_there(evidence: Evidence) -> None:
    stored: dict[Cell, set[int]] = defaultdict(set)
    for (window, term, _), row in evidence.table.items():
        stored[window, term] |= set(row["authors"])
    authors: dict[Cell, set[str]] = defaultdict(set)
    for cell, names in (pair for found in evidence.recounts for pair in found.authors.items()):
        authors[cell] |= names
    for cell, names in authors.items():
        if cell[1].startswith(WATCHED) and len(stored[cell]) < len(names):
            raise AssertionError(f"invariant 5: {len(stored[cell])} authors of {cell} instead of {len(names)}")


def _nothing_is_left_out_uncounted(evidence: Evidence) -> None:
    """Of every window that was stored once: rows and what is left out are all there is."""
    left: dict[tuple[int, str], dict[str, Any]] = {}
    for row in (row for data in evidence.deployment.inserted for row in rows_of(data, "totals")):
        key = row["window_start_ms"], row["part"]
        if key not in left or left[key]["version"] <= row["version"]:
            left[key] = row
    stored: Counter[int] = Counter()
    for (window, _, _), row in evidence.table.items():
        stored[window] += row["events"]
    truth: Counter[int] = Counter()
    for (window, _), count in (pair for found in evidence.recounts for pair in found.cells["events"].items()):
        truth[window] += count
    for window in {window for window, _ in left}:
        outside = sum(row["left_out_events"] for (start, _), row in left.items() if start == window)
        expect(5, f"stored and left out of window {window}", stored[window] + outside, truth[window])


def tells_each_moment_once(evidence: Evidence) -> None:
    """6. One (moment id, sequence), one body; none missing against an undisturbed run, by candidates and by raw logs."""
    deployment = evidence.deployment
    bodies: dict[tuple[str, int], bytes] = {}
    for data in deployment.broker.moments:
        moment = decode_moment(data)
        key = moment.moment_id, moment.sequence
        expect(6, f"body of {key}", data, bodies.setdefault(key, data))
    if not deployment.curate_zombies:
        expect(6, "statements on the topic", len(deployment.broker.moments), len(bodies))
    aside = Broker.of(deployment.setting, deployment.broker.raw)
    aside.candidates = deployment.broker.candidates
    calm = CurateOwner(aside)
    with no_gap():
        calm.take()
    calm.deliver()
    expect(6, "moments by the candidates", sorted(bodies.values()), sorted(aside.moments))
    for moment_id, last in {key[0]: max(seq for one, seq in bodies if one == key[0]) for key in bodies}.items():
        expect(6, "numbers", sorted(seq for one, seq in bodies if one == moment_id), list(range(last + 1)))


def equals_an_undisturbed_run(evidence: Evidence) -> None:
    """6, where nothing depends on a wall clock: the moments are those of a run of the raw logs where nothing ever failed."""
    deployment = evidence.deployment
    calm = Deployment.of(deployment.setting, deployment.broker.raw)
    with no_gap():
        calm.finish()
    expect(6, "moments by the raw logs", sorted(set(deployment.broker.moments)), sorted(calm.broker.moments))
    expect(5, "windows by the raw logs", _watched_events(evidence), _watched_events(Evidence(calm)))


def _watched_events(evidence: Evidence) -> Counter[Cell]:
    """Whether an event corrects a window or stands beside it depends on how far time has come: the sum does not."""
    events: Counter[Cell] = Counter()
    for (window, term, _), row in evidence.table.items():
        events[window, term] += row["events"] if term.startswith(WATCHED) else 0
    return events


def time_never_goes_back(evidence: Evidence) -> None:
    """7. Watermarks, ticks and rounds only go on, provisional counts only grow, and state stays under its cap."""
    setting = evidence.deployment.setting
    owners = [*evidence.deployment.owners(), *(run.owner for run in evidence.runs)]
    for owner in owners:
        expect(7, f"caps of {owner.name}", owner.over, [])
        if isinstance(owner, DetectOwner):
            expect(7, "watermarks ascending", is_ascending(owner.watermarks), True)
        elif isinstance(owner, CurateOwner):
            expect(7, "rounds ascending", is_ascending(owner.ticks), True)
    for run in evidence.runs:
        expect(7, "stale packets that were believed", run.believed_less, 0)
        expect(7, "segments waiting", run.most_pending <= setting.max_pending, True)
        expect(
            7,
            "windows watermark",
            run.owner.state.windows.watermark_ms in (NO_CLOCK_MS, run.owner.state.alignment.watermark_ms),
            True,
        )


CHECKS: dict[int, tuple[Callable[[Evidence], None], ...]] = {
    1: (tiles,),
    2: (accounts,),
    3: (is_a_function_of_its_log,),
    4: (same_key_same_bytes,),
    5: (equals_a_recount,),
    6: (tells_each_moment_once,),
    7: (time_never_goes_back,),
}


def check(deployment: Deployment, invariants: frozenset[int] = EVERY_INVARIANT) -> Evidence:
    """Raises AssertionError for the first invariant that does not hold."""
    evidence = Evidence(deployment)
    for number in sorted(invariants):
        for one in CHECKS[number]:
            one(evidence)
    return evidence


def _hashable(row: dict[str, Any]) -> list[tuple[str, object]]:
    return [(name, tuple(value) if isinstance(value, list) else value) for name, value in row.items()]
