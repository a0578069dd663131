"""Where processes of the benchmark run."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.benchmarks.processes import ALL_CORES, pinned, spread


def test_what_was_started_on_one_core_runs_on_any_while_it_is_spread_and_on_its_own_afterwards() -> None:
    core = min(ALL_CORES)
    with pinned(core):
        started = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        with spread():
            assert os.sched_getaffinity(started.pid) == set(ALL_CORES)
        assert os.sched_getaffinity(started.pid) == {core}
        assert os.sched_getaffinity(0) == set(ALL_CORES)
    finally:
        started.kill()
        started.communicate()
