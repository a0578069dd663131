"""The rows of the suite: what goes wrong in each, and for how long."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from tests.clickhouse_faults import FaultKind
from tests.faults.scene import SESSION_TIMEOUT_MS, Fault, Scene
from tests.tcp_relay import Mode

SESSION_S = SESSION_TIMEOUT_MS / 1000
LONGEST = 0.45  # of a row's time: whatever goes wrong ends well before the stream does


@dataclass(frozen=True)
class Row:
    """One thing that goes wrong."""

    name: str
    fault: Fault
    flavour: str = "plain"
    weight: float = 1.0  # of all the time there is
    brokers: int = 1
    workers: int = 2
    routed: bool = False  # each worker reaches the brokers by a route of its own


async def nothing(scene: Scene) -> None:
    """The stream alone."""


async def kill_9(scene: Scene) -> None:
    """A random worker is gone without a word, as soon as the one before is made up for."""
    while scene.goes_on:
        await scene.pause(scene.rng.uniform(0.0, 1.5))
        if scene.fleet.signal(scene.rng.randrange(len(scene.fleet)), signal.SIGKILL):
            scene.did("kill -9")
            await scene.recovered()


async def sleepers(scene: Scene) -> None:
    """A worker stops until its partitions are somebody else's, and goes on where it was."""
    while scene.goes_on:
        number = scene.rng.randrange(len(scene.fleet))
        if scene.fleet.signal(number, signal.SIGSTOP):
            await scene.pause(SESSION_S + scene.rng.uniform(0.5, 4.0))
            scene.fleet.signal(number, signal.SIGCONT)
            scene.did("SIGSTOP, SIGCONT")
            await scene.recovered()
        await scene.pause(scene.rng.uniform(0.2, 2.0))


async def rolling(scene: Scene) -> None:
    """One worker after the other is told to stop and started again."""
    while scene.goes_on:
        for number in range(len(scene.fleet)):
            await scene.fleet.leave(number)
            scene.fleet.join(number)
            scene.did("restart")
            await scene.recovered()


async def coming_and_going(scene: Scene) -> None:
    """A worker joins or leaves every 5 s."""
    last, there = len(scene.fleet) - 1, True
    while scene.goes_on:
        if there:
            await scene.fleet.leave(last)
        else:
            scene.fleet.join(last)
        there = not there
        scene.did("join or leave")
        await scene.pause(5.0)
    scene.fleet.join(last)


async def broker_gone(scene: Scene, *, hold_s: float) -> None:
    """A broker is killed and started again `hold_s` later."""
    while scene.goes_on:
        node = scene.rng.randrange(scene.kafka.brokers)
        await scene.pause(scene.rng.uniform(1.0, 3.0))
        await asyncio.to_thread(scene.kafka.kill, node)
        await scene.pause(min(hold_s, LONGEST * scene.seconds))
        scene.kafka.launch(node)
        await asyncio.to_thread(scene.kafka.wait, node)
        scene.did("broker kill -9")
        await scene.recovered()


async def network(scene: Scene, *, mode: Mode) -> None:
    """One worker is cut off from all brokers for 30 s."""
    while scene.goes_on:
        await scene.pause(scene.rng.uniform(1.0, 3.0))
        number = scene.rng.randrange(len(scene.fleet))
        await asyncio.to_thread(scene.kafka.set_route, number, mode)
        await scene.pause(min(30.0, LONGEST * scene.seconds))
        await asyncio.to_thread(scene.kafka.set_route, number, "pass")
        scene.did(mode)
        await scene.recovered()


async def clickhouse_gone(scene: Scene) -> None:
    """ClickHouse is killed and comes back a minute later."""
    while scene.goes_on:
        await scene.pause(scene.rng.uniform(1.0, 3.0))
        await scene.clickhouse.kill()
        await scene.pause(min(60.0, LONGEST * scene.seconds))
        await scene.clickhouse.start()
        scene.did("ClickHouse kill -9")
        await scene.recovered("store")


async def clickhouse_fails(scene: Scene, *, kind: FaultKind, seconds: float = 1.0) -> None:
    """Every insert meets this fault for a while, then none."""
    before = (await scene.clickhouse.counts())[kind]
    while scene.goes_on:
        await scene.pause(scene.rng.uniform(1.0, 3.0))
        await scene.clickhouse.fail(kind, seconds=seconds)
        await scene.pause(min(20.0, LONGEST * scene.seconds))
        await scene.clickhouse.heal()
        await scene.recovered("store")
    scene.result.done[kind] = (await scene.clickhouse.counts())[kind] - before
    if not scene.result.done[kind]:
        scene.result.other.append(f"no insert met the fault {kind}")


def _holding(fault: Callable[..., Awaitable[None]], **options: object) -> Fault:
    return partial(fault, **options)


ROWS = (
    Row("undisturbed", nothing),
    Row("kill-9", kill_9, weight=10),
    Row("sleepers", sleepers, weight=2),
    Row("rolling", rolling),
    Row("coming-going", coming_and_going, workers=3),
    Row("broker-restart", _holding(broker_gone, hold_s=0.5)),
    Row("broker-of-three", _holding(broker_gone, hold_s=60.0), brokers=3, weight=1.5),
    Row("network-cut", _holding(network, mode="cut"), routed=True),
    Row("network-up", _holding(network, mode="cut_up"), routed=True),
    Row("network-down", _holding(network, mode="cut_down"), routed=True),
    Row("clickhouse-down", clickhouse_gone),
    Row("clickhouse-503", _holding(clickhouse_fails, kind="status")),
    Row("clickhouse-reset", _holding(clickhouse_fails, kind="drop_after")),
    Row("clickhouse-slow", _holding(clickhouse_fails, kind="slow", seconds=3.0)),
    Row("clickhouse-parts", _holding(clickhouse_fails, kind="too_many_parts")),
    Row("clickhouse-disk", _holding(clickhouse_fails, kind="disk_full")),
    Row("malformed", kill_9, "malformed"),
    Row("large", kill_9, "large"),
    Row("schemas", kill_9, "schemas"),
    Row("twice", kill_9, "twice"),
    Row("late", kill_9, "late"),
    Row("clocks", kill_9, "clocks"),
    Row("hot", kill_9, "hot"),
)
