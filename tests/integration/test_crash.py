"""kill -9 in the middle, twice: what is stored and what is alerted is what an undisturbed run stores and alerts."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from agents.settings import Settings
from tests.integration.conftest import Deploy
from tests.integration.logs import arrival, prepare, send, unprocessed
from tests.integration.outcome import Outcome, drained, outcome
from tests.integration.stream import BRANDS, MINUTES, PARTITIONS, START_MS, Cell, make_stream, recount
from tests.integration.worker import Worker, until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(400)]

SEED = 7
STREAM, BROKEN = make_stream(SEED)
COUNTED = recount(STREAM, Settings().lateness_ms)
END_MS = START_MS + MINUTES * 60_000
IMPATIENT = "tests.integration.impatient"


_reference: dict[int, Outcome] = {}  # by seed: what every other run of the same stream is compared with, on whatever broker


async def test_kill_9_twice_in_the_middle_changes_nothing(broker: str, deploy: Deploy, place: Path) -> None:
    if SEED not in _reference:
        _reference[SEED] = await _undisturbed(deploy(broker), place)
    expected, crashed = _reference[SEED], deploy(broker)
    await prepare(crashed, BRANDS, PARTITIONS)
    await send(crashed, STREAM)

    await _killed_while_ingesting(crashed, place)
    await _killed_after_an_alert(crashed, place)
    async with Worker(crashed, place / "crashed.log", module=IMPATIENT) as worker:
        await drained(crashed, worker, COUNTED.posts, END_MS)
        assert await worker.terminate() == 0
    found = await outcome(crashed)

    _equals_recount(found, crashed)
    assert found.cells == expected.cells
    assert Counter(key for key, _ in found.moments) == Counter(key for key, _ in expected.moments), "an alert is missing or doubled"
    assert dict(found.moments) == dict(expected.moments), "an alert says something else"
    assert found.mentions == expected.mentions
    assert found.dead_letters == expected.dead_letters


async def _undisturbed(settings: Settings, place: Path) -> Outcome:
    """What a worker leaves behind that nobody kills."""
    await prepare(settings, BRANDS, PARTITIONS)
    await send(settings, STREAM)
    async with Worker(settings, place / "undisturbed.log") as worker:
        await drained(settings, worker, COUNTED.posts, END_MS)
        assert await worker.terminate() == 0
    found = await outcome(settings)
    _equals_recount(found, settings)
    return found


async def _killed_while_ingesting(settings: Settings, place: Path) -> None:
    async with Worker(settings, place / "crashed.log", module=IMPATIENT) as worker:

        async def a_third_is_ingested() -> bool:
            return await worker.metric("drumbeat_ingest_records_total") >= len(STREAM) // 3

        await until(a_third_is_ingested, "a third of the stream is ingested", worker)
        await worker.kill()
    assert await unprocessed(settings, "ingest", [settings.topics.raw]) > len(STREAM) // 10, "the kill came too late"


async def _killed_after_an_alert(settings: Settings, place: Path) -> None:
    async with Worker(settings, place / "crashed.log", module=IMPATIENT) as worker:
        await arrival(settings, settings.topics.moments, worker)
        await worker.kill()
    assert await unprocessed(settings, "detect", [settings.topics.partials]), "the kill came too late"


def _equals_recount(found: Outcome, settings: Settings) -> None:
    """Windows, mentions, moments and dead letters are complete and nothing more."""
    due = {cell for cell, n in COUNTED.in_time.items() if _watched(cell) or n >= settings.min_support}
    due |= {cell for cell in COUNTED.cells if _watched(cell)}
    assert due <= found.cells.keys(), sorted(due - found.cells.keys())[:20]
    wrong = {cell: (n, COUNTED.cells[cell]) for cell, n in found.cells.items() if n != COUNTED.cells[cell]}
    assert not wrong, f"(stored, recounted): {dict(list(wrong.items())[:20])}"
    assert found.mentioned == COUNTED.mentioned
    assert Counter(reason for _, reason, _ in found.dead_letters) == BROKEN
    assert Counter(reason for _, _, reason in found.stored_dead) == BROKEN
    assert {key: body.decode() for key, body in found.moments} == found.stored_moments
    assert {sequence for _, sequence in found.stored_moments} >= {0, 1}, "the surges were not seen"


def _watched(cell: Cell) -> bool:
    return cell.term.startswith(("all:", "brand:"))
