"""The topics on the broker become what `schemas.topics` says, and nothing that is kept there is lost by that.

Missing topics are created; configuration is changed where the broker can; retention and sizes only ever grow; no topic is deleted;
partition counts stay, because keys, packets and checkpoints are tied to them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from agents.admin import TopicState, admin_client, change_config, create_topics, topic_states
from agents.settings import Settings
from schemas.topics import DAY_MS, HOUR_MS, TopicSpec

DEFAULT_RAW_PARTITIONS = 4
DEFAULT_PARTIALS_PARTITIONS = 2
VISIBLE_S = 10.0  # a cluster of many brokers takes a second or two to spread a change
POLL_S = 0.05
_ONLY_GROW = ("retention.ms", "max.message.bytes")  # less of these would delete or refuse what is accepted now
_FOREVER = -1


@dataclass(frozen=True, slots=True)
class TopicReport:
    """A topic as it should be beside what the broker has; `state` None: it is missing."""

    spec: TopicSpec
    state: TopicState | None
    differs: Mapping[str, str]  # configuration keys to change, with the wanted value


async def apply_topics(
    settings: Settings, *, partitions: int | None = None, partials: int | None = None, replication: int = 1, history: bool = False
) -> list[str]:
    """One line per topic: created, changed or kept, then what was refused and why. Safe to run again.

    `partitions` (raw) and `partials` None: what is there, or 4 and 2 for new topics.
    """
    async with admin_client(settings) as client:
        reports = _compare(settings, await topic_states(client), partitions, partials, history=history)
        missing = [r.spec for r in reports if r.state is None]
        if missing:
            await create_topics(client, [NewTopic(s.name, s.partitions, replication, topic_configs=s.config()) for s in missing])
        lines = [await _apply(client, report) for report in reports]
        await _settled(client, [r for r, line in zip(reports, lines, strict=True) if line.startswith(("created", "changed"))])
    return lines + _counts(reports, asked=partitions is not None or partials is not None)


async def compare_topics(settings: Settings, client: AIOKafkaAdminClient) -> list[TopicReport]:
    """Every topic as it should be beside what is there."""
    return _compare(settings, await topic_states(client), None, None, history=False)


def wanted_topics(
    settings: Settings, there: Mapping[str, TopicState], partitions: int | None, partials: int | None, *, history: bool
) -> list[TopicSpec]:
    """The specs of all topics. Partition counts nobody asked for follow the topics that are there."""
    names = settings.topics
    raw_counts = {raw.topic: partitions or _count(there, raw.topic, DEFAULT_RAW_PARTITIONS) for raw in settings.raw_topics}
    raw_spec, seen_spec, *others = names.specs(
        max(_count(there, name, count) for name, count in raw_counts.items()),
        partials or _count(there, names.partials, DEFAULT_PARTIALS_PARTITIONS),
        settings.dedup_horizon_ms,
        history=history,
    )
    return [replace(raw_spec, name=name, partitions=count) for name, count in raw_counts.items()] + [seen_spec, *others]


def in_words(keep_ms: int) -> str:
    """A retention as people say it: for ever, 7 d, 12 h."""
    if keep_ms == _FOREVER:
        return "for ever"
    return f"{keep_ms / DAY_MS:g} d" if keep_ms >= DAY_MS else f"{keep_ms / HOUR_MS:g} h"


def _compare(
    settings: Settings, there: Mapping[str, TopicState], partitions: int | None, partials: int | None, *, history: bool
) -> list[TopicReport]:
    return [
        TopicReport(spec, state := there.get(spec.name), _differences(spec, state) if state else {})
        for spec in wanted_topics(settings, there, partitions, partials, history=history)
    ]


def _count(there: Mapping[str, TopicState], name: str, default: int) -> int:
    return there[name].partitions if name in there else default


def _differences(spec: TopicSpec, state: TopicState) -> dict[str, str]:
    return {key: value for key, value in spec.config().items() if not _enough(key, value, state.config.get(key))}


def _enough(key: str, wanted: str, present: str | None) -> bool:
    if key in _ONLY_GROW and present is not None and _is_number(present):
        return int(present) == _FOREVER or (int(wanted) != _FOREVER and int(present) >= int(wanted))
    return present == wanted


def _is_number(text: str) -> bool:
    return text.removeprefix("-").isdecimal()


async def _apply(client: AIOKafkaAdminClient, report: TopicReport) -> str:
    spec = report.spec
    if report.state is None:
        return f"created  {spec.name}: {spec.partitions} partitions, {_kept(spec)}"
    if not report.differs:
        return f"kept     {spec.name}: as it should be"
    changes = ", ".join(f"{key}={value}" for key, value in report.differs.items())
    refusal = await change_config(client, spec.name, report.differs)
    return f"note     {spec.name}: {changes} not set: {refusal}" if refusal else f"changed  {spec.name}: {changes}"


async def _settled(client: AIOKafkaAdminClient, reports: list[TopicReport]) -> None:
    """Kafka answers before all its brokers know of a change; whoever comes next must find it."""
    deadline_s = time.monotonic() + VISIBLE_S
    while reports and time.monotonic() < deadline_s:
        there = await topic_states(client)
        reports = [report for report in reports if not _is_so(report, there.get(report.spec.name))]
        await asyncio.sleep(POLL_S if reports else 0)


def _is_so(report: TopicReport, state: TopicState | None) -> bool:
    """A new topic has leaders; a changed one tells its new configuration."""
    return state is not None and (state.ready if report.state is None else not _differences(report.spec, state))


def _kept(spec: TopicSpec) -> str:
    return "compacted" if spec.compacted else f"kept {in_words(spec.retention_ms)}"


def _counts(reports: list[TopicReport], asked: bool) -> list[str]:
    """What is to be said about partition counts that are not the wanted ones; only what somebody asked for is a refusal."""
    why = "a post's key and a term's counts are tied to their partition, so another count needs a new --prefix"
    return [
        f"{'refused ' if asked else 'note    '} {r.spec.name}: has {r.state.partitions} partitions, not {r.spec.partitions}; {why}"
        for r in reports
        if r.state is not None and r.state.partitions != r.spec.partitions
    ]
