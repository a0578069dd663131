"""One row of the suite: a deployment of its own, a stream fed into it, something going wrong meanwhile, and what came of it."""

from __future__ import annotations

import asyncio
import contextlib
import random
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import orjson
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from agents.clickhouse import ClickHouse
from agents.local import with_parent
from agents.settings import Settings
from agents.topics import apply_topics
from agents.watchlist import write_watchlist
from schemas.errors import SinkUnavailable
from schemas.moments import decode_moment
from tests.clickhouse_server import ClickHouseServer
from tests.faults.feeder import Feeder
from tests.faults.fleet import Fleet
from tests.faults.talk import BRANDS, PARTITIONS, Due
from tests.integration.logs import read, unprocessed
from tests.integration.stream import Message
from tests.integration.worker import ROOT
from tests.kafka_server import KafkaServer

PARTIALS = 2
SESSION_TIMEOUT_MS = 3_000
PATIENCE_S = 300.0  # until everything is processed once nothing goes wrong any more
RECOVERY_S = 60.0
RAW_CONFIG = {"max.message.bytes": str(12 * 1024 * 1024), "message.timestamp.after.max.ms": str(2**63 - 1)}  # the year 2099 too
IMPATIENT = "tests.integration.impatient"

Alerts = Mapping[tuple[str, int], bytes]


