"""Tests of the tests: with one mechanism broken, the check of its invariant fails within a few plans."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.invariants import mutations
from tests.invariants.checks import check, equals_an_undisturbed_run
from tests.invariants.deployment import Deployment
from tests.invariants.mutations import MUTATIONS, Mutation, Patch
from tests.invariants.plans import run_plan
from tests.invariants.scripts import saved_while_idle, slept

PLANS = 40


def try_plan(mutation: Mutation, seed: int) -> None:
    """Raises AssertionError if the invariant of the mutation does not hold in this plan."""
    evidence = check(run_plan(seed, mutation.setting, idle=mutation.idle), frozenset({mutation.invariant}))
    if mutation.invariant == 6 and not mutation.idle:
        equals_an_undisturbed_run(evidence)


def first_failure(mutation: Mutation) -> None:
    """Raises what the first plan raises in which the invariant breaks; what breaks another one first does not count."""
    for seed in range(mutation.first, mutation.first + PLANS):
        try:
            try_plan(mutation, seed)
        except AssertionError as error:
            if str(error).startswith(f"invariant {mutation.invariant}:"):
                raise


@pytest.mark.parametrize("mutation", MUTATIONS, ids=str)
def test_a_broken_mechanism_breaks_its_invariant(mutation: Mutation, monkeypatch: pytest.MonkeyPatch) -> None:
    mutation.broken(monkeypatch)
    with pytest.raises(AssertionError, match=f"invariant {mutation.invariant}:"):
        first_failure(mutation)


@pytest.mark.parametrize("script", [saved_while_idle, slept])
def test_scripts_hold_every_invariant(script: Callable[[], Deployment]) -> None:
    check(script())


@pytest.mark.parametrize(
    ("invariant", "broken", "script"),
    [
        (3, mutations.open_segments_are_not_in_the_checkpoint, saved_while_idle),
        (3, mutations.flushed_cells_are_not_in_the_checkpoint, saved_while_idle),
        (5, mutations.open_segments_are_not_in_the_checkpoint, saved_while_idle),
        (5, mutations.facets_of_open_segments_are_added_twice, saved_while_idle),
        (7, mutations.a_sleeper_is_believed, slept),
    ],
)
def test_a_broken_mechanism_breaks_a_script(
    invariant: int, broken: Callable[[Patch], None], script: Callable[[], Deployment], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(monkeypatch)
    deployment = script()
    with pytest.raises(AssertionError, match=f"invariant {invariant}:"):
        check(deployment, frozenset({invariant}))
