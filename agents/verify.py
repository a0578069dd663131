"""Everything stored is what a recount of the live raw topics says, or each difference is named.

The log and the tables move while this looks at them, so every count is compared with a range. At least: the records that ingest
has committed, in seconds of the log clock that detect has passed, the tables read only after detect and store have committed all
that was there then. At most: all records there are after the tables were read. Where nothing is under way both are one number.

A window must be stored when detect has closed it: when its end and the lateness lie behind the log clock of every raw partition
that flows, as the recount knows it at the committed offset. A partition does not hold that time back if it has no records, or if
its worker said after this began that it is idle and how far it had read; then the others decide, up to where they were before it
said so; if all said so, detect has stored whatever is open. A window beyond is compared if all of its posts are stored, else not.

What differs is looked at again for `wait_s`: what still differs then is a difference.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from agents.admin import admin_client
from agents.raw_recount import RawRecount
from agents.recount import Outcomes
from agents.recount_compare import EVERYTHING_MS, Comparison, Scope, compare
from agents.settings import Settings
from agents.tail import lone_consumer
from agents.verify_beside import Alerts, Wrong, wrong_alerts, wrong_dead_letters, wrong_mentions
from agents.verify_start import starting_offsets
from agents.verify_tables import Tables, read_tables
from agents.verify_watch import PipelineWatch
from agents.watchlist import read_watchlist
from schemas.windows import WINDOW_MS
from streams.brands import compile_watchlist

HEARD_S = 20.0  # an idle source says so at least every 12.5 s, later where its worker has no time
LATEST_MS = 7_258_118_400_000  # year 2200: no event is later


@dataclass(frozen=True, slots=True)
class Asked:
    """What to verify."""

    from_ms: int = 0  # windows that start in [from_ms, to_ms)
    to_ms: int = LATEST_MS
    kinds: frozenset[str] = frozenset()
    terms: frozenset[str] = frozenset()
    began_ms: int | None = None  # where ingest of this prefix was set to begin; None: at the oldest record
    wait_s: float = 60.0
    limit: int = 1_000

    @property
    def span(self) -> tuple[int, int]:
        """The bounds as starts of windows."""
        return -(-self.from_ms // WINDOW_MS) * WINDOW_MS, -(-self.to_ms // WINDOW_MS) * WINDOW_MS


@dataclass(slots=True)
class Verified:
    """What was found."""

    comparison: Comparison
    outcomes: Outcomes
    wrong: list[Wrong]
    since_ms: int  # windows before it cannot be recounted, as records were deleted; 0: all can
    mentions: int | None  # compared; None: not asked for
    dead_letters: int
    alerts: int
    not_committed: int  # records that ingest has not committed: open segments, or what it has still to read
    brands: int
    behind: list[str] = field(default_factory=list)  # agents that have not finished what was there

    @property
    def differs(self) -> bool:
        """Whether anything is not as it should be."""
        return bool(self.comparison.different or self.wrong)


async def verify(settings: Settings, asked: Asked) -> Verified:
    """Looks until nothing differs, or for `wait_s` after the first time the log was read."""
    async with lone_consumer(settings) as asker, lone_consumer(settings) as reader, admin_client(settings) as admin:
        verifier = _Verifier(settings, asked, asker, reader, admin)
        await verifier.begin()
        deadline_s = time.monotonic() + asked.wait_s
        while True:
            found = await verifier.look(deadline_s)
            left_s = deadline_s - time.monotonic()
            if left_s <= 0 or not (found.differs or verifier.listens(found)):
                return found
            await asyncio.sleep(min(1.0, left_s))


class _Verifier:
    """One recount that goes on, looked at together with the tables again and again."""

    def __init__(
        self, settings: Settings, asked: Asked, asker: AIOKafkaConsumer, reader: AIOKafkaConsumer, admin: AIOKafkaAdminClient
    ) -> None:
        self.settings, self.asked = settings, asked
        self.reader, self.watch = reader, PipelineWatch(settings, asker, admin)
        self.closed_ms = -1

    async def begin(self) -> None:
        """Reads the log up to where it ends now."""
        settings, watch = self.settings, self.watch
        brands = await read_watchlist(settings)
        self.brands = len(brands)
        await watch.begin()
        self.starts, self.lost = await starting_offsets(settings, watch.asker, watch.raw, self.asked.began_ms)
        self.recount = RawRecount(settings, self.reader, self.starts, compile_watchlist(list(brands.values())), self.asked.span)
        self.recount.settle(await watch.committed(self.starts))
        await self.recount.read_to(await watch.ends(watch.raw))
        self.committed = await watch.committed(self.starts)
        await watch.begin()
        self.newest_ms = self._newest(self.committed)
        self.began_at = {tp: part.position for tp, part in self.recount.parts.items()}

    def listens(self, found: Verified) -> bool:
        """Whether it is worth while to wait for what idle sources say."""
        parts = self.recount.parts.items()
        quiet = [tp for tp, part in parts if self.starts[tp] < part.position == self.began_at[tp]]
        is_all_heard = all(map(self._is_told, quiet))
        unsure = found.comparison.open_windows + found.comparison.in_motion
        return unsure > 0 and not is_all_heard and self.watch.listened_s < HEARD_S

    async def look(self, deadline_s: float) -> Verified:
        """The tables beside the recount, as the module says."""
        watch = self.watch
        self.committed = await watch.committed(self.starts)
        await watch.listen()
        behind = await watch.detected(deadline_s)
        alerts = await watch.alerts()
        behind += await watch.stored(deadline_s)
        tables = await read_tables(self.settings, self.asked.span)
        await self.recount.read_to(await watch.ends(watch.raw))
        later = await watch.alerts()
        if not behind:
            self.recount.settle(self.committed)
            self.closed_ms = max(self.closed_ms, self._closed())
        return await asyncio.to_thread(self._beside, tables, alerts, later, behind)

    def _beside(self, tables: Tables, alerts: Alerts, later: Alerts, behind: list[str]) -> Verified:
        asked, settings = self.asked, self.settings
        told = {tp: self.watch.heard[self._source(tp)] for tp in self.watch.raw if not behind and self._is_told(tp)}
        found = self.recount.counted(told)
        since_ms = self._since()
        scope = Scope(self.closed_ms, settings.lateness_ms, settings.min_support, since_ms, asked.kinds, asked.terms, asked.limit)
        comparison = compare(tables.windows, tables.left_out, found.cells, scope)
        from_ms, to_ms = asked.span
        wrong: list[Wrong] = []
        is_whole = not asked.terms and (not asked.kinds or "brand" in asked.kinds)
        if is_whole:
            posts = {post: version for post, version in tables.mentions.items() if version >= since_ms}
            wrong += wrong_mentions(found, posts, lambda said: from_ms <= said.event_ms < to_ms and said.version >= since_ms)
        kept = {origin: why for origin, why in tables.dead_letters.items() if origin[2] >= self._start(origin[:2])}
        wrong += wrong_dead_letters(found, kept, lambda log_ms: from_ms <= log_ms < to_ms)
        wrong += wrong_alerts(alerts, later, tables.alerts)
        wrong = [one for one in wrong if not (behind and one.may_come)]
        return Verified(
            comparison,
            self.recount.outcomes(),
            wrong,
            since_ms,
            len(tables.mentions) if is_whole else None,
            len(kept),
            len(tables.alerts),
            sum(max(part.raw.open().end - self.committed[tp], 0) for tp, part in self.recount.parts.items()),
            self.brands,
            behind,
        )

    def _closed(self) -> int:
        """Time that detect has certainly reached."""
        flowing, quiet = list[int](), False
        for tp, part in self.recount.parts.items():
            if part.position == self.starts[tp]:
                continue  # no records: it is idle, or detect waits for it and closes nothing
            if self._is_told(tp):
                quiet = True
                continue
            clock_ms = part.raw.clock_at(self.committed[tp])
            flowing.append(-1 if clock_ms is None else clock_ms)
        if not flowing:
            return EVERYTHING_MS
        return min(flowing + ([self.newest_ms] if quiet else []))

    def _is_told(self, tp: TopicPartition) -> bool:
        return self.watch.heard.get(self._source(tp)) == self.recount.parts[tp].raw.open().end

    def _newest(self, committed: Mapping[TopicPartition, int]) -> int:
        clocks = [part.raw.clock_at(committed[tp]) for tp, part in self.recount.parts.items()]
        return max((clock for clock in clocks if clock is not None), default=-1)

    def _since(self) -> int:
        """Windows from here on hold no event that was deleted, nor one that might be a copy of such."""
        horizon_ms, bounds = self.settings.dedup_horizon_ms, [0]
        for tp in self.lost:
            raw = self.recount.parts[tp].raw
            first_ms = raw.first_clock_ms if raw.first_clock_ms is not None else int(time.time() * 1000)
            bounds.append(-(-(first_ms + 2 * horizon_ms) // WINDOW_MS) * WINDOW_MS)
        return max(bounds)

    def _source(self, tp: TopicPartition) -> int:
        return self.settings.source_id(tp.topic, tp.partition)

    def _start(self, place: tuple[str, int]) -> int:
        return self.starts.get(TopicPartition(*place), 0)
