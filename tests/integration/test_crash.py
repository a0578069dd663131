"""kill -9 in the middle, twice: what is stored and what is alerted is what an undisturbed run stores and alerts."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from agents.settings import Settings
from tests.integration.conftest import Deploy
from tests.integration.logs import arrival, prepare, send, unprocessed
from tests.integration.outcome import Outcome, drained, outcome
from tests.integration.stream import BRANDS, MINUTES, PARTITIONS, START_MS, Cell, Recount, make_stream, recount
from tests.integration.worker import Worker, until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(400)]

STREAM, BROKEN = make_stream(seed=7)
END_MS = START_MS + MINUTES * 60_000
IMPATIENT = "tests.integration.impatient"


async def test_kill_9_twice_in_the_middle_changes_nothing(broker: str, deploy: Deploy, place: Path) -> None:
    undisturbed, crashed = deploy(broker), deploy(broker)
    for settings in (undisturbed, crashed):
        await prepare(settings, BRANDS, PARTITIONS)
        await send(settings, STREAM)
    counted = recount(STREAM, undisturbed.lateness_ms)

    async with Worker(undisturbed, place / "undisturbed.log") as worker:
        await drained(undisturbed, worker, counted.posts, END_MS)
        assert await worker.terminate() == 0
    expected = await outcome(undisturbed)
    _equals_recount(expected, counted, undisturbed)

    await _killed_while_ingesting(crashed, place)
    await _killed_after_an_alert(crashed, place)
    async with Worker(crashed, place / "crashed.log", module=IMPATIENT) as worker:
        await drained(crashed, worker, counted.posts, END_MS)
        assert await worker.terminate() == 0
    found = await outcome(crashed)

    _equals_recount(found, counted, crashed)
    assert found.cells == expected.cells
    assert Counter(key for key, _ in found.moments) == Counter(key for key, _ in expected.moments), "an alert is missing or doubled"
    assert dict(found.moments) == dict(expected.moments), "an alert says something else"
    assert found.mentions == expected.mentions
    assert found.dead_letters == expected.dead_letters


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


def _equals_recount(found: Outcome, counted: Recount, settings: Settings) -> None:
    """Windows, mentions, moments and dead letters are complete and nothing more."""
    due = {cell for cell, n in counted.in_time.items() if _watched(cell) or n >= settings.min_support}
    due |= {cell for cell in counted.cells if _watched(cell)}
    assert due <= found.cells.keys(), sorted(due - found.cells.keys())[:20]
    wrong = {cell: (n, counted.cells[cell]) for cell, n in found.cells.items() if n != counted.cells[cell]}
    assert not wrong, f"(stored, recounted): {dict(list(wrong.items())[:20])}"
    assert found.mentioned == counted.mentioned
    assert Counter(reason for _, reason, _ in found.dead_letters) == BROKEN
    assert Counter(reason for _, _, reason in found.stored_dead) == BROKEN
    assert {key: body.decode() for key, body in found.moments} == found.stored_moments
    assert {body_key[1] for body_key in found.stored_moments} >= {0, 1}, "the surges were not seen"


def _watched(cell: Cell) -> bool:
    return cell.term.startswith(("all:", "brand:"))
