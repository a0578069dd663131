"""Plays rows one after the other on one Apache Kafka and one ClickHouse, with a reference run for every stream."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.clickhouse_server import ClickHouseServer
from tests.faults.report import line
from tests.faults.rows import Row
from tests.faults.scene import Alerts, Place, Result, Scene, alerts, as_logged, drained, judge, scene
from tests.faults.special import SPECIAL
from tests.faults.talk import Due, posts_in, talk
from tests.kafka_server import KafkaServer

ROUTES = 2
HOUR_S = 120.0  # an hour of the stream takes so long: slower, and its pauses would count as silence of the sources
LEAST_S = 25.0  # faster, and a second of a busy machine is minutes of the stream: sources count as stalled
PLAIN_WORKER = "agents"


async def play(rows: Sequence[Row | str], place: Path, seconds: float, seed: int, module: str) -> list[Result]:
    """The results of these rows, in their order; each is printed as soon as it is known."""
    unit = seconds / sum(row.weight if isinstance(row, Row) else SPECIAL[row].weight for row in rows)
    results: list[Result] = []
    async with ClickHouseServer(place / "clickhouse") as clickhouse:
        for brokers in (1, 3):
            chosen = [row for row in rows if _brokers(row) == brokers]
            if not chosen:
                continue
            directory = place / f"kafka{brokers}"
            directory.mkdir()
            with KafkaServer(directory, brokers=brokers, routes=ROUTES) as kafka:
                stage = _Stage(Place(kafka, clickhouse, place, seed), module)
                for row in chosen:
                    results.append(await stage.play(row, unit))
                    sys.stdout.write(f"{line(results[-1])}\n")
                    sys.stdout.flush()
    return results


def _brokers(row: Row | str) -> int:
    return row.brokers if isinstance(row, Row) else 1


class _Stage:
    """Rows on the same brokers share the reference runs."""

    def __init__(self, place: Place, module: str) -> None:
        self.place, self.module = place, module
        self._expected: dict[str, Alerts] = {}  # by flavour and hours

    async def play(self, row: Row | str, unit: float) -> Result:
        """Never raises for what a worker does: it is in the result."""
        begun = time.monotonic()
        try:
            if isinstance(row, str):
                result = await SPECIAL[row].play(self.place, self.module, SPECIAL[row].weight * unit)
            else:
                result = await self._row(row, max(unit * row.weight, LEAST_S))
        except Exception as error:  # a row that fails is a row of the report: the others go on
            result = Result(row if isinstance(row, str) else row.name, other=[f"broken off: {error!r}"[:2_000]])
        result.seconds = time.monotonic() - begun
        return result

    async def _row(self, row: Row, seconds: float) -> Result:
        hours = max(round(seconds / HOUR_S), 1)
        stream = talk(row.flavour, self.place.seed, hours)
        expected = await self._reference(f"{row.flavour}-{hours}", stream)
        kafka = self.place.kafka
        addresses = [kafka.route(n) if row.routed else kafka.address for n in range(row.workers)]
        async with scene(
            self.place, row.name, stream, workers=addresses, module=self.module, seconds=seconds, replication=kafka.brokers
        ) as made:
            ready = asyncio.Event()
            feeding = asyncio.create_task(made.feeder.run(seconds, ready))
            await made.fleet.ready()
            ready.set()
            fault = asyncio.ensure_future(row.fault(made))
            try:
                await feeding
                await fault
            finally:
                for task in (feeding, fault):
                    task.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await task
            if made.feeder.repeated:  # the topic holds records twice that the reference saw once
                expected = await self._reference(row.name, await as_logged(made.settings))
            await self._finish(made, stream, expected)
            made.result.notes["gusts sent again"] = made.feeder.repeated
        return made.result

    async def _finish(self, made: Scene, stream: Sequence[Due], expected: Alerts) -> None:
        begun = time.monotonic()
        if not await drained(made.settings, posts_in(list(stream))):
            made.result.other.append("not everything was processed in time")
        made.result.notes["drain_s"] = time.monotonic() - begun
        await judge(made, expected)
        await made.fleet.stop()
        made.result.other += [
            f"a worker ended with {code}, {n} times" for code, n in made.fleet.exits.items() if code in (1, 2, 70)
        ]

    async def _reference(self, name: str, stream: Sequence[Due]) -> Alerts:
        """The alerts of one worker that nobody disturbs, over the same stream."""
        if name not in self._expected:
            kafka = self.place.kafka
            async with scene(
                self.place,
                f"reference-{name}",
                stream,
                workers=[kafka.address],
                module=PLAIN_WORKER,
                seconds=0,
                replication=kafka.brokers,
            ) as made:
                await made.feeder.run(0)
                assert await drained(made.settings, posts_in(list(stream))), made.fleet.said()[-3_000:]
                self._expected[name] = dict(await alerts(made.settings))
        return self._expected[name]
