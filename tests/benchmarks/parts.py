"""The parts of the benchmark in the order in which they are measured, and how large each is."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from tests.benchmarks import alone, drumbeat, latency, peers
from tests.benchmarks.bench import Bench, Result, Run
from tests.benchmarks.feed import Feed, make_feed
from tests.benchmarks.limit_run import run_limit
from tests.benchmarks.plain_faust_run import run_plain_faust
from tests.benchmarks.recount import Recount

SYSTEMS = {
    "limit": "limit",
    "ingest": "drumbeat ingest",
    "whole": "drumbeat whole",
    "two": "drumbeat whole, two processes",
    "faust": "plain Faust",
    "quix": "Quix Streams",
    "bytewax": "Bytewax",
    "clickhouse": "ClickHouse alone (file, 1 thread)",
}
Part = Callable[[Bench, "Sizes"], Awaitable[Any]]
_PAST_S = 120  # the tail's 100 s, and some more: nothing is ever ahead of the wall clock


@dataclass(frozen=True)
class Sizes:
    """How much of everything."""

    runs: int
    events: int
    warms: bool  # the broker, before all is measured
    faust_events: int
    quix_events: int
    bytewax_events: int
    systems: tuple[str, ...]
    step_events: int
    rows: int
    ids: int
    terms: int
    live_seconds: int
    rate: float | None

    @classmethod
    def of(cls, options: argparse.Namespace) -> Sizes:
        """As asked for."""
        quick = bool(options.quick)
        events = options.events or (60_000 if quick else 600_000)
        if events < 2 * drumbeat.WARM_EVENTS:
            raise SystemExit(f"--events must be {2 * drumbeat.WARM_EVENTS} or more")
        return cls(
            runs=options.runs or (1 if quick else 3),
            events=events,
            warms=not quick,
            faust_events=500 if quick else 2_000,
            quix_events=1_000 if quick else 6_000,
            bytewax_events=2_000 if quick else 15_000,
            systems=tuple(options.systems),
            step_events=20_000 if quick else 100_000,
            rows=100_000 if quick else 1_000_000,
            ids=100_000 if quick else 10_000_000,
            terms=min(options.growth_terms, 100_000) if quick else options.growth_terms,
            live_seconds=20 if quick else 65,
            rate=options.rate,
        )


async def compare_systems(bench: Bench, sizes: Sizes) -> list[Result]:
    """The limit, drumbeat and plain Faust in turn, so that a machine that changes its mind does so to all of them."""
    recount = Recount(_feed(bench, sizes.events))
    few, some, more = (
        Recount(recount.feed.first(count)) for count in (sizes.faust_events, sizes.quix_events, sizes.bytewax_events)
    )
    systems: dict[str, Callable[[], Awaitable[Run]]] = {
        "limit": partial(run_limit, bench, recount),
        "ingest": partial(drumbeat.run_ingest, bench, recount),
        "whole": partial(drumbeat.run_whole, bench, recount, [bench.core]),
        "two": partial(drumbeat.run_whole, bench, recount, [bench.core, bench.other]),
        "faust": partial(run_plain_faust, bench, few),
        "quix": partial(peers.run_quix, bench, some),
        "bytewax": partial(peers.run_bytewax, bench, more),
        "clickhouse": partial(peers.run_clickhouse, bench, recount),
    }
    wanted = _installed(bench, sizes.systems)
    if sizes.warms and {"whole", "two"} & set(wanted):
        await _warm_up(bench, recount)
    return await in_turn({SYSTEMS[key]: run for key, run in systems.items() if key in wanted}, sizes.runs)


async def _warm_up(bench: Bench, recount: Recount) -> None:
    """The broker is as it is after days: a JVM compiles what it does often, on the cores of whoever is measured meanwhile."""
    run = await drumbeat.run_whole(bench, recount, [bench.core, bench.other])
    sys.stderr.write(f"  warm-up, not counted: {run.events / run.seconds:,.0f} events/s\n")


async def in_turn(systems: Mapping[str, Callable[[], Awaitable[Run]]], runs: int) -> list[Result]:
    """Every system that often, one after the other and then again."""
    done: dict[str, list[Run]] = {name: [] for name in systems}
    for _ in range(runs):
        for name, run in systems.items():
            one = await run()
            sys.stderr.write(f"  {name}: {one.events / one.seconds:,.0f} events/s\n")
            done[name].append(one)
    return [Result(name=name, runs=some) for name, some in done.items()]


def _installed(bench: Bench, wanted: Sequence[str]) -> list[str]:
    """What can be measured here; what cannot is said."""
    try:
        if {"quix", "bytewax"} & set(wanted):
            peers.install_peers()
    except (RuntimeError, OSError, subprocess.TimeoutExpired) as error:
        bench.found["left_out"] = f"Quix Streams and Bytewax were left out: {error}"
        return [key for key in wanted if key not in ("quix", "bytewax")]
    return list(wanted)


def _feed(bench: Bench, events: int) -> Feed:
    seconds = events / 10_000 + _PAST_S
    return make_feed(bench.corpus, events, int((time.time() - seconds) * 1_000))


async def _steps(bench: Bench, sizes: Sizes) -> dict[str, float]:
    return await alone.cost_per_step(bench, sizes.step_events)


async def _growth(bench: Bench, sizes: Sizes) -> list[dict[str, Any]]:
    return await alone.growth(bench, sizes.ids, sizes.terms)


async def _store(bench: Bench, sizes: Sizes) -> dict[str, dict[str, Any]]:
    return await alone.store(bench, sizes.rows)


async def _latency(bench: Bench, sizes: Sizes) -> dict[str, Any]:
    rate = sizes.rate or await _most(bench, sizes) / 2
    return await latency.run_latency(bench, rate, sizes.live_seconds)


async def _most(bench: Bench, sizes: Sizes) -> float:
    """Events a second that one worker takes: as measured before, or now."""
    for result in bench.found.get("systems", ()):
        if result.name == SYSTEMS["whole"]:
            return float(result.rate)
    run = await drumbeat.run_whole(bench, Recount(_feed(bench, sizes.events)), [bench.core])
    return run.events / run.seconds


PARTS: dict[str, Part] = {"systems": compare_systems, "latency": _latency, "steps": _steps, "store": _store, "growth": _growth}
