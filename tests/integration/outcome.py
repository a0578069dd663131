"""Everything that a run leaves behind, in a form that two runs can be compared in."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass

from agents.clickhouse import ClickHouse
from agents.settings import Settings
from schemas.moments import decode_moment
from tests.integration.logs import read, unprocessed
from tests.integration.stream import Cell
from tests.integration.worker import Worker, stores, until

Origin = tuple[str, str, str]


@dataclass(frozen=True)
class Outcome:
    """Of one deployment, read when its worker has ended."""

    cells: Counter[Cell]  # events per term and window, as the view shows them
    stored_moments: dict[tuple[str, int], str]  # body by (id, sequence), as stored
    moments: list[tuple[tuple[str, int], bytes]]  # every alert on the topic, in order
    mentions: frozenset[bytes]  # distinct bodies on the topic
    mentioned: frozenset[str]  # posts in the table of mentions
    dead_letters: Counter[tuple[Origin, str, bytes]]  # (topic, partition, offset), reason and bytes of those on the topic, distinct
    stored_dead: frozenset[tuple[int, int, str]]


async def drained(settings: Settings, worker: Worker, posts: int, end_ms: int) -> None:
    """Every agent has finished everything that the log holds, and the windows of `posts` posts are stored."""
    topics = settings.topics

    async def all_passed() -> bool:
        return min([await worker.metric("drumbeat_detect_watermark_seconds", partition=str(q)) for q in range(2)]) * 1_000 > end_ms

    async def nothing_left() -> bool:
        agents = {"detect": [topics.partials], "curate": [topics.candidates]}
        agents["store"] = [topics.windows, topics.mentions, topics.moments, topics.dead_letters]
        return not any([await unprocessed(settings, agent, names) for agent, names in agents.items()])

    await until(all_passed, f"detect has seen everything up to {end_ms}", worker)
    await until(nothing_left, "detect, curate and store have committed everything", worker)
    await until(stores(worker, "all:posts", posts), f"{posts} posts are stored", worker)


async def outcome(settings: Settings) -> Outcome:
    """What is on the topics and in the database; the worker must have let go of it."""
    topics = settings.topics
    cells, moments, mentioned, dead = await asyncio.to_thread(_tables, settings)
    alerts = [(decode_moment(one.value), one.value) for one in await read(settings, topics.moments)]
    letters = {_letter(dict(one.headers), one.value) for one in await read(settings, topics.dead_letters)}
    return Outcome(
        cells,
        moments,
        [((moment.moment_id, moment.sequence), body) for moment, body in alerts],
        frozenset(one.value for one in await read(settings, topics.mentions)),
        mentioned,
        Counter(letters),
        dead,
    )


def _letter(headers: dict[str, bytes], value: bytes | None) -> tuple[Origin, str, bytes]:
    topic, partition, offset, reason = (headers[name].decode() for name in ("topic", "partition", "offset", "reason"))
    return (topic.partition(".")[2], partition, offset), reason, value or b""


def _tables(
    settings: Settings,
) -> tuple[Counter[Cell], dict[tuple[str, int], str], frozenset[str], frozenset[tuple[int, int, str]]]:
    database = ClickHouse.connect(settings.clickhouse)
    try:
        rows = database.query("SELECT term, toUnixTimestamp64Milli(window_start) AS start, toInt64(events) AS n FROM windows_10s")
        moments = database.query("SELECT moment_id, sequence, event FROM moments FINAL")
        mentions = database.query("SELECT post_id FROM mentions FINAL")
        dead = database.query("SELECT source_partition, source_offset, toString(reason) AS reason FROM dead_letters FINAL")
    finally:
        database.close()
    cells = Counter({Cell(term, start): n for term, start, n in rows.iter_rows()})
    told = {(moment_id, sequence): event for moment_id, sequence, event in moments.iter_rows()}
    return cells, told, frozenset(mentions["post_id"].to_list()), frozenset(dead.iter_rows())
