"""The seven invariants hold whatever happens in whatever order; how many orders are tried is in strategies.py."""

from __future__ import annotations

import pytest
from hypothesis.stateful import run_state_machine_as_test

from tests.invariants.machine import ByClock, ByLog, Crowded
from tests.invariants.strategies import TIMEOUT_S, trials


@pytest.mark.timeout(TIMEOUT_S)
def test_by_the_log_alone_the_outcome_is_that_of_an_undisturbed_run() -> None:
    run_state_machine_as_test(ByLog, settings=trials(12, stateful_step_count=30))


@pytest.mark.timeout(TIMEOUT_S)
def test_with_idle_sources_and_zombies_that_say_so_every_record_counts_once() -> None:
    run_state_machine_as_test(ByClock, settings=trials(12, stateful_step_count=30))


@pytest.mark.timeout(TIMEOUT_S)
def test_ids_that_are_too_many_are_forgotten_alike_by_all() -> None:
    run_state_machine_as_test(Crowded, settings=trials(8, stateful_step_count=30))
