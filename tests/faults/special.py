"""Rows that are not a stream with something going wrong beside it."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from statistics import median
from typing import NamedTuple

import numpy as np
import orjson
from aiokafka import AIOKafkaProducer

from agents.clickhouse import ClickHouse
from agents.settings import Settings
from schemas.seen import SeenIds, encode_seen
from tests.faults.scene import SESSION_TIMEOUT_MS, Alerts, Place, Result, alerts, drained, judge, scene
from tests.faults.talk import PARTITIONS, Due, posts_in, refused, talk
from tests.integration.logs import read
from tests.integration.stream import START_MS, Message

DEAD_BEFORE_STOP = 1_100  # per partition: the records that tell, and what a batch of them may hold more
HISTORY_S, HISTORY_POSTS = 3_600, 40  # an hour of so many posts a second
FLAT_SHARE, FLAT_BYTES = 0.15, 60_000_000
REMEMBERED = 10_000_000
SEEN_PER_RECORD = 8_000
TAKEOVER_S = SESSION_TIMEOUT_MS / 1000 + 5.0


class Special(NamedTuple):
    """A row with a course of its own."""

    play: Callable[[Place, str, float], Awaitable[Result]]
    weight: float = 0.5


async def bad_deploy(place: Place, module: str, seconds: float) -> Result:
    """A topic of another platform: the workers stop and say so, and whoever restarts them does not empty the topic."""
    stream = refused(12_000)
    kafka = place.kafka
    async with scene(
        place, "bad-deploy", stream, workers=[kafka.address] * 2, module=module, seconds=seconds, replication=1
    ) as made:
        await made.feeder.run(0)
        deadline = time.monotonic() + max(seconds, 60.0)
        while made.fleet.exits[2] < 6 and time.monotonic() < deadline:
            await asyncio.sleep(0.2)
        made.result.done["worker stopped with 2"] = made.fleet.exits[2]
        dead = len(await read(made.settings, made.settings.topics.dead_letters))
        made.result.notes["dead letters"] = dead
        said = "".join(made.fleet.said(number) for number in range(len(made.fleet)))
        if made.fleet.exits[2] < 6:
            made.result.other.append(f"workers go on: {dict(made.fleet.exits)}")
        if "is DRUMBEAT_RAW set to the right platform?" not in said:
            made.result.other.append("nobody says what is wrong")
        if dead > DEAD_BEFORE_STOP * PARTITIONS:
            made.result.other.append(f"{dead} dead letters")
        made.result.wrong_cells = 0
    return made.result


async def history(place: Place, module: str, seconds: float) -> Result:
    """An hour of posts at once: counted exactly, and memory does not follow the backlog."""
    stream = _hour(random.Random(place.seed))
    kafka = place.kafka
    async with scene(place, "history", stream, workers=[kafka.address], module="agents", seconds=0, replication=1) as made:
        await made.fleet.leave(0)
        await made.feeder.run(0)
        watching = asyncio.create_task(made.fleet.watch_memory())
        made.fleet.join(0)
        made.did(f"{len(stream):,} posts at once")
        done = await drained(made.settings, posts_in(list(stream)))
        watching.cancel()
        samples = [size for _, size in await watching if size > 0]
        middle, last = (median(samples[len(samples) * a // 3 : len(samples) * (a + 1) // 3]) for a in (1, 2))
        made.result.notes |= {"resident_middle_bytes": middle, "resident_last_bytes": last, "resident_peak_bytes": max(samples)}
        if not done:
            made.result.other.append("not everything was processed in time")
        if last > middle * (1 + FLAT_SHARE) + FLAT_BYTES:
            made.result.other.append(f"memory grew from {middle / 1e6:.0f} to {last / 1e6:.0f} MB")
        await judge(made, dict(await alerts(made.settings)))
    return made.result


async def deleted(place: Place, module: str, seconds: float) -> Result:
    """Deletes, then everything again, raw and stored: nothing that was deleted comes back."""
    stream = talk("deletes", place.seed)
    kafka = place.kafka
    async with scene(place, "deleted", stream, workers=[kafka.address] * 2, module=module, seconds=seconds, replication=1) as made:
        await made.feeder.run(seconds)
        finished = await drained(made.settings, posts_in(list(stream)))
        expected: Alerts = dict(await alerts(made.settings))
        await made.fleet.stop()
        await _rewind_store(made.settings)
        again = [one for one in stream if b'"kind":"delete"' not in one.message.value]
        made.feeder.stream = again
        await made.feeder.run(0)
        for number in range(len(made.fleet)):
            made.fleet.join(number)
        made.did(f"{len(again):,} records again")
        finished = await drained(made.settings, posts_in(list(stream))) and finished
        if not finished:
            made.result.other.append("not everything was processed in time")
        await judge(made, expected)
        back = await asyncio.to_thread(_live, made.settings.clickhouse, _deleted(stream))
        made.result.notes["deleted posts"] = len(_deleted(stream))
        if back:
            made.result.other.append(f"{len(back)} deleted posts are back, such as {back[:3]}")
    return made.result


async def takeover(place: Place, module: str, seconds: float) -> Result:
    """kill -9 of a worker that remembers ten million ids: the other one has taken over within the session timeout and 5 s."""
    stream = talk("plain", place.seed)
    kafka = place.kafka
    async with scene(
        place, "takeover", stream, workers=[kafka.address] * 2, module="agents", seconds=seconds, replication=1
    ) as made:
        feeding = asyncio.create_task(made.feeder.run(max(seconds, 90.0)))
        await made.recovered()
        made.result.recoveries_s.clear()
        await _remember(made.settings)
        for _ in range(3):  # the first gives the ids to whoever takes over
            victim = made.rng.randrange(2)
            made.fleet.signal(victim, signal.SIGKILL)
            made.did("kill -9")
            await made.recovered()
        await feeding
        made.result.notes["remembered ids"] = REMEMBERED
        slow = [took for took in made.result.recoveries_s if took > TAKEOVER_S]
        if slow or not made.result.recoveries_s:
            made.result.other.append(f"took {', '.join(f'{took:.1f} s' for took in slow)}, at most {TAKEOVER_S:.0f} s")
        if not await drained(made.settings, posts_in(list(stream))):
            made.result.other.append("not everything was processed in time")
        await judge(made, dict(await alerts(made.settings)))
    return made.result


SPECIAL: dict[str, Special] = {
    "bad-deploy": Special(bad_deploy),
    "history": Special(history),
    "deleted": Special(deleted),
    "takeover-10m": Special(takeover),
}


def _hour(rng: random.Random) -> list[Due]:
    """Everyday talk: few words very often, very many once."""
    stream: list[Due] = []
    for number in range(HISTORY_S * HISTORY_POSTS):
        at_ms = START_MS + number * 1_000 // HISTORY_POSTS
        words = [f"w{int(rng.paretovariate(0.7)) % 1_000_000:x}" for _ in range(6)]
        text = " ".join([*words, "acme"] if rng.random() < 0.02 else words)
        post = {"made": "well", "id": f"h{number}", "platform": "x", "lang": "en", "author": f"a{rng.randrange(30_000)}"}
        value = orjson.dumps({**post, "text": text, "created_ms": at_ms - rng.randrange(3_000)})
        stream.append(Due(at_ms, Message(number % PARTITIONS, post["id"].encode(), value, at_ms)))
    return stream


async def _remember(settings: Settings) -> None:
    """The topic of seen ids holds ten million more, of the quarter of an hour before the stream, as if they had been ingested."""
    producer = AIOKafkaProducer(**settings.kafka_options(), acks="all", linger_ms=5, max_batch_size=1 << 20)
    await producer.start()
    rng = np.random.default_rng(1)
    records = REMEMBERED // SEEN_PER_RECORD
    for number in range(records):
        clock_ms = START_MS - 600_000 + 600_000 * number // records
        ids = np.sort(rng.integers(0, 2**63, SEEN_PER_RECORD, dtype=np.uint64))
        steps = np.full(SEEN_PER_RECORD, clock_ms // 1_000, dtype="<u4")
        source = number % PARTITIONS
        seen = SeenIds(source=source, start=0, end=0, clock_ms=clock_ms, ids=ids.astype("<u8").tobytes(), steps=steps.tobytes())
        await producer.send(settings.topics.seen, encode_seen(seen), partition=source)
    await producer.stop()


async def _rewind_store(settings: Settings) -> None:
    from agents.offsets import Where, move

    await move(settings, "store", Where("beginning"))


def _deleted(stream: Sequence[Due]) -> set[str]:
    wanted = b'{"made":"well"', b'"kind":"delete"'
    gone = [one.message.value for one in stream if one.message.value.startswith(wanted[0]) and wanted[1] in one.message.value]
    return {str(orjson.loads(value)["post_id"]) for value in gone}


def _live(dsn: str, posts: set[str]) -> list[str]:
    clickhouse = ClickHouse.connect(dsn)
    try:
        live = clickhouse.query("SELECT post_id FROM mentions_live")["post_id"].to_list()
    finally:
        clickhouse.close()
    return sorted(posts & set(live))
