"""Ratios, verdicts and tables of the benchmarks, from numbers given by hand."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from tests.benchmarks import quick
from tests.benchmarks.bench import Result, Run
from tests.benchmarks.recount import WrongCount, compare, frame_of
from tests.benchmarks.report import ratios, write_report
from tests.benchmarks.stopwatch import Place, watching


def result(name: str, *rates: float) -> Result:
    return Result(name=name, runs=[Run(events=1_000, seconds=1_000 / rate, peak_bytes=10**8, cpu_s=1.0) for rate in rates])


def test_the_median_run_counts() -> None:
    assert result("x", 100, 900, 300).rate == pytest.approx(300)
    assert result("x", 100, 900, 300).micros == pytest.approx(1e6 / 300)


def test_ratios_are_to_the_limit_and_to_plain_faust() -> None:
    found = ratios([result("limit", 1_000), result("drumbeat whole", 250), result("plain Faust", 5)])
    assert found["drumbeat whole"] == pytest.approx({"limit": 0.25, "plain Faust": 50.0})
    assert ratios([result("limit", 10)]) == {"limit": {"limit": 1.0}}


def test_the_report_names_everything_that_was_measured(tmp_path: Path) -> None:
    found = {
        "broker": "none",
        "feed": "made up",
        "systems": [result("limit", 1_000), result("Bytewax", 10)],
        "steps": {"whole": 2.0},
    }
    text = write_report(found, tmp_path / "bench.json", ["--quick"])
    assert "Bytewax" in text
    assert "whole" in text
    assert '"revision"' in (tmp_path / "bench.json").read_text()


@pytest.mark.parametrize("found", [[(0, "a", 1)], [(0, "a", 2), (0, "b", 1)], [(0, "a", 3), (10_000, "b", 1)]])
def test_a_lost_doubled_or_misplaced_count_is_an_error(found: list[tuple[int, str, int]]) -> None:
    expected = frame_of([(0, "a", 3), (0, "b", 1)])
    compare("nobody", expected, expected.sort("term", descending=True))
    with pytest.raises(WrongCount, match="nobody"):
        compare("nobody", expected, frame_of(found))


def test_time_is_counted_for_the_step_that_spends_it_only() -> None:
    with watching([Place("outer", "polars", "concat"), Place("none", "polars", "no_such_function")]) as watch:
        pl.concat([pl.DataFrame({"a": [1]})] * 2)
    assert set(watch.seconds) == {"outer"}
    assert pl.concat.__module__ != __name__


def test_a_slower_step_is_marked() -> None:
    lines = quick.compared({"fast": 1.0, "slow": 3.0, "whole": 4.0}, {"fast": 1.0, "slow": 1.0, "whole": 2.0})
    assert [line.endswith("<-") for line in lines[1:]] == [True, False, True]
