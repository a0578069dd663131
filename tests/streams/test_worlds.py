"""Invariants of DESIGN section 4, over worlds of crashes, zombies, overlap, duplicates, late, absurd and broken input."""

from __future__ import annotations

import os
import random
from collections import Counter

import pytest

from schemas.packets import decode_packet
from tests.streams.world import World, recount, run_detect

SEEDS = range(int(os.environ.get("WORLD_SEEDS", "9")))  # the fault suite raises it


def stored_cells(world: World, crashes: random.Random | None) -> Counter[tuple[int, str]]:
    cells: Counter[tuple[int, str]] = Counter()
    for partition, partials in enumerate(world.partials):
        cells += run_detect(partials, partition, world.partitions, crashes).cells()
    return cells


@pytest.mark.parametrize("seed", SEEDS)
def test_stored_windows_equal_a_recount_of_the_raw_log_whatever_crashes(seed: int) -> None:
    world = World(seed)
    truth: Counter[tuple[int, str]] = Counter()
    for log in world.raw:
        truth += recount(log)
    cells = stored_cells(world, random.Random(seed))
    watched = {cell: count for cell, count in truth.items() if cell[1].startswith(("all:", "brand:"))}
    assert {cell: count for cell, count in cells.items() if cell[1].startswith(("all:", "brand:"))} == watched
    assert {cell: truth[cell] for cell in cells} == dict(cells)


@pytest.mark.parametrize("seed", SEEDS[:6])
def test_final_segments_tile_the_log_and_account_for_every_record(seed: int) -> None:
    world = World(seed)
    for partials in world.partials:
        segments = {
            (packet.source, one.start): one for packet in map(decode_packet, partials) if packet.final for one in packet.segments
        }
        for source in range(2):
            chain = sorted((one for (of, _), one in segments.items() if of == source), key=lambda one: one.start)
            assert [one.start for one in chain] == [0, *(one.end for one in chain[:-1])]
            for one in chain:
                assert one.records == one.end - one.start == one.counted + one.duplicates + one.filtered + one.dead


@pytest.mark.parametrize("seed", SEEDS[:6])
def test_detect_says_the_same_however_often_it_crashes(seed: int) -> None:
    world = World(seed)
    for partition, partials in enumerate(world.partials):
        calm = run_detect(partials, partition, world.partitions)
        wild = run_detect(partials, partition, world.partitions, random.Random(seed))
        assert wild.rows == calm.rows
        assert wild.candidates == calm.candidates