@dataclass
class Result:
    """What a row of the report says."""

    name: str
    wrong_cells: int = -1  # that differ from a recount of the raw topic; -1: not counted
    cells: int = 0
    missing: int = 0  # alerts of an undisturbed run that are not there
    extra: int = 0
    bodies: int = 0  # alerts with another body than in the undisturbed run, or with two
    alerts: int = 0
    repeated: int = 0  # alerts that are on the topic more than once, with the same body
    other: list[str] = field(default_factory=list)  # whatever else is not as it should be
    done: dict[str, int] = field(default_factory=dict)  # what was done how often
    recoveries_s: list[float] = field(default_factory=list)
    seconds: float = 0.0
    notes: dict[str, float] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Nothing is wrong."""
        return self.wrong_cells == 0 and not (self.missing or self.extra or self.bodies or self.other)


@dataclass
class Scene:
    """What a fault can get at."""

    name: str
    settings: Settings
    kafka: KafkaServer
    clickhouse: ClickHouseServer
    fleet: Fleet
    feeder: Feeder
    rng: random.Random
    seconds: float
    result: Result
    _admin: AIOKafkaAdminClient | None = None

    @property
    def goes_on(self) -> bool:
        """There is enough of the stream left for another fault."""
        return self.feeder.share < 0.8

    def did(self, what: str) -> None:
        """One more of these was done."""
        self.result.done[what] = self.result.done.get(what, 0) + 1

    async def recovered(self, group: str = "ingest") -> None:
        """Everything that was acknowledged by now is committed, or the row's time is over; how long that took is noted."""
        begun = time.monotonic()
        topic = self.settings.topics.raw if group == "ingest" else self.settings.topics.windows
        ends = dict(self.feeder.ends) if group == "ingest" else await self._ends(topic)
        while time.monotonic() - begun < RECOVERY_S and self.feeder.share < 0.97:
            committed = await self._committed(group)
            if all(committed.get(TopicPartition(topic, number), 0) >= end for number, end in ends.items()):
                self.result.recoveries_s.append(time.monotonic() - begun)
                return
            await asyncio.sleep(0.05)

    async def pause(self, seconds: float) -> None:
        """So long, or until the stream nears its end."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and self.feeder.share < 0.9:
            await asyncio.sleep(0.05)

    async def close(self) -> None:
        """Lets go of the broker."""
        if self._admin is not None:
            with contextlib.suppress(KafkaError, TimeoutError):
                await asyncio.wait_for(self._admin.close(), 5)

    async def _committed(self, group: str) -> Mapping[TopicPartition, int]:
        try:
            if self._admin is None:
                admin = AIOKafkaAdminClient(**self.settings.kafka_options(), request_timeout_ms=3_000)
                await admin.start()
                self._admin = admin
            found = await asyncio.wait_for(self._admin.list_consumer_group_offsets(self.settings.group(group)), 5)
        except (KafkaError, OSError, TimeoutError):
            await self.close()
            self._admin = None
            return {}
        return {tp: place.offset for tp, place in found.items()}

    async def _ends(self, topic: str) -> dict[int, int]:
        ends: dict[int, int] = {}
        for record in await read(self.settings, topic):
            ends[record.partition] = record.offset + 1
        return ends


Fault = Callable[[Scene], Awaitable[None]]


@dataclass(frozen=True)
class Place:
    """Where rows are played."""

    kafka: KafkaServer
    clickhouse: ClickHouseServer
    directory: Path
    seed: int

    def settings(self, name: str, **changes: object) -> Settings:
        """A deployment of its own."""
        dsn = self.clickhouse.dsn(name.replace("-", "_"))
        own = Settings(kafka=self.kafka.address, clickhouse=dsn, prefix=name, session_timeout_ms=SESSION_TIMEOUT_MS)
        return replace(own, **changes)  # type: ignore[arg-type]  # names and values are those of Settings


@asynccontextmanager
async def scene(
    place: Place, name: str, stream: Sequence[Due], *, workers: Sequence[str], module: str, seconds: float, replication: int
) -> AsyncIterator[Scene]:
    """The deployment stands and its workers are on their way; `workers` are the addresses they know the broker by."""
    settings = place.settings(name)
    await prepare(settings, replication)
    directory = place.directory / name
    directory.mkdir(parents=True, exist_ok=True)
    slots = [replace(settings, kafka=address) for address in workers]
    async with Fleet(slots, directory, module) as fleet:
        feeder, rng = Feeder(settings, stream), random.Random(f"{name} {place.seed}")
        made = Scene(name, settings, place.kafka, place.clickhouse, fleet, feeder, rng, seconds, Result(name))
        try:
            yield made
        finally:
            await made.close()


async def prepare(settings: Settings, replication: int) -> None:
    """Topics, watchlist and tables are there; the raw topic takes records that are larger than any that can be decoded."""
    from agents.admin import admin_client, change_config

    await apply_topics(settings, partitions=PARTITIONS, partials=PARTIALS, replication=replication, history=True)
    async with admin_client(settings) as client:
        refusal = await change_config(client, settings.topics.raw, RAW_CONFIG)
        assert not refusal, refusal
    await write_watchlist(settings, {brand.id: brand for brand in BRANDS})
    await asyncio.to_thread(_migrate, settings.clickhouse)


async def drained(settings: Settings, posts: int) -> bool:
    """Everything that the topics hold is processed and stored; False if not within PATIENCE_S."""
    clickhouse = ClickHouse.connect(settings.clickhouse)
    try:
        return await _drained(settings, clickhouse, posts)
    finally:
        clickhouse.close()


async def _drained(settings: Settings, clickhouse: ClickHouse, posts: int) -> bool:
    topics = settings.topics
    agents = {"detect": [topics.partials], "curate": [topics.candidates]}
    agents["store"] = [topics.windows, topics.mentions, topics.moments, topics.dead_letters]
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        with contextlib.suppress(KafkaError, SinkUnavailable, TimeoutError):
            stored = await asyncio.to_thread(_posts, clickhouse)
            if stored >= posts and not any([await unprocessed(settings, agent, names) for agent, names in agents.items()]):
                return True
        await asyncio.sleep(0.3)
    return False


async def alerts(settings: Settings) -> list[tuple[tuple[str, int], bytes]]:
    """((moment id, sequence), body) of every alert on the topic."""
    found = [(decode_moment(record.value), record.value) for record in await read(settings, settings.topics.moments)]
    return [((moment.moment_id, moment.sequence), body) for moment, body in found]


async def as_logged(settings: Settings) -> list[Due]:
    """The raw topic as it is, to be fed again: every record gets the partition, the offset and the timestamp that it has."""
    found: list[Due] = []
    clock_ms: dict[int, int] = {}
    for record in await read(settings, settings.topics.raw):
        clock_ms[record.partition] = max(clock_ms.get(record.partition, 0), record.timestamp)
        found.append(Due(clock_ms[record.partition], Message(record.partition, record.key, record.value, record.timestamp)))
    return sorted(found, key=lambda one: one.at_ms)


async def judge(made: Scene, expected: Alerts) -> None:
    """The result of a row: alerts beside those of an undisturbed run, everything else by `drumbeat verify`."""
    result = made.result
    told = await alerts(made.settings)
    bodies: dict[tuple[str, int], set[bytes]] = {}
    for key, body in told:
        bodies.setdefault(key, set()).add(body)
    result.alerts, result.repeated = len(bodies), len(told) - sum(map(len, bodies.values()))
    result.missing = len(expected.keys() - bodies.keys())
    result.extra = len(bodies.keys() - expected.keys())
    altered = [key for key in bodies.keys() & expected.keys() if bodies[key] != {expected[key]}]
    result.bodies = len(altered)
    result.other += [f"alert {key}: {_difference(expected[key], bodies[key])}"[:500] for key in altered[:3]]
    await _verify(made)


def _difference(expected: bytes, found: set[bytes]) -> str:
    """The fields of an alert that are not as in the undisturbed run."""
    plain = _fields(orjson.loads(expected))
    others = [_fields(orjson.loads(body)) for body in found]
    names = sorted({name for one in others for name in one.keys() | plain.keys() if one.get(name) != plain.get(name)})
    return "; ".join(f"{name} {plain.get(name)!r} became {[one.get(name) for one in others]!r}" for name in names)


def _fields(value: object, name: str = "") -> dict[str, object]:
    if isinstance(value, dict):
        return {path: one for key, inner in value.items() for path, one in _fields(inner, f"{name}.{key}").items()}
    return {name: value}


async def _verify(made: Scene) -> None:
    settings, result = made.settings, made.result
    variables = {f"DRUMBEAT_{name}": getattr(settings, name.lower()) for name in ("KAFKA", "CLICKHOUSE", "PREFIX")}
    process = await asyncio.create_subprocess_exec(
        *with_parent([sys.executable, "-m", "agents", "verify", "--json", "--wait", "30"], variables),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    out, errors = await process.communicate()
    lines = [orjson.loads(line) for line in out.splitlines()]
    if not lines or "summary" not in lines[-1]:
        result.other.append(f"verify ended with {process.returncode}: {errors.decode(errors='replace')[-500:]}")
        return
    summary = lines[-1]["summary"]
    result.wrong_cells, result.cells = summary["different"], summary["compared"]
    result.notes["records"] = summary["records"]
    if summary["wrong"] or process.returncode:
        says = [f"{one['what']} {one['which']} {one['says']}" for one in lines[:-1] if "what" in one][:5]
        result.other.append(
            f"verify: exit {process.returncode}, {summary['wrong']} wrong, behind {summary['behind']}: {'; '.join(says)}"
        )
    result.other += [f"cell {one}" for one in lines[:-1] if "term" in one][:5]


def _migrate(dsn: str) -> None:
    clickhouse = ClickHouse.connect(dsn)
    clickhouse.apply_migrations()
    clickhouse.close()


def _posts(clickhouse: ClickHouse) -> int:
    counts = clickhouse.query("SELECT toInt64(sum(events)) AS n FROM windows_10s WHERE term = 'all:posts'")
    return int(counts["n"][0] or 0)
