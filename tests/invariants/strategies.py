"""What Hypothesis draws for the state machine: what producers do, how far owners get, and how often it is tried."""

from __future__ import annotations

import os
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from tests.invariants.plans import ADVANCES_MS
from tests.invariants.raw_log import SHAPES, Draft
from tests.invariants.setting import FOR_EVER_MS, Setting

# The fault suite raises it; 0: few, and always the same ones.
EXAMPLES = int(os.environ.get("INVARIANT_EXAMPLES", "0"))
TIMEOUT_S = 100 + 10 * EXAMPLES

_ODD = SHAPES[4:]
_shapes = st.one_of(st.sampled_from(SHAPES[:4]), st.sampled_from([*SHAPES[:4], *_ODD]), st.just("hot"), st.just("copy"))

drafts = st.lists(st.builds(Draft, _shapes, st.sampled_from(ADVANCES_MS), st.integers(0, 11)), min_size=1, max_size=8)
some = st.integers(1, 6)  # records, packets
messages = st.sampled_from([0, 1, 2, 3, 5, 10, 12, 10**6])  # that are acknowledged before something else happens
idle_ms = st.sampled_from([0, 2_500, 60_000])
by_log = st.builds(Setting, sources=st.integers(1, 2), partitions=st.integers(1, 2), stall_ms=st.just(FOR_EVER_MS))
crowded = st.builds(Setting, sources=st.just(1), partitions=st.just(1), stall_ms=st.just(FOR_EVER_MS), max_ids=st.integers(1, 5))
by_clock = st.builds(
    Setting,
    sources=st.integers(1, 3),
    partitions=st.integers(1, 2),
    stall_ms=st.sampled_from([5_000, 30_000]),
    max_pending=st.sampled_from([3, 8, 200_000]),
    max_pending_rows=st.sampled_from([40, 200_000]),
    max_open_rows=st.sampled_from([25, 200_000]),
    max_retained_rows=st.sampled_from([15, 200_000]),
)


def trials(usual: int, **more: Any) -> settings:
    """So many examples, the same in every run; with INVARIANT_EXAMPLES that many, other ones every time, and made small."""
    if not EXAMPLES:
        return hunt(usual, **more)
    return settings(hunt(EXAMPLES, **more), derandomize=False, phases=[Phase.generate, Phase.shrink])


def hunt(examples: int, **more: Any) -> settings:
    """At most so many examples, the same in every run, until one fails."""
    return settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        **more,
    )
