"""A log that lost something stops detect and curate loudly; if they went on, the segments would not tile the raw log any more."""

from __future__ import annotations

import pytest

from schemas.candidates import CandidateBatch
from schemas.errors import BrokenLog
from schemas.packets import decode_packet
from streams import alignment, rounds
from streams.rounds import RoundState
from tests.invariants.checks import tiles
from tests.invariants.deployment import Deployment
from tests.invariants.evidence import Evidence
from tests.invariants.mutants import mutate
from tests.invariants.raw_log import Draft
from tests.invariants.setting import Setting


def lossy() -> Deployment:
    """Three segments in three packets, of which the second is lost."""
    deployment = Deployment.of(Setting(sources=1, partitions=1))
    for _ in range(4):
        deployment.append(0, [Draft("post", 2_000, 1)] * 3)
        deployment.ingest[0][-1].read(3)
        deployment.ingest[0][-1].deliver()
    final = [at for at, data in enumerate(deployment.broker.partials[0]) if decode_packet(data).final]
    assert len(final) >= 3
    del deployment.broker.partials[0][final[1]]
    return deployment


def test_a_lost_packet_stops_detect() -> None:
    with pytest.raises(BrokenLog, match="expected"):
        lossy().detect[0][-1].take()


def test_a_gap_that_stops_nobody_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    mutate(monkeypatch, alignment, "_final", {"if segment.start > source.next:": "if False:"})
    with pytest.raises(AssertionError, match="invariant 1: starts of the segments"):
        tiles(Evidence(lossy()))


def test_a_lost_batch_of_candidates_stops_curate() -> None:
    batches = [CandidateBatch(partition=0, partitions=1, sequence=number, tick_ms=number) for number in (0, 2)]
    state = RoundState()
    rounds.complete_rounds(state, batches[0])
    with pytest.raises(BrokenLog, match="expected 1"):
        rounds.complete_rounds(state, batches[1])
